// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Feeds operations to a parser of commands, and what it tells of them. Header only: tests and
// benchmarks alone include it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/commands/arguments.h"
#include "agent/protocols/parser.h"

namespace zerospan::protocols::lines {

struct Step {
  bool request = true;
  std::string bytes;
};

// Each operation takes a microsecond.
template <typename Parser, typename Options>
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
    std::string text;
    std::string_view packed = db.statement;
    commands::Argument argument;
    while (commands::next_argument(packed, argument)) {
      text += (text.empty() ? "" : " ") + std::string(argument.bytes) + (argument.cut ? "~" : "");
    }
    text += " | " + (db.failed && db.error_code.empty() ? "?" : db.error_code);
    text += (db.batch_size != 0 ? " | " + std::to_string(db.batch_size) : "") + " | " + db.database;
    (exchange.incomplete == 0 && exchange.outcome == model::Outcome::kComplete ? told : flagged)
        .push_back(text);
  }
  void step(const Step& step, size_t head = SIZE_MAX, size_t tail = 0) {
    now_ns += 1000;
    const bool receive = step.request == (role_ == model::Role::kServer);
    const std::string_view bytes = step.bytes;
    model::Chunk chunk;
    chunk.direction = receive ? model::Direction::kReceive : model::Direction::kSend;
    chunk.offset = offsets_[receive ? 0 : 1];
    chunk.opposite_offset = offsets_[receive ? 1 : 0];
    chunk.length = static_cast<uint32_t>(bytes.size());
    chunk.head = bytes.substr(0, head);
    chunk.tail = bytes.substr(bytes.size() - std::min(bytes.size() - chunk.head.size(), tail));
    chunk.time_ns = now_ns;
    chunk.departed_ns = now_ns - late_ns;
    chunk.request_id = now_ns;
    opaque = connection.on_chunk(chunk, *this) == Verdict::kOpaque;
    offsets_[receive ? 0 : 1] += bytes.size();
  }
  void ask(const std::string& bytes) { step({true, bytes}); }
  void answer(const std::string& bytes) { step({false, bytes}); }
  void lose(const Step& step) {
    now_ns += 1000;
    offsets_[step.request == (role_ == model::Role::kServer) ? 0 : 1] += step.bytes.size();
  }
  void close() {
    model::Closed closed;
    closed.kind = model::CloseKind::kClosed;
    closed.time_ns = now_ns += 1000;
    closed.receive_offset = offsets_[0];
    closed.send_offset = offsets_[1];
    static_cast<void>(connection.on_close(closed, *this));
  }
  void finish() {
    connection.finish(now_ns += 1000, *this);
    broken = broken || std::find(open_.begin(), open_.end(), true) != open_.end();
  }

  std::vector<std::string> told;
  std::vector<std::string> flagged;
  ParserCounters counters;
  uint64_t now_ns = 1'000'000;
  uint64_t late_ns = 0;  // how long sends are recorded after they could have left
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
  Parser connection;
};

}  // namespace zerospan::protocols::lines
