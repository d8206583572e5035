// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The parser of one socket that DNS goes over: datagrams of UDP (RFC 1035 section 4.2.1) or a TCP
// connection (section 4.2.2, RFC 7766). README.md in this folder has what is an exchange. Used by
// one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "agent/model/connection.h"
#include "agent/protocols/dns/message.h"
#include "agent/protocols/parser.h"

namespace zerospan::protocols::dns {

struct Options {
  size_t max_message_bytes = 8 * 1024;  // of one message over TCP that are looked at
  size_t max_pending = 1024;            // queries without an answer
  size_t max_early = 16;                // answers that are kept for their query
  // How long an answer over UDP is waited for.
  uint64_t patience_ns = 10'000'000'000;
};

class Connection final : public ConnectionParser {
 public:
  // `counters` outlives the connection and is used by its thread.
  Connection(const model::Connection& connection, const Options& options, ParserCounters* counters);

  Verdict on_chunk(const model::Chunk& chunk, ExchangeSink& sink) override;
  Verdict on_close(const model::Closed& closed, ExchangeSink& sink) override;
  void finish(uint64_t time_ns, ExchangeSink& sink) override;
  [[nodiscard]] model::Role role() const override { return role_; }
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
    bool offset_known = false;
    uint64_t next_offset = 0;
    // TCP: the message that is being read, with its length before it.
    bool lost = false;  // it is not known where one begins
    uint64_t at = 0;    // how much of it has passed
    uint64_t size = 0;  // once its length is known
    std::string kept;   // its beginning, up to the first byte that was not captured
    bool hole = false;
    Origin begin;
  };

  // A query that is not answered.
  struct Pending {
    uint16_t id = 0;
    std::string key;
    bool asked_again = false;  // the answer may be to another one, which looks the same
    bool lost = false;         // something that was received or sent since was not captured
    std::unique_ptr<model::Exchange> exchange;
  };

  // What came before its query was recorded.
  struct Early {
    Message message;
    uint64_t begin_ns = 0;
    uint64_t end_ns = 0;
  };

  [[nodiscard]] Side& side(model::Direction direction) {
    return sides_[static_cast<size_t>(direction)];
  }
  void on_datagram(const model::Chunk& chunk);
  void on_stream(const model::Chunk& chunk);
  void note_gap(model::Direction direction, uint64_t offset);
  void feed(model::Direction direction, std::string_view bytes);
  void skip(model::Direction direction, uint64_t count, bool lost);
  void end_message(model::Direction direction);
  void lose(model::Direction direction);
  // A record of this direction is missing.
  void doubt(model::Direction direction);
  void on_message(model::Direction direction, Message&& message, const Origin& begin,
                  const model::Endpoint* peer);
  void on_query(model::Direction direction, Message&& message, const Origin& begin,
                const model::Endpoint* peer);
  void on_answer(model::Direction direction, Message&& message, uint64_t begin_ns,
                 const model::Endpoint* peer);
  void answer(std::deque<Pending>::iterator query, Message&& message, uint64_t begin_ns,
              uint64_t end_ns, const model::Endpoint* peer);
  void end_unanswered(std::deque<Pending>::iterator query, model::Outcome outcome,
                      uint32_t incomplete, uint64_t end_ns);
  void give_up_old(uint64_t time_ns);

  Options options_;
  ParserCounters* counters_;
  ExchangeSink* sink_ = nullptr;  // during a call
  const bool datagrams_;
  const bool seen_from_start_;
  model::Role role_;
  bool understood_ = false;  // there was a message
  bool opaque_ = false;
  Origin op_;  // the operation that is being worked on
  std::array<Side, 2> sides_;
  std::deque<Pending> pending_;  // the oldest first
  std::deque<Early> early_;
  uint64_t next_sequence_ = 0;
};

}  // namespace zerospan::protocols::dns
