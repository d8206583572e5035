// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The parser of one connection of NATS's client protocol
// (https://docs.nats.io/reference/reference-protocols/nats-protocol): lines, and the payloads that
// follow some. README.md in this folder has what is an exchange, and the rules after a loss.
//
// Owned by the connection table; used by one thread. Total: any bytes, any lengths, any order of
// closes. Memory is bounded by Options.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agent/model/connection.h"
#include "agent/protocols/nats/lines.h"
#include "agent/protocols/parser.h"

namespace zerospan::protocols::nats {

struct Options {
  size_t max_header_bytes = 4 * 1024;  // of one message that are looked at
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
  // The operation that a line began in.
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
    bool sure = false;  // seen from its start, and never lost
    bool offset_known = false;
    uint64_t next_offset = 0;
    std::string line;     // as far as it has come
    bool hidden = false;  // its bytes do not matter, and some may be left out
    bool in_payload = false;
    Message message;      // whose payload that is
    uint64_t size = 0;    // of it, with the line's end behind it
    uint64_t at = 0;      // how much of it has passed
    bool gap = false;     // some of it was lost
    bool cut = false;     // some of its headers are not in `headers`
    std::string headers;  // their beginning
    std::string ending;   // of the last two bytes those that were captured
    Origin begin;
  };

  // What a server said before the CONNECT that it answers was recorded.
  struct Early {
    uint64_t begin_ns = 0;
    uint64_t end_ns = 0;
    std::string error;
  };

  [[nodiscard]] bool is_client(model::Direction direction) const {
    return direction ==
           (role_ == model::Role::kServer ? model::Direction::kReceive : model::Direction::kSend);
  }
  [[nodiscard]] Side& side(model::Direction direction) {
    return sides_[static_cast<size_t>(direction)];
  }
  void feed(Side& side, bool client, std::string_view bytes);
  void feed_line(Side& side, bool client, std::string_view& bytes);
  void feed_payload(Side& side, bool client, std::string_view& bytes);
  void skip(Side& side, bool client, uint64_t count, bool lost);
  void note_gap(Side& side, bool client, uint64_t offset);
  void lose(Side& side, bool client);
  void refuse(Side& side, bool client);
  void end_line(Side& side, bool client);
  void end_payload(Side& side, bool client);
  void on_connect(Side& side);
  void on_answer(const Side& side, const ErrorFacts& error);
  void answer_connect(uint64_t begin_ns, uint64_t end_ns, const std::string& error);
  [[nodiscard]] std::unique_ptr<model::Exchange> make(const Side& side, bool client,
                                                      model::MessagingExchange&& message) const;
  void announce(model::Exchange& exchange);
  void tell(model::Exchange&& exchange);
  void close_connect(model::Outcome outcome, uint32_t incomplete);

  Options options_;
  ParserCounters* counters_;
  ExchangeSink* sink_ = nullptr;  // during a call
  model::Role kernel_role_;
  model::Role role_ = model::Role::kUnknown;
  bool opaque_ = false;
  Origin op_;  // the operation that is being worked on
  std::array<Side, 2> sides_;
  std::unique_ptr<model::Exchange> connect_;  // that waits for its answer
  std::optional<Early> early_;
  bool answered_ = false;  // the server has said something that answers a CONNECT
  uint64_t next_sequence_ = 0;
};

}  // namespace zerospan::protocols::nats
