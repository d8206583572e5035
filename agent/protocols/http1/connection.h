// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The HTTP/1.x parser of one connection (RFC 9112, and RFC 9110 for the meaning of methods and
// status codes): finds the messages of both directions in partly captured, partly lost bytes, and
// pairs them. README.md in this folder has the states and the rules after a loss.
//
// Owned by the connection table; used by one thread. Total: any bytes, any lengths, any order of
// closes. Memory is bounded by Options.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "agent/model/connection.h"
#include "agent/protocols/http1/body.h"
#include "agent/protocols/http1/head.h"
#include "agent/protocols/http1/pairing.h"
#include "agent/protocols/parser.h"

namespace zerospan::protocols::http1 {

// Makes the parser of what an HTTP/1.1 connection becomes.
using MakeSuccessor = std::unique_ptr<ConnectionParser> (*)(UpgradedRequest&& request,
                                                            ParserCounters* counters);

struct Options {
  size_t max_head_bytes = 16 * 1024;     // a longer head is given out truncated
  size_t max_outstanding = 256;          // requests that wait for a response
  size_t max_memory_bytes = 256 * 1024;  // heads of waiting requests; one message head per
                                         // direction may come on top
  MakeSuccessor make_h2c = nullptr;      // HTTP/2 after `Upgrade: h2c` (RFC 7540 section 3.2)
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
    kBoundary,   // the next byte begins a message
    kStartLine,  // its start line is not whole yet
    kFields,     // the start line is known, the empty line is still to come
    kBody,
    kLost,    // in no message: waits for one that begins with an operation
    kTunnel,  // the other direction decides whether these bytes are HTTP
  };

  // The operation that is being worked on.
  struct Operation {
    model::Direction direction = model::Direction::kReceive;
    uint64_t time_ns = 0;
    uint64_t departed_ns = 0;
    uint32_t thread_id = 0;
    uint64_t request_id = 0;
    model::Evidence evidence = model::Evidence::kNone;
    uint64_t bytes_end = 0;  // where the bytes that are being fed end in the stream
  };

  struct Stream {
    State state = State::kBoundary;
    bool offset_known = false;
    bool tunnel_bytes = false;      // some came in kTunnel
    bool interim = false;           // the response being read is a 1xx one
    uint16_t status = 0;            // of the response being read
    Loss early_loss = Loss::kNone;  // before the role was known
    uint64_t next_offset = 0;
    uint64_t message_offset = 0;  // of the message's first byte
    Operation first;              // the operation with the message's first byte
    std::string head;    // what came of the head, if it did not come whole in one operation
    size_t scanned = 0;  // of `head`, see find_head_end
    Body body;
  };

  [[nodiscard]] Stream& stream(model::Direction direction) {
    return streams_[static_cast<size_t>(direction)];
  }
  [[nodiscard]] bool is_request(model::Direction direction) const {
    return direction == request_direction();
  }
  [[nodiscard]] model::Direction request_direction() const {
    return role_ == model::Role::kServer ? model::Direction::kReceive : model::Direction::kSend;
  }
  [[nodiscard]] model::Direction response_direction() const {
    return model::opposite(request_direction());
  }

  // Captured bytes; `first`: they begin the operation. `sink` is that of the call in progress.
  void feed(const Operation& op, std::string_view bytes, bool first, ExchangeSink& sink);
  // `count` bytes that were not captured (`gap` false) or whose record was lost (`gap` true).
  void skip(const Operation& op, uint64_t count, bool gap, ExchangeSink& sink);
  void decide_role(const Operation& op, std::string_view bytes, bool first, ExchangeSink& sink);
  // `bytes` begin an operation. Do they begin a message of that direction?
  [[nodiscard]] bool starts_message(model::Direction direction, std::string_view bytes) const;

  // `bytes` are the beginning of a start line that is not whole yet, if they are one at all.
  [[nodiscard]] bool may_begin(model::Direction direction, std::string_view bytes) const;

  // Each returns how many of the bytes it took.
  size_t feed_head(const Operation& op, std::string_view bytes, ExchangeSink& sink);
  size_t feed_body(const Operation& op, std::string_view bytes, bool first, ExchangeSink& sink);

  bool begin_message(const Operation& op, std::string_view line, ExchangeSink& sink);
  void begin_request(const Operation& op, const RequestLine& line, ExchangeSink& sink);
  void begin_response(const Operation& op, const StatusLine& line, ExchangeSink& sink);
  void adopt_response(ExchangeSink& sink);
  // `bytes` begin with a start line that was taken. Returns the size of its head; 0: it is not
  // whole.
  size_t end_head(const Operation& op, std::string_view bytes, ExchangeSink& sink);
  void end_request_head(const Operation& op, const Framing& framing, ExchangeSink& sink);
  void end_response_head(const Operation& op, const Framing& framing, ExchangeSink& sink);
  bool end_with_upgrade(const Operation& op, ExchangeSink& sink);
  bool end_with_h2c();
  // What the operation has behind the head that changed the protocol goes to the next parser.
  Verdict hand_over(const model::Chunk& chunk, ExchangeSink& sink);
  void end_tunnel_wait();
  void go_opaque(uint64_t time_ns, ExchangeSink& sink);
  // The rest of a head will not be seen; `reason` is an IncompleteReason.
  void cut_head(const Operation& op, std::string_view head, uint32_t reason, ExchangeSink& sink);
  void note_body(const Operation& op);
  // Where the first bytes of the body that is being read go; null: nowhere.
  [[nodiscard]] std::string* body_start(model::Direction direction);
  [[nodiscard]] bool keeps_answer(const Pending& pending) const;
  void end_message(const Operation& op, ExchangeSink& sink);
  void lose_body(const Operation& op, bool gap, ExchangeSink& sink);
  // The next message's beginning is unknown from here on.
  void lose_framing(const Operation& op, Loss loss, ExchangeSink& sink);
  void pass_over(const Operation& op, ExchangeSink& sink);
  void lose(const Operation& op, uint64_t offset, ExchangeSink& sink);
  void catch_up(model::Direction direction, uint64_t offset, uint64_t time_ns, ExchangeSink& sink);
  // Marks what is being read in this direction.
  void flag(model::Direction direction, uint32_t incomplete);

  void keep_cut_head(model::Direction direction);
  void close_requests(ExchangeSink& sink);
  void close_responses(bool reset, ExchangeSink& sink);
  void unparsed(size_t bytes) { counters_->unparsed_bytes += bytes; }

  Options options_;
  ParserCounters* counters_;
  model::Role kernel_role_;
  model::Role role_ = model::Role::kUnknown;
  bool opaque_ = false;
  std::unique_ptr<UpgradedRequest> upgraded_;    // during the call in which the protocol changes
  std::string_view left_;                        // the same: bytes of the next protocol
  std::unique_ptr<ConnectionParser> successor_;  // all goes to it
  bool message_seen_ = false;
  std::array<Stream, 2> streams_;
  Pairing pairing_;
};

}  // namespace zerospan::protocols::http1
