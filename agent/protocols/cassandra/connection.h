// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The parser of one connection of Cassandra's native protocol, versions 3 to 5
// (https://github.com/apache/cassandra/tree/trunk/doc, native_protocol_v3.spec to
// native_protocol_v5.spec): frames with requests, and answers that name them by their stream, in
// any order. README.md in this folder has what is an exchange, and the rules after a loss.
//
// Owned by the connection table; used by one thread. Total: any bytes, any lengths, any order of
// closes. Memory is bounded by Options.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/model/connection.h"
#include "agent/protocols/cassandra/messages.h"
#include "agent/protocols/parser.h"
#include "agent/protocols/shared.h"

namespace zerospan::protocols::cassandra {

struct Options {
  size_t max_pending = 4096;  // requests that wait for their answer
  size_t max_early = 64;      // answers that were recorded before their request
};

class Connection final : public ConnectionParser {
 public:
  // `counters` and `shared` outlive the connection and are used by its thread.
  Connection(const model::Connection& connection, const Options& options, ParserCounters* counters,
             Shared* shared);

  Verdict on_chunk(const model::Chunk& chunk, ExchangeSink& sink) override;
  Verdict on_close(const model::Closed& closed, ExchangeSink& sink) override;
  void finish(uint64_t time_ns, ExchangeSink& sink) override;
  [[nodiscard]] model::Role role() const override;
  [[nodiscard]] size_t memory_bytes() const override;

 private:
  // The operation that a frame began in.
  struct Origin {
    uint64_t number = 0;
    uint64_t time_ns = 0;      // when it ended
    uint64_t departed_ns = 0;  // when its first byte could have left; receives: time_ns
    uint64_t request_id = 0;
    uint32_t thread_id = 0;
    model::Evidence evidence = model::Evidence::kNone;
    bool begins_frame = false;  // nothing is in it before this frame
  };

  // One direction.
  struct Side {
    bool lost = false;
    bool sure = false;  // seen from its start, and never lost
    bool offset_known = false;
    uint64_t next_offset = 0;
    bool segmented = false;
    bool trailer = false;       // a segment's checksum comes before the next one
    uint64_t segment_left = 0;  // of its payload
    std::string header_bytes;   // of a segment or a frame, until all of them are there
    bool in_frame = false;
    Header header;
    uint64_t at = 0;   // how much of the body has passed
    bool gap = false;  // some of it was lost
    std::string body;  // its beginning
    Origin begin;
  };

  struct Pending {
    bool announced = false;
    Opcode opcode = Opcode::kQuery;
    std::vector<Query> queries;  // PREPARE: what the answer's id will stand for
    bool cut = false;
    std::unique_ptr<model::Exchange> exchange;
  };

  struct Early {
    uint64_t begin_ns = 0;
    uint64_t end_ns = 0;
    bool gap = false;
    Header header;
    Answer answer;
  };

  [[nodiscard]] bool is_request(model::Direction direction) const {
    return direction ==
           (role_ == model::Role::kServer ? model::Direction::kReceive : model::Direction::kSend);
  }
  [[nodiscard]] Side& side(model::Direction direction) {
    return sides_[static_cast<size_t>(direction)];
  }
  void resume(Side& side, bool request, std::string_view head);
  void note_gap(Side& side, bool request, uint64_t offset);
  void skip(Side& side, bool request, uint64_t count, bool lost);
  void lose(Side& side, bool request);
  void refuse(Side& side, bool request);
  void feed(Side& side, bool request, std::string_view bytes);
  // False: they are no header.
  bool feed_header(Side& side, bool request, std::string_view& bytes);
  bool begin_segment(Side& side);
  bool begin_frame(Side& side, bool request);
  void advance(Side& side, bool request, uint64_t count);
  void end_frame(Side& side, bool request);
  void end_request(Side& side);
  void end_answer(Side& side);
  void name_statement(Pending& pending, Request&& request);
  [[nodiscard]] model::Evidence believed(const Side& side) const;
  void answer(Pending&& pending, const Early& early);
  void announce(Pending& pending);
  void tell(Pending&& pending);
  void give_up(Pending&& pending, uint32_t incomplete);
  void close_all(model::Outcome outcome, uint32_t incomplete, uint64_t time_ns);

  Options options_;
  ParserCounters* counters_;
  Shared* shared_;
  ExchangeSink* sink_ = nullptr;  // during a call
  uint32_t pid_;
  model::Role kernel_role_;
  model::Role role_ = model::Role::kUnknown;
  bool opaque_ = false;
  Origin op_;             // the operation that is being worked on
  uint64_t op_rest_ = 0;  // how much of it is still to come
  std::array<Side, 2> sides_;
  std::map<int16_t, Pending> pending_;  // by stream
  std::map<int16_t, Early> early_;      // by stream
  std::string keyspace_;                // empty: none, or not known
  bool multiplexed_ = false;            // two requests were unanswered at once
  uint64_t next_sequence_ = 0;
  uint64_t last_request_id_ = 0;
  uint32_t batch_index_ = 0;
};

}  // namespace zerospan::protocols::cassandra
