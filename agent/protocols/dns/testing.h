// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// DNS messages as tests make them, and what a parser tells of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "agent/protocols/dns/connection.h"

namespace zerospan::protocols::dns {

inline std::string number(uint64_t value, size_t bytes) {
  std::string out;
  for (size_t i = bytes; i-- > 0;) {
    out += static_cast<char>(value >> 8U * i);
  }
  return out;
}

inline std::string name(std::string_view dotted) {
  std::string out;
  while (!dotted.empty()) {
    const std::string_view label = dotted.substr(0, dotted.find('.'));
    out += number(label.size(), 1) + std::string(label);
    dotted.remove_prefix(std::min(dotted.size(), label.size() + 1));
  }
  return out + '\0';
}

inline std::string question(std::string_view dotted, uint16_t type = 1) {
  return name(dotted) + number(type, 2) + number(1, 2);
}

inline std::string query(uint16_t id, std::string_view dotted, uint16_t type = 1) {
  return number(id, 2) + number(0x0100, 2) + number(1, 2) + number(0, 6) + question(dotted, type);
}

// A record whose name points to the question.
inline std::string record(uint16_t type, const std::string& data) {
  return number(0xc00c, 2) + number(type, 2) + number(1, 2) + number(60, 4) +
         number(data.size(), 2) + data;
}

inline std::string reply(uint16_t id, std::string_view dotted, uint16_t type = 1,
                         uint16_t flags = 0x8180, const std::vector<std::string>& records = {}) {
  std::string out = number(id, 2) + number(flags, 2) + number(1, 2) + number(records.size(), 2) +
                    number(0, 4) + question(dotted, type);
  for (const std::string& one : records) {
    out += one;
  }
  return out;
}

inline std::string with_length(const std::string& message) {
  return number(message.size(), 2) + message;
}

struct Step {
  bool request = true;
  std::string bytes;
};

// Each operation takes a microsecond.
class Runner final : public ExchangeSink {
 public:
  explicit Runner(model::Transport transport, model::Role role = model::Role::kClient,
                  bool seen_from_start = true, Options options = {})
      : role_(role),
        connection(connection_of(transport, role, seen_from_start), options, &counters) {}

  void on_request(const RequestStart& start) override {
    broken = broken || start.sequence != open_.size() || start.dns == nullptr;
    open_.push_back(true);
  }
  void on_exchange(model::Exchange&& exchange) override {
    const auto& dns = std::get<model::DnsExchange>(exchange.payload);
    if (exchange.sequence >= open_.size() || !open_[exchange.sequence]) {
      broken = true;
      return;
    }
    open_[exchange.sequence] = false;
    broken = broken || exchange.response_end_ns < exchange.request_start_ns;
    std::string out = dns.name + " " + std::to_string(dns.type);
    out += dns.response_code ? " " + std::to_string(*dns.response_code) : " unanswered";
    out += dns.truncated ? " truncated" : "";
    for (const std::string& address : dns.answers) {
      out += " " + address;
    }
    out += dns.peer.address.empty() ? "" : " @" + dns.peer.address;
    out += exchange.outcome == model::Outcome::kReset        ? " reset"
           : exchange.outcome == model::Outcome::kNoResponse ? " no response"
                                                             : "";
    last = exchange;
    (exchange.incomplete == 0 ? told : flagged).push_back(out);
  }
  void step(const Step& step, const model::Endpoint* peer = nullptr, size_t head = SIZE_MAX) {
    now_ns += 1000;
    const bool receive = step.request == (role_ == model::Role::kServer);
    model::Chunk chunk;
    chunk.direction = receive ? model::Direction::kReceive : model::Direction::kSend;
    chunk.offset = offsets_[receive ? 0 : 1];
    chunk.opposite_offset = offsets_[receive ? 1 : 0];
    chunk.length = static_cast<uint32_t>(step.bytes.size());
    chunk.head = std::string_view(step.bytes).substr(0, head);
    chunk.time_ns = now_ns;
    chunk.departed_ns = now_ns - late_ns;
    chunk.request_id = now_ns;
    chunk.peer = peer;
    opaque = connection.on_chunk(chunk, *this) == Verdict::kOpaque;
    offsets_[receive ? 0 : 1] += step.bytes.size();
  }
  void ask(const std::string& bytes, const model::Endpoint* peer = nullptr) {
    step({true, bytes}, peer);
  }
  void answer(const std::string& bytes, const model::Endpoint* peer = nullptr) {
    step({false, bytes}, peer);
  }
  void lose(const Step& step) {
    now_ns += 1000;
    offsets_[step.request == (role_ == model::Role::kServer) ? 0 : 1] += step.bytes.size();
  }
  void close(model::CloseKind kind = model::CloseKind::kClosed) {
    static_cast<void>(connection.on_close({kind, now_ns += 1000, offsets_[0], offsets_[1]}, *this));
  }
  void finish() {
    connection.finish(now_ns += 1000, *this);
    broken = broken || std::find(open_.begin(), open_.end(), true) != open_.end();
  }

  std::vector<std::string> told;
  std::vector<std::string> flagged;
  model::Exchange last;
  ParserCounters counters;
  uint64_t now_ns = 1'000'000;
  uint64_t late_ns = 0;  // how long sends are recorded after they could have left
  bool opaque = false;
  bool broken = false;  // the sink's contract

 private:
  static model::Connection connection_of(model::Transport transport, model::Role role,
                                         bool seen_from_start) {
    model::Connection connection;
    connection.id = 7;
    connection.pid = 42;
    connection.role = role;
    connection.transport = transport;
    connection.is_dns = true;
    connection.seen_from_start = seen_from_start;
    return connection;
  }

  uint64_t offsets_[2] = {0, 0};
  model::Role role_;
  std::vector<bool> open_;

 public:
  Connection connection;
};

// Questions whose names tell them apart; answers in any order, some never. Of UDP each step is a
// datagram, of TCP a message with its length.
inline std::vector<Step> random_session(std::mt19937_64& random, size_t turns) {
  const auto below = [&](uint64_t limit) { return random() % limit; };
  std::vector<Step> steps;
  std::vector<std::string> answers;
  for (size_t turn = 0; turn < turns; ++turn) {
    const std::string asked = "name" + std::to_string(turn) + ".test";
    const auto id = static_cast<uint16_t>(below(4));
    const uint16_t type = below(2) == 0 ? 1 : 28;
    steps.push_back({true, query(id, asked, type)});
    const std::string address(type == 1 ? 4 : 16, static_cast<char>(1 + below(100)));
    if (below(6) != 0) {
      answers.push_back(reply(id, asked, type, below(4) == 0 ? 0x8183 : 0x8180,
                              {record(5, name("alias.test")), record(type, address)}));
    }
    while (!answers.empty() && below(2) == 0) {
      const auto one = answers.begin() + static_cast<ptrdiff_t>(below(answers.size()));
      steps.push_back({false, *one});
      answers.erase(one);
    }
  }
  return steps;
}

}  // namespace zerospan::protocols::dns
