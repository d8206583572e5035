// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The parser of one connection of MongoDB's protocol
// (https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/): requests, and the answers
// that name them. README.md in this folder has what is an exchange, and the rules after a loss.
//
// Owned by the connection table; used by one thread. Total: any bytes, any lengths, any order of
// closes. Memory is bounded by Options.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "agent/model/connection.h"
#include "agent/protocols/early_answers.h"
#include "agent/protocols/mongodb/messages.h"
#include "agent/protocols/parser.h"
#include "agent/protocols/parts.h"

namespace zerospan::protocols::mongodb {

struct Options {
  size_t max_pending = 256;            // requests that wait for their response
  size_t max_early_bytes = 16 * 1024;  // of responses that were recorded before their request
};

class Connection final : public ConnectionParser {
 public:
  // `counters` outlives the connection and is used by its thread.
  Connection(const model::Connection& connection, const Options& options, ParserCounters* counters);

  Verdict on_chunk(const model::Chunk& chunk, ExchangeSink& sink) override;
  Verdict on_close(const model::Closed& closed, ExchangeSink& sink) override;
  void finish(uint64_t time_ns, ExchangeSink& sink) override;
  [[nodiscard]] model::Role role() const override;
  [[nodiscard]] size_t memory_bytes() const override;

 private:
  // The operation that a message began in.
  struct Origin {
    uint64_t time_ns = 0;      // when it ended
    uint64_t departed_ns = 0;  // when its first byte could have left; receives: time_ns
    uint64_t request_id = 0;
    uint32_t thread_id = 0;
    model::Evidence evidence = model::Evidence::kNone;
  };

  // One direction.
  struct Side {
    bool lost = false;
    bool offset_known = false;
    uint64_t next_offset = 0;
    std::string header_bytes;  // until all of them are there
    Header header;
    uint64_t length = 0;   // of the message; 0: none is being read
    uint64_t at = 0;       // how much of it has passed
    bool gap = false;      // some of it was lost
    bool trusted = false;  // since the last loss a message was one
    Parts parts;
    Origin begin;
  };

  struct Pending {
    int32_t id = 0;  // that the answer names
    bool announced = false;
    bool housekeeping = false;
    bool begun = false;  // an answer was seen, and another one follows
    std::unique_ptr<model::Exchange> exchange;
  };

  [[nodiscard]] bool is_request(model::Direction direction) const {
    return direction ==
           (role_ == model::Role::kServer ? model::Direction::kReceive : model::Direction::kSend);
  }
  [[nodiscard]] Side& side(model::Direction direction) {
    return sides_[static_cast<size_t>(direction)];
  }
  void take(const model::Chunk& chunk);
  void release_early(uint64_t before_ns);
  void resume(Side& side, bool request, std::string_view head, uint64_t length);
  // False: it is none.
  bool begin_message(Side& side, bool request);
  void feed(Side& side, bool request, std::string_view bytes);
  void note_gap(Side& side, bool request, uint64_t offset);
  void skip(Side& side, bool request, uint64_t count, bool lost);
  void lose(Side& side, bool request, bool lost);
  void end_message(Side& side, bool request);
  void end_request(Side& side);
  void end_response(Side& side);
  [[nodiscard]] bool waits_for(int32_t id) const;
  void announce(Pending& pending);
  void tell(Pending&& pending);
  void give_up(Pending&& pending, uint32_t incomplete);
  void close_all(model::Outcome outcome, uint32_t incomplete, uint64_t time_ns);

  Options options_;
  ParserCounters* counters_;
  ExchangeSink* sink_ = nullptr;  // during a call
  model::Role kernel_role_;
  model::Role role_ = model::Role::kUnknown;
  bool opaque_ = false;
  Origin op_;  // the operation that is being worked on
  std::array<Side, 2> sides_;
  EarlyAnswers early_;
  std::deque<Pending> pending_;
  uint64_t next_sequence_ = 0;
  uint64_t last_request_id_ = 0;
  uint32_t batch_index_ = 0;
};

}  // namespace zerospan::protocols::mongodb
