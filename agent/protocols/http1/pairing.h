// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Pairs the requests of one connection with its responses, in order (RFC 9112 section 9.3.2), and
// refuses to pair what it cannot be sure of. Knows nothing of bytes: Connection tells it where
// messages begin and end. README.md has the rules.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "agent/model/exchange.h"
#include "agent/protocols/http1/head.h"
#include "agent/protocols/parser.h"

namespace zerospan::protocols::http1 {

// One request, and what is known of its response.
struct Pending {
  model::Exchange exchange;
  size_t queued_bytes = 0;    // of its head, as counted for the queue
  bool announced = false;     // on_request was called
  bool request_done = false;  // its last byte was seen, or is not waited for
  bool request_end_known = false;
  bool response_begun = false;  // its status line was seen
  bool response_done = false;
  bool response_lost = false;  // bytes were missed where its response may have been
  bool is_head = false;
  bool is_connect = false;
  bool keeps_bodies = false;  // their first bytes

  [[nodiscard]] model::HttpExchange& http() {
    return std::get<model::HttpExchange>(exchange.payload);
  }
  [[nodiscard]] const model::HttpExchange& http() const {
    return std::get<model::HttpExchange>(exchange.payload);
  }
};

// Where a request's first byte was.
struct RequestOrigin {
  uint64_t start_ns = 0;
  uint64_t request_id = 0;
  uint64_t offset = 0;
  uint32_t thread_id = 0;
  model::Evidence evidence = model::Evidence::kNone;
};

// What was missed when a direction's framing was lost.
enum class Loss : uint8_t {
  kNone,
  kPossible,  // messages may have begun in the missed bytes
  kCertain,   // the missed bytes began where a message was due
};

class Pairing {
 public:
  Pairing(size_t max_outstanding, size_t max_memory_bytes, ParserCounters* counters)
      : max_outstanding_(max_outstanding), max_memory_(max_memory_bytes), counters_(counters) {}

  void set_role(model::Role role) { role_ = role; }

  // A request's start line was read. What came of a response that was waiting for a request:
  enum class Held : uint8_t {
    kNone,     // there is none
    kAdopted,  // it is this request's; if it is still open, it goes on as the current response
    kDropped,  // it was nobody's; if it was still open, its bytes have no meaning any more
  };
  Held begin_request(const RequestLine& line, const RequestOrigin& origin, ExchangeSink& sink);
  // Whether a response waits that may be the one to a request of that time.
  [[nodiscard]] bool held_is_for(uint64_t start_ns) const {
    return has_held_ && start_ns <= held_seen_ns_;
  }
  // The request that is being read; null if there is none, or it was given up already.
  [[nodiscard]] Pending* current_request();
  void announce_request(ExchangeSink& sink);  // its head is known
  void note_request_bytes(uint64_t time_ns, uint64_t body_size, bool exact);
  void end_request(ExchangeSink& sink);
  // The request's end may not be seen, so its exchange does not wait for it: a response that ends
  // before it makes the end, and the body's size, unknown. note_request_bytes() goes on.
  void leave_request_open(ExchangeSink& sink);
  void lose_requests(Loss loss);  // after the current request, if there is one

  // A final response's status line was read; `seen_ns` is when its first byte was recorded.
  void begin_response(const StatusLine& line, uint64_t start_ns, uint64_t seen_ns,
                      ExchangeSink& sink);
  // The response that is being read, with its request if that is known; null if it is nobody's.
  [[nodiscard]] Pending* current_response();
  // Its request is known, and in the queue.
  [[nodiscard]] bool response_is_bound() const { return target_ == Target::kFront; }
  void note_response_bytes(uint64_t time_ns, uint64_t body_size, bool exact);
  // `departed_ns`: Chunk::departed_ns of the operation with its last byte.
  void end_response(uint64_t departed_ns, ExchangeSink& sink);
  // Takes the current response's request out, untold, for the protocol that will answer it. Null:
  // another one is open, or this one is not whole.
  [[nodiscard]] std::unique_ptr<UpgradedRequest> take_upgraded();
  // Bytes were missed and it is unknown where the next response begins. A single open request stays
  // (its response's remains may come); of several none can be trusted, they are given up.
  void lose_responses(uint64_t time_ns, ExchangeSink& sink);
  // A byte that may belong to the response of a request whose response was lost.
  void note_lost_response_bytes(uint64_t time_ns);

  [[nodiscard]] size_t outstanding() const { return count_; }
  // The oldest request has no response yet.
  [[nodiscard]] bool awaits_response() const;

  // Nothing more will come. `interrupted`: what an exchange without a whole response ended with;
  // `unanswered`: one without any response; `flags` go to all that are not complete.
  void close(model::Outcome interrupted, model::Outcome unanswered, uint32_t flags,
             uint64_t time_ns, ExchangeSink& sink);

  [[nodiscard]] size_t memory_bytes() const;

 private:
  void close_request(bool end_known, ExchangeSink& sink);
  enum class Target : uint8_t { kNone, kFront, kHeld, kDiscard };

  Pending& at(size_t index) { return slots_[(first_ + index) & (slots_.size() - 1)]; }
  [[nodiscard]] const Pending& at(size_t index) const {
    return slots_[(first_ + index) & (slots_.size() - 1)];
  }
  Pending& push();
  void pop_front();
  bool may_pair(const RequestOrigin& origin);
  void adopt_held(Pending& request);
  void drop_held();
  void announce(Pending& pending, ExchangeSink& sink);
  void emit(Pending& pending, ExchangeSink& sink);
  void emit_ready(ExchangeSink& sink);
  void give_up_front(ExchangeSink& sink);
  // The oldest request's response was missed: gives up all that may have lost theirs with it.
  void give_up_lost(ExchangeSink& sink);

  model::Role role_ = model::Role::kUnknown;
  size_t max_outstanding_;
  size_t max_memory_;
  ParserCounters* counters_;

  std::vector<Pending> slots_;  // a ring; its size is a power of two
  size_t first_ = 0;
  size_t count_ = 0;
  // A request that will not be paired lives here until its own end; only the newest can still be
  // open, so one is enough.
  Pending orphan_;
  bool orphan_open_ = false;
  bool back_open_ = false;  // the newest request of the queue is the current one

  // A response that came before its request (or has none).
  Pending held_;
  bool has_held_ = false;
  uint64_t held_seen_ns_ = 0;
  Target target_ = Target::kNone;

  uint64_t next_sequence_ = 0;
  uint64_t last_request_id_ = 0;
  uint32_t batch_index_ = 0;
  size_t queued_bytes_ = 0;  // of the queue's heads

  Loss request_loss_ = Loss::kNone;  // since the last paired request
  bool broken_ = false;              // the requests' place among the responses is not known
  bool pipelining_seen_ = false;
  bool unmatched_response_ = false;  // since the last paired request
  bool response_loss_seen_ = false;  // since the last paired request
  uint64_t response_loss_ns_ = 0;    // when responses were last missed with no request to blame
  uint64_t overflow_ns_ = 0;         // when a response came while another was held
};

}  // namespace zerospan::protocols::http1
