// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Frames and segments of Cassandra's protocol as tests make them, and what the parser tells.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/protocols/cassandra/connection.h"
#include "agent/protocols/messaging_runner.h"

namespace zerospan::protocols::cassandra {

inline std::string be(uint64_t value, size_t bytes) {
  std::string out;
  while (bytes > 0) {
    out += static_cast<char>(value >> (--bytes * 8));
  }
  return out;
}
inline std::string text16(std::string_view text) {
  return be(text.size(), 2) + std::string(text);
}
inline std::string text32(std::string_view text) {
  return be(text.size(), 4) + std::string(text);
}

// A frame's first byte has the version, of an answer with the highest bit.
inline std::string frame(unsigned first, int stream, Opcode opcode, const std::string& body,
                         unsigned flags = 0) {
  return be(first, 1) + be(flags, 1) + be(static_cast<uint16_t>(stream), 2) +
         be(static_cast<uint8_t>(opcode), 1) + text32(body);
}

inline uint32_t crc24(std::string_view bytes) {
  uint32_t crc = 0x875060;
  for (const char byte : bytes) {
    for (int bit = 7; bit >= 0; --bit) {
      const uint32_t in = (static_cast<uint8_t>(byte) >> static_cast<unsigned>(bit)) & 1U;
      const uint32_t out = crc >> 23U;
      crc = (crc << 1U & 0xffffffU) ^ ((in ^ out) != 0 ? 0x974f0bU : 0);
    }
  }
  return crc;
}
inline std::string segment(const std::string& payload, bool self_contained = true) {
  const auto fields = static_cast<uint32_t>(payload.size()) | (self_contained ? 0x20000U : 0);
  const auto little = [](uint32_t value) {
    return std::string{static_cast<char>(value), static_cast<char>(value >> 8U),
                       static_cast<char>(value >> 16U)};
  };
  return little(fields) + little(crc24(little(fields))) + payload + "crc!";
}
// Frames as they go over a connection of that version, `most` bytes in a segment.
inline std::string packed(unsigned version, const std::string& frames, size_t most = 131071) {
  if (version < 5) {
    return frames;
  }
  if (frames.size() <= most) {
    return segment(frames);
  }
  std::string out;
  for (size_t at = 0; at < frames.size(); at += most) {
    out += segment(frames.substr(at, most), false);
  }
  return out;
}

inline std::string parameters(unsigned version, unsigned flags = 0, const std::string& rest = "") {
  return be(6, 2) + be(flags, version >= 5 ? 4 : 1) + rest;
}
inline std::string query(unsigned version, int stream, const std::string& text,
                         const std::string& behind = "") {
  return frame(version, stream, Opcode::kQuery,
               text32(text) + (behind.empty() ? parameters(version) : behind));
}
inline std::string prepare(unsigned version, int stream, const std::string& text) {
  return frame(version, stream, Opcode::kPrepare, text32(text) + (version >= 5 ? be(0, 4) : ""));
}
inline std::string execute(unsigned version, int stream, const std::string& id, size_t value = 4) {
  return frame(
      version, stream, Opcode::kExecute,
      text16(id) + (version >= 5 ? text16("metadata id 0123") : "") +
          parameters(version, 0x05, be(1, 2) + text32(std::string(value, 'v')) + be(5000, 4)));
}
inline std::string startup(unsigned version, int stream, const std::string& compression = "") {
  return frame(version, stream, Opcode::kStartup,
               be(compression.empty() ? 1 : 2, 2) + text16("CQL_VERSION") + text16("3.0.0") +
                   (compression.empty() ? "" : text16("COMPRESSION") + text16(compression)));
}
inline std::string answer(unsigned version, int stream, Opcode opcode, const std::string& body) {
  return frame(version | 0x80U, stream, opcode, body);
}
inline std::string done(unsigned version, int stream) {
  return answer(version, stream, Opcode::kResult, be(1, 4));
}
inline std::string error(unsigned version, int stream, uint32_t code) {
  return answer(version, stream, Opcode::kError, be(code, 4) + text16("the secret was wrong"));
}
inline std::string rows(unsigned version, int stream, uint32_t count, size_t size = 10,
                        bool metadata = true) {
  std::string body = be(2, 4) + be(metadata ? 1 : 4, 4) + be(2, 4);
  if (metadata) {
    body += text16("shop") + text16("orders") + text16("id") + be(9, 2) + text16("tags") +
            be(0x21, 2) + be(0xd, 2) + be(0x31, 2) + be(2, 2) + be(0xd, 2) + be(9, 2);
  }
  body += be(count, 4);
  for (uint32_t i = 0; i < count; ++i) {
    body += text32("1234") + text32(std::string(size, 's'));
  }
  return answer(version, stream, Opcode::kResult, body);
}
inline std::string prepared(unsigned version, int stream, const std::string& id) {
  return answer(version, stream, Opcode::kResult, be(4, 4) + text16(id) + std::string(40, '\0'));
}
inline std::string keyspace(unsigned version, int stream, const std::string& name) {
  return answer(version, stream, Opcode::kResult, be(3, 4) + text16(name));
}
inline std::string id_of(unsigned number) {
  std::string id = std::to_string(number);
  return std::string(16 - id.size(), '0') + id;
}

// A connection of one role and what its parser tells, in words. Each operation takes a microsecond.
class Runner final : public ExchangeSink {
 public:
  explicit Runner(model::Role role = model::Role::kServer, bool seen_from_start = true,
                  Shared* others = nullptr)
      : role_(role),
        connection(connection_of(role, seen_from_start), Options{}, &counters,
                   others != nullptr ? others : &shared) {}

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
    std::string out = db.statement_known ? db.statement : db.operation;
    out += db.statement_cut ? "..." : "";
    out += db.statement_id.empty() ? "" : " #" + db.statement_id;
    out += db.failed ? " !" + db.error_code : "";
    out += db.batch_size != 0 ? " b" + std::to_string(db.batch_size) : "";
    out += db.returned_rows ? " r" + std::to_string(*db.returned_rows) : "";
    databases[out] = db.database;
    details.push_back(db.consistency + (db.page_size ? " " + std::to_string(*db.page_size) : ""));
    evidence = exchange.evidence;
    (exchange.incomplete == 0 && exchange.outcome == model::Outcome::kComplete ? told : flagged)
        .push_back(out);
  }
  void step(const Step& step, size_t head = SIZE_MAX) {
    now_ns += 1000;
    const bool receive = step.request == (role_ == model::Role::kServer);
    const std::string_view bytes = step.bytes;
    model::Chunk chunk;
    chunk.direction = receive ? model::Direction::kReceive : model::Direction::kSend;
    chunk.offset = offsets_[receive ? 0 : 1];
    chunk.opposite_offset = offsets_[receive ? 1 : 0];
    chunk.length = static_cast<uint32_t>(bytes.size());
    chunk.head = bytes.substr(0, head);
    chunk.time_ns = now_ns;
    chunk.departed_ns = now_ns - late_ns;
    chunk.request_id = now_ns;
    chunk.evidence = evidence;
    opaque = connection.on_chunk(chunk, *this) == Verdict::kOpaque;
    offsets_[receive ? 0 : 1] += bytes.size();
  }
  void ask(const std::string& bytes) { step({true, bytes}); }
  void answer(const std::string& bytes) { step({false, bytes}); }
  void lose(const Step& step) {
    now_ns += 1000;
    offsets_[step.request == (role_ == model::Role::kServer) ? 0 : 1] += step.bytes.size();
  }
  void close(model::CloseKind kind = model::CloseKind::kClosed) {
    model::Closed closed;
    closed.kind = kind;
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
  std::map<std::string, std::string> databases;  // by what is told
  std::vector<std::string> details;
  ParserCounters counters;
  Shared shared;
  uint64_t now_ns = 1'000'000;
  uint64_t late_ns = 0;  // how long sends are recorded after they could have left
  model::Evidence evidence =
      model::Evidence::kNone;  // of all operations; then of the last exchange
  bool opaque = false;
  bool broken = false;  // the sink's contract

 private:
  static model::Connection connection_of(model::Role role, bool seen_from_start) {
    model::Connection connection;
    connection.id = 7;
    connection.pid = 42;
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

inline std::vector<Step> handshake(unsigned version) {
  return {{true, frame(version, 0, Opcode::kOptions, "")},
          {false, answer(version, 0, Opcode::kSupported, be(0, 2))},
          {true, startup(version, 1)},
          {false, answer(version, 1, Opcode::kAuthenticate, text16("a.b.Authenticator"))},
          {true, packed(version, frame(version, 2, Opcode::kAuthResponse,
                                       text32(std::string("\0user\0secret", 12))))},
          {false, packed(version, answer(version, 2, Opcode::kAuthSuccess, be(0xffffffff, 4)))}};
}

// Requests on several streams at once, answered in any order; each statement has its own number.
inline std::vector<Step> random_session(std::mt19937_64& random, size_t turns) {
  const auto below = [&](uint64_t limit) { return random() % limit; };
  const unsigned version = 3 + static_cast<unsigned>(below(3));
  std::vector<Step> steps = handshake(version);
  unsigned number = 0;
  std::vector<unsigned> known;
  for (size_t turn = 0; turn < turns; ++turn) {
    std::vector<std::string> asked;
    std::vector<std::string> answered;
    std::vector<unsigned> learned;
    for (size_t count = 1 + below(4); count > 0; --count) {
      const unsigned n = ++number;
      const int stream = static_cast<int>(n % 2000);
      const std::string text = "SELECT " + std::to_string(n);
      const size_t size = below(6) == 0 ? 3000 : 30;
      const uint64_t kind = below(7);
      switch (kind == 3 && known.empty() ? 0 : kind) {
        case 0:
          asked.push_back(query(version, stream, text));
          answered.push_back(rows(version, stream, static_cast<uint32_t>(below(5)), size));
          break;
        case 1:
          asked.push_back(query(version, stream, text + std::string(size * 2, 'x')));
          answered.push_back(error(version, stream, 0x2200));
          break;
        case 2:
          asked.push_back(prepare(version, stream, text));
          answered.push_back(prepared(version, stream, id_of(n)));
          learned.push_back(n);
          break;
        case 3:
          asked.push_back(execute(version, stream, id_of(known[below(known.size())]), size));
          answered.push_back(rows(version, stream, n, 0, false));
          break;
        case 4:
          asked.push_back(frame(version, stream, Opcode::kBatch,
                                be(0, 1) + be(2, 2) + be(0, 1) + text32(text) + be(0, 2) +
                                    be(0, 1) + text32("INSERT") + be(1, 2) + text32("v") +
                                    parameters(version)));
          answered.push_back(done(version, stream));
          break;
        case 5:
          asked.push_back(query(version, stream, "USE k" + std::to_string(n)));
          answered.push_back(keyspace(version, stream, "k" + std::to_string(n)));
          break;
        default:
          asked.push_back(query(version, stream, text));
          answered.push_back(done(version, stream));
          answered.push_back(answer(version, -1, Opcode::kEvent, text16("STATUS_CHANGE")));
          break;
      }
    }
    known.insert(known.end(), learned.begin(), learned.end());
    std::shuffle(answered.begin(), answered.end(), random);
    for (const auto& [request, frames] : {std::pair(true, &asked), std::pair(false, &answered)}) {
      std::string bytes;
      const bool one = below(2) == 0;
      for (const std::string& each : *frames) {
        bytes += one ? each : packed(version, each, below(3) == 0 ? 100 : 131071);
      }
      // A frame that goes on in the next segment is alone.
      steps.push_back({request, one ? packed(version, bytes) : bytes});
    }
  }
  return steps;
}

}  // namespace zerospan::protocols::cassandra
