// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The PostgreSQL parser of one connection, protocol version 3
// (https://www.postgresql.org/docs/current/protocol.html): messages in partly captured, partly lost
// bytes. What they mean is Session's. README.md in this folder has the rules after a loss.
//
// Owned by the connection table; used by one thread. Total: any bytes, any lengths, any order of
// closes. Memory is bounded by Options.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/model/connection.h"
#include "agent/protocols/parser.h"
#include "agent/protocols/postgresql/session.h"

namespace zerospan::protocols::postgresql {

struct Options {
  SessionLimits session;
  size_t max_body_bytes = 16 * 1024;  // of one message
  size_t max_held_bytes = 16 * 1024;  // of answers that were recorded before their request
};

class Connection final : public ConnectionParser {
 public:
  // `counters` outlives the connection and is written by the connection's thread.
  Connection(const model::Connection& connection, const Options& options, ParserCounters* counters);

  Verdict on_chunk(const model::Chunk& chunk, ExchangeSink& sink) override;
  Verdict on_close(const model::Closed& closed, ExchangeSink& sink) override;
  void finish(uint64_t time_ns, ExchangeSink& sink) override;
  [[nodiscard]] model::Role role() const override;
  [[nodiscard]] size_t memory_bytes() const override;

 private:
  enum class State : uint8_t {
    kStartup,    // a message without a type is due
    kNegotiate,  // requests: the answer to SSLRequest or GSSENCRequest is awaited; responses: due
    kHeader,
    kBody,
    kLost,
  };

  // One direction.
  struct Side {
    State state = State::kLost;
    bool offset_known = false;
    uint64_t next_offset = 0;
    std::string header;  // what there is of it
    char type = 0;
    uint32_t code = 0;       // of a message without a type
    uint64_t remaining = 0;  // of the body
    bool body_cut = false;   // bytes of it were missed, or are too many
    size_t body_wanted = 0;
    std::string body;
    Origin begin;      // of the message's first byte
    std::string tail;  // lost: the last bytes that were captured without a break
  };

  // An answer that was recorded before its request, as it may be on a client.
  struct Held {
    uint64_t offset = 0;
    uint32_t length = 0;
    std::string head;
    std::string tail;
    uint64_t time_ns = 0;
  };

  [[nodiscard]] bool is_request(model::Direction direction) const {
    return direction ==
           (role_ == model::Role::kServer ? model::Direction::kReceive : model::Direction::kSend);
  }
  [[nodiscard]] Side& side(model::Direction direction) {
    return sides_[static_cast<size_t>(direction)];
  }
  void begin(model::Direction requests);
  void decide_role(const model::Chunk& chunk);
  void take(const model::Chunk& chunk, ExchangeSink& sink);
  void release_held(uint64_t before_ns, ExchangeSink& sink);
  void feed(Side& side, bool request, std::string_view bytes, ExchangeSink& sink);
  void skip(Side& side, bool request, uint64_t count, bool lost, ExchangeSink& sink);
  void begin_body(Side& side, bool request, uint32_t length);
  void end_message(Side& side, bool request, std::string_view body, ExchangeSink& sink);
  void lose(Side& side, bool request, bool lost);

  Options options_;
  ParserCounters* counters_;
  model::Role kernel_role_;
  model::Role role_ = model::Role::kUnknown;
  bool seen_from_start_;
  bool opaque_ = false;
  Origin op_;  // the operation that is being worked on
  Session session_;
  std::array<Side, 2> sides_;
  std::vector<Held> held_;
  size_t held_bytes_ = 0;
};

}  // namespace zerospan::protocols::postgresql
