// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// MongoDB's messages as tests make them, and what the parser tells of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/bson/testing.h"
#include "agent/protocols/mongodb/connection.h"

namespace zerospan::protocols::mongodb {

struct Step {
  bool request = true;
  std::string bytes;
};

inline std::string message(int32_t op_code, int32_t id, int32_t to, const std::string& rest) {
  return bson::le(static_cast<int32_t>(rest.size() + kHeaderBytes)) + bson::le(id) + bson::le(to) +
         bson::le(op_code) + rest;
}
inline std::string op_msg(int32_t id, int32_t to, const std::string& sections, uint32_t flags = 0) {
  return message(kOpMsg, id, to,
                 bson::le(flags) + sections + ((flags & 1U) != 0 ? std::string("\1\2\3\4") : ""));
}
inline std::string ask_msg(int32_t id, const std::string& elements, const std::string& more = "",
                           uint32_t flags = 0) {
  return op_msg(id, 0, bson::body(elements + bson::text("$db", "shop")) + more, flags);
}
inline std::string answer_msg(int32_t id, int32_t to, const std::string& elements,
                              uint32_t flags = 0) {
  return op_msg(id, to, bson::body(elements), flags);
}
inline std::string ok(const std::string& elements = "") {
  return elements + bson::real("ok", 1);
}
inline std::string failed(int32_t code, std::string_view name) {
  return bson::real("ok", 0) + bson::text("errmsg", "secret") + bson::number("code", code) +
         bson::text("codeName", name);
}
inline std::string documents(size_t count, size_t size = 10) {
  std::string out;
  for (size_t i = 0; i < count; ++i) {
    out += bson::document(bson::text("name", std::string(size, 's')));
  }
  return out;
}
inline std::string batch_of(std::string_view name, size_t count, size_t size = 10) {
  std::string out;
  for (size_t i = 0; i < count; ++i) {
    out += bson::sub(std::to_string(i), bson::text("name", std::string(size, 's')));
  }
  return bson::array(name, out);
}
inline std::string cursor(std::string_view batch, size_t count, size_t size = 10) {
  return bson::sub(
      "cursor", batch_of(batch, count, size) + bson::number64("id", 0) + bson::text("ns", "a.b"));
}
inline std::string hello(int32_t id, uint32_t flags = 0) {
  return ask_msg(id, bson::number("hello", 1), "", flags);
}

// Each operation takes a microsecond.
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
    std::string out = db.operation;
    for (const std::string* part : {&db.collection, &db.database}) {
      out += part->empty() ? "" : " " + *part;
    }
    out += db.failed ? " !" + db.error_code : "";
    out += db.batch_size != 0 ? " b" + std::to_string(db.batch_size) : "";
    out += db.returned_rows ? " r" + std::to_string(*db.returned_rows) : "";
    statements.push_back(db.statement_known ? db.statement : "");
    evidence = exchange.evidence;
    (exchange.incomplete == 0 && exchange.outcome == model::Outcome::kComplete ? told : flagged)
        .push_back(out);
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
  std::vector<std::string> statements;
  ParserCounters counters;
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

// Commands, each for its own collection, and their answers.
inline std::vector<Step> random_session(std::mt19937_64& random, size_t turns) {
  const auto below = [&](uint64_t limit) { return random() % limit; };
  std::vector<Step> steps;
  int32_t id = 1;
  for (size_t turn = 0; turn < turns; ++turn) {
    const int32_t n = id++;
    const std::string collection = "c" + std::to_string(n);
    const size_t count = below(5);
    const size_t size = below(5) == 0 ? 900 : 20;
    const uint32_t checksum = static_cast<uint32_t>(below(2));
    std::string more;
    std::string asked;
    std::string answered;
    switch (below(6)) {
      case 0:
        asked = ask_msg(n, bson::text("find", collection) + bson::sub("filter", ""), "", checksum);
        answered = answer_msg(n + 10000, n, ok(cursor("firstBatch", count, size)), checksum);
        break;
      case 1:
        asked = ask_msg(n, bson::text("insert", collection),
                        bson::sequence("documents", documents(count + 1, size)), checksum);
        answered = answer_msg(
            n + 10000, n,
            below(4) == 0
                ? ok(bson::array("writeErrors", bson::sub("0", bson::number("code", 11000))))
                : ok(bson::number("n", static_cast<int32_t>(count + 1))));
        break;
      case 2:
        asked = ask_msg(n, bson::text("update", collection) + batch_of("updates", count, size));
        answered = answer_msg(n + 10000, n, failed(13, "Unauthorized"));
        break;
      case 3:
        asked = ask_msg(n, bson::text("delete", collection),
                        bson::sequence("deletes", documents(1)), 2);
        break;
      case 4:
        asked = hello(n);
        answered = answer_msg(n + 10000, n, ok());
        break;
      default:  // an exhaust cursor
        asked = ask_msg(n, bson::number64("getMore", 5) + bson::text("collection", collection), "",
                        1U << 16U);
        answered = answer_msg(n + 10000, n, ok(cursor("nextBatch", count, size)), 2) +
                   answer_msg(n + 20000, n + 10000, ok(cursor("nextBatch", 1, size)));
        break;
    }
    steps.push_back({true, std::move(asked)});
    if (!answered.empty()) {
      steps.push_back({false, std::move(answered)});
    }
  }
  return steps;
}

}  // namespace zerospan::protocols::mongodb
