// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What the tests of message brokers' parsers stand on. Included by them only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "agent/protocols/parser.h"
#include "agent/protocols/shared.h"

namespace zerospan::protocols {

struct Step {
  bool request = true;
  std::string bytes;
};

// A connection of one role and what its parser tells, in words. Each operation takes a microsecond.
// `Make` gives the parser.
template <auto Make>
class MessagingRunner final : public ExchangeSink {
 public:
  explicit MessagingRunner(model::Role role = model::Role::kServer, bool seen_from_start = true)
      : role_(role), connection(Make(connection_of(role, seen_from_start), &counters, &shared)) {}

  void on_request(const RequestStart& start) override {
    broken = broken || start.sequence != open_.size() || start.messaging == nullptr;
    open_.push_back(true);
  }
  void on_exchange(model::Exchange&& exchange) override {
    const auto& m = std::get<model::MessagingExchange>(exchange.payload);
    if (exchange.sequence >= open_.size() || !open_[exchange.sequence]) {
      broken = true;
      return;
    }
    open_[exchange.sequence] = false;
    broken = broken || exchange.response_end_ns < exchange.request_start_ns;
    std::string out = m.operation;
    for (const std::string* part :
         {&m.destination, &m.destination_id, &m.consumer_group, &m.error_code}) {
      out += part->empty() ? "" : " " + *part;
    }
    out += m.partition ? " p" + std::to_string(*m.partition) : "";
    out += m.message_count ? " n" + std::to_string(*m.message_count) : "";
    out += m.delivery_tag ? " #" + std::to_string(*m.delivery_tag) : "";
    out += m.body_size ? " b" + std::to_string(*m.body_size) : "";
    out += m.offset ? " @" + std::to_string(*m.offset) : "";
    for (const std::string& context : m.creation_contexts) {
      out += " <" + context + ">";
    }
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
  decltype(Make({}, nullptr, nullptr)) connection;
};

}  // namespace zerospan::protocols
