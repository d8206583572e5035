// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Packets as tests make them, and what the parser tells of them. Header only: tests and the
// benchmark alone include it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/protocols/mysql/connection.h"
#include "agent/protocols/mysql/packets.h"

namespace zerospan::protocols::mysql {

inline std::string little(uint64_t value, size_t bytes) {
  std::string out;
  for (size_t i = 0; i < bytes; ++i) {
    out.push_back(static_cast<char>(value >> (8 * i)));
  }
  return out;
}
inline std::string packet(uint8_t sequence, std::string_view body) {
  return little(body.size(), 3) + static_cast<char>(sequence) + std::string(body);
}
inline std::string greeting(std::string_view version = "11.4.2-MariaDB") {
  return packet(0, "\x0a" + std::string(version) + '\0' + little(7, 4) + "abcdefgh" + '\0' +
                       std::string(20, 'x'));
}
inline std::string login(uint32_t capabilities, std::string_view database) {
  return packet(1, little(capabilities | kConnectWithDb | kSecureConnection, 4) +
                       std::string(28, '\0') + "me" + '\0' + '\2' + "pw" + std::string(database) +
                       '\0');
}
inline std::string ok(uint8_t sequence, uint16_t status = 2) {
  return packet(sequence, std::string(3, '\0') + little(status, 2) + little(0, 2));
}
inline std::string eof(uint8_t sequence, uint16_t status = 2) {
  return packet(sequence, "\xfe" + little(0, 2) + little(status, 2));
}
inline std::string ok_for_eof(uint8_t sequence, uint16_t status = 2) {
  return packet(sequence, "\xfe" + std::string(2, '\0') + little(status, 2) + little(0, 2));
}
inline std::string error(uint8_t sequence, uint16_t number) {
  return packet(sequence, "\xff" + little(number, 2) + "#42S02it did not work");
}
inline std::string command(uint8_t code, std::string_view rest) {
  return packet(0, std::string(1, static_cast<char>(code)) + std::string(rest));
}
inline std::string execute(uint32_t id) {
  return command(kExecute, little(id, 4) + '\0' + little(1, 4));
}
// A result of one column.
inline std::string result(size_t rows, bool deprecate, size_t width = 5, uint16_t status = 2,
                          uint8_t sequence = 1) {
  std::string out = packet(sequence++, "\1");
  out += packet(sequence++, "\3def" + std::string(30, 'c'));
  if (!deprecate) {
    out += eof(sequence++);
  }
  for (size_t i = 0; i < rows; ++i) {
    out += packet(sequence++, static_cast<char>(width) + std::string(width, 'r'));
  }
  return out + (deprecate ? ok_for_eof(sequence, status) : eof(sequence, status));
}

struct Step {
  bool request = true;
  std::string bytes;
};

// Feeds operations; each takes a microsecond.
class Runner final : public ExchangeSink {
 public:
  explicit Runner(model::Role role = model::Role::kServer, bool seen_from_start = true)
      : role_(role), connection(connection_of(role, seen_from_start), Options{}, &counters) {}

  void on_request(const RequestStart& start) override {
    broken = broken || start.sequence != open_.size() || start.db == nullptr;
    open_.push_back(true);
  }
  void on_exchange(model::Exchange&& exchange) override {
    const auto& db = std::get<model::DbExchange>(exchange.payload);
    if (exchange.sequence >= open_.size() || !open_[exchange.sequence]) {
      broken = true;
      return;
    }
    open_[exchange.sequence] = false;
    broken = broken || exchange.response_end_ns < exchange.request_start_ns;
    (exchange.incomplete == 0 && exchange.outcome == model::Outcome::kComplete ? told : flagged)
        .push_back(db.statement + " | " + db.statement_id + " | " + db.error_code + " | " +
                   (db.returned_rows ? std::to_string(*db.returned_rows) : "-") + " | " +
                   db.database);
  }
  void step(const Step& step, size_t head = SIZE_MAX, size_t tail = 0) {
    now_ns += 1000;
    const bool receive = step.request == (role_ == model::Role::kServer);
    const std::string_view bytes = step.bytes;
    model::Chunk chunk;
    chunk.direction = receive ? model::Direction::kReceive : model::Direction::kSend;
    chunk.offset = offsets_[receive ? 0 : 1];
    chunk.length = static_cast<uint32_t>(bytes.size());
    chunk.head = bytes.substr(0, head);
    chunk.tail = bytes.substr(bytes.size() - std::min(bytes.size() - chunk.head.size(), tail));
    chunk.time_ns = chunk.departed_ns = now_ns;
    chunk.request_id = now_ns;
    opaque = connection.on_chunk(chunk, *this) == Verdict::kOpaque;
    offsets_[receive ? 0 : 1] += bytes.size();
  }
  void lose(const Step& step) {
    now_ns += 1000;
    offsets_[step.request == (role_ == model::Role::kServer) ? 0 : 1] += step.bytes.size();
  }
  void finish() {
    connection.finish(now_ns += 1000, *this);
    for (const bool open : open_) {
      broken = broken || open;
    }
  }

  std::vector<std::string> told;
  std::vector<std::string> flagged;
  ParserCounters counters;
  uint64_t now_ns = 1'000'000;
  bool opaque = false;
  bool broken = false;  // the sink's contract

 private:
  static model::Connection connection_of(model::Role role, bool seen_from_start) {
    model::Connection connection;
    connection.id = 7;
    connection.role = role;
    connection.seen_from_start = seen_from_start;
    return connection;
  }

  uint64_t offsets_[2] = {0, 0};
  model::Role role_;
  std::vector<bool> open_;

 public:
  Connection connection;
};

}  // namespace zerospan::protocols::mysql
