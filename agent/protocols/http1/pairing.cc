// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/http1/pairing.h"

#include <algorithm>
#include <utility>

#include "agent/protocols/http1/body.h"

namespace zerospan::protocols::http1 {
namespace {

constexpr size_t kKeptSlots = 2;  // a drained queue larger than this gives its memory back

size_t head_bytes(const model::HeaderBlock& headers) {
  return headers.raw().size() + headers.size() * 4 * sizeof(uint32_t);
}

size_t pending_bytes(const Pending& pending) {
  return head_bytes(pending.http().request_headers) + head_bytes(pending.http().response_headers) +
         pending.http().target.size() + pending.http().method.size() +
         (pending.keeps_bodies ? 2 * Body::kMostKept : pending.http().response_body_start.size());
}

// Makes it new, keeping the buffers that the sink left in it.
void reset(Pending& pending) {
  model::HttpExchange& http = pending.http();
  http.method.clear();
  http.target.clear();
  http.request_headers.clear();
  http.response_headers.clear();
  http.request_body_start.clear();
  http.response_body_start.clear();
  http.version_minor = 1;
  http.status = 0;
  http.request_body_size = http.response_body_size = 0;
  http.request_body_size_exact = http.response_body_size_exact = true;
  http.upgraded = false;

  model::Exchange& exchange = pending.exchange;
  exchange.sequence = 0;
  exchange.request_start_ns = exchange.request_end_ns = 0;
  exchange.response_start_ns = exchange.response_end_ns = 0;
  exchange.request_id = 0;
  exchange.evidence = model::Evidence::kNone;
  exchange.batch_index = 0;
  exchange.thread_id = 0;
  exchange.outcome = model::Outcome::kComplete;
  exchange.incomplete = model::kIncompleteNone;
  pending.queued_bytes = 0;
  pending.announced = pending.request_done = pending.request_end_known = false;
  pending.response_begun = pending.response_done = pending.response_lost = false;
  pending.is_head = pending.is_connect = pending.keeps_bodies = false;
}

}  // namespace

Pending& Pairing::push() {
  if (count_ == slots_.size()) {
    std::vector<Pending> larger(std::max<size_t>(1, slots_.size() * 2));
    for (size_t i = 0; i < count_; ++i) {
      larger[i] = std::move(at(i));
    }
    slots_ = std::move(larger);
    first_ = 0;
  }
  ++count_;
  return at(count_ - 1);
}

void Pairing::pop_front() {
  if (count_ == 1) {
    back_open_ = false;
  }
  if (target_ == Target::kFront) {
    target_ = Target::kDiscard;
  }
  queued_bytes_ -= at(0).queued_bytes;
  reset(at(0));
  first_ = (first_ + 1) & (slots_.size() - 1);
  --count_;
  if (count_ == 0 && slots_.size() > kKeptSlots) {
    slots_ = std::vector<Pending>();
    first_ = 0;
  }
}

// Whether the response of a new request will be known when it comes. See "Lost requests" in
// README.md.
bool Pairing::may_pair(const RequestOrigin& origin) {
  if (broken_ || request_loss_ != Loss::kNone) {
    bool sure = count_ == 0 && !pipelining_seen_;
    if (broken_) {
      sure = sure && response_loss_seen_;
    } else if (request_loss_ == Loss::kCertain) {
      sure = sure && (unmatched_response_ || response_loss_seen_) && !held_is_for(origin.start_ns);
    }
    broken_ = !sure;
    request_loss_ = Loss::kNone;
    return sure;
  }
  if (count_ >= max_outstanding_ || queued_bytes_ >= max_memory_) {
    ++counters_->limits_hit;
    broken_ = true;
    pipelining_seen_ = true;
    return false;
  }
  return true;
}

Pairing::Held Pairing::begin_request(const RequestLine& line, const RequestOrigin& origin,
                                     ExchangeSink& sink) {
  // The request before this one has ended, seen or not.
  if (current_request() != nullptr) {
    end_request(sink);
  }
  give_up_lost(sink);
  bool pair = may_pair(origin);
  const bool adopt = pair && count_ == 0 && held_is_for(origin.start_ns);
  Held held = Held::kNone;
  if (has_held_) {
    held = adopt ? Held::kAdopted : Held::kDropped;
    if (!adopt) {
      drop_held();
    }
  }
  if (pair && !adopt && overflow_ns_ != 0) {
    if (origin.start_ns <= overflow_ns_) {
      pair = false;  // its response may be one that there was no room for
    } else {
      overflow_ns_ = 0;
    }
  }

  Pending& pending = pair ? push() : orphan_;
  if (!pair) {
    orphan_open_ = true;
    pending.exchange.incomplete |= model::kGap;
    pending.response_done = true;
  } else {
    back_open_ = true;
    response_loss_seen_ = unmatched_response_ = false;
    pending.response_lost = !adopt && origin.start_ns <= response_loss_ns_;
  }
  model::Exchange& exchange = pending.exchange;
  exchange.role = role_;
  exchange.request_start_ns = exchange.request_end_ns = origin.start_ns;
  exchange.request_id = origin.request_id;
  exchange.request_offset = origin.offset;
  exchange.evidence = origin.evidence;
  exchange.thread_id = origin.thread_id;
  if (role_ == model::Role::kServer) {
    const bool same_batch = origin.request_id != 0 && origin.request_id == last_request_id_;
    batch_index_ = same_batch ? batch_index_ + 1 : 0;
    last_request_id_ = origin.request_id;
    exchange.batch_index = batch_index_;
  }
  model::HttpExchange& http = pending.http();
  http.method.assign(line.method);
  http.target.assign(line.target);
  http.version_minor = line.version_minor;
  pending.is_head = line.method == "HEAD";
  pending.is_connect = line.method == "CONNECT";
  if (adopt) {
    adopt_held(pending);
  }
  return held;
}

void Pairing::adopt_held(Pending& request) {
  model::Exchange& exchange = request.exchange;
  exchange.response_start_ns = held_.exchange.response_start_ns;
  exchange.response_end_ns = held_.exchange.response_end_ns;
  exchange.incomplete |= held_.exchange.incomplete;
  model::HttpExchange& http = request.http();
  http.status = held_.http().status;
  http.upgraded = held_.http().upgraded;
  std::swap(http.response_headers, held_.http().response_headers);
  std::swap(http.response_body_start, held_.http().response_body_start);
  http.response_body_size = held_.http().response_body_size;
  http.response_body_size_exact = held_.http().response_body_size_exact;
  request.response_begun = true;
  request.response_done = held_.response_done;
  if (target_ == Target::kHeld) {
    target_ = Target::kFront;
  }
  has_held_ = false;
  reset(held_);
}

void Pairing::drop_held() {
  if (has_held_) {
    ++counters_->responses_without_request;
    has_held_ = false;
    reset(held_);
  }
  if (target_ == Target::kHeld) {
    target_ = Target::kDiscard;
  }
}

Pending* Pairing::current_request() {
  if (orphan_open_) {
    return &orphan_;
  }
  return back_open_ ? &at(count_ - 1) : nullptr;
}

void Pairing::announce_request(ExchangeSink& sink) {
  if (Pending* const pending = current_request(); pending != nullptr && !pending->announced) {
    if (!orphan_open_) {
      pending->queued_bytes = pending_bytes(*pending);
      queued_bytes_ += pending->queued_bytes;
    }
    announce(*pending, sink);
    emit_ready(sink);
  }
}

void Pairing::announce(Pending& pending, ExchangeSink& sink) {
  pending.announced = true;
  pending.exchange.sequence = next_sequence_++;
  pending.exchange.role = role_;
  sink.on_request(request_start(pending.exchange));
}

void Pairing::note_request_bytes(uint64_t time_ns, uint64_t body_size, bool exact) {
  if (Pending* const pending = current_request(); pending != nullptr) {
    pending->exchange.request_end_ns = time_ns;
    pending->http().request_body_size = body_size;
    pending->http().request_body_size_exact &= exact;
  }
}

void Pairing::end_request(ExchangeSink& sink) {
  close_request(true, sink);
  back_open_ = false;
  if (orphan_open_) {
    orphan_open_ = false;
    emit(orphan_, sink);
    reset(orphan_);
  }
}

void Pairing::leave_request_open(ExchangeSink& sink) {
  close_request(false, sink);
}

void Pairing::close_request(bool end_known, ExchangeSink& sink) {
  if (Pending* const pending = current_request(); pending != nullptr) {
    pending->request_done = true;
    pending->request_end_known = end_known;
    emit_ready(sink);
  }
}

void Pairing::lose_requests(Loss loss) {
  request_loss_ = std::max(request_loss_, loss);
}

void Pairing::begin_response(const StatusLine& line, uint64_t start_ns, uint64_t seen_ns,
                             ExchangeSink& sink) {
  // If the missed bytes were an interim response, this one is the final one of that request; if
  // not, it is another's. Nothing here can tell.
  give_up_lost(sink);
  if (awaits_response() && (count_ > 1 || at(0).exchange.request_start_ns <= seen_ns)) {
    target_ = Target::kFront;
    Pending& pending = at(0);
    pending.response_begun = true;
    pending.exchange.response_start_ns = std::max(start_ns, pending.exchange.request_start_ns);
    pending.http().status = line.status;
    return;
  }
  unmatched_response_ = true;
  if (broken_ || has_held_ || awaits_response()) {
    if (has_held_) {
      overflow_ns_ = seen_ns;
      ++counters_->limits_hit;
    }
    ++counters_->responses_without_request;
    target_ = Target::kDiscard;
    return;
  }
  target_ = Target::kHeld;
  has_held_ = true;
  held_seen_ns_ = seen_ns;
  held_.exchange.response_start_ns = start_ns;
  held_.http().status = line.status;
}

Pending* Pairing::current_response() {
  switch (target_) {
    case Target::kFront:
      return &at(0);
    case Target::kHeld:
      return &held_;
    case Target::kNone:
    case Target::kDiscard:
      break;
  }
  return nullptr;
}

bool Pairing::awaits_response() const {
  return count_ != 0 && !at(0).response_begun;
}

void Pairing::note_response_bytes(uint64_t time_ns, uint64_t body_size, bool exact) {
  if (Pending* const pending = current_response(); pending != nullptr) {
    pending->exchange.response_end_ns = time_ns;
    pending->http().response_body_size = body_size;
    pending->http().response_body_size_exact &= exact;
  }
}

void Pairing::end_response(uint64_t departed_ns, ExchangeSink& sink) {
  if (Pending* const pending = current_response(); pending != nullptr) {
    pending->response_done = true;
    // The next request was sent before this answer could have been read.
    if (target_ == Target::kFront && count_ > 1 && at(1).exchange.request_start_ns < departed_ns) {
      pipelining_seen_ = true;
    }
  }
  target_ = Target::kNone;
  emit_ready(sink);
}

std::unique_ptr<UpgradedRequest> Pairing::take_upgraded() {
  if (target_ != Target::kFront || count_ != 1 || orphan_open_ || !at(0).announced ||
      !at(0).request_done) {
    return nullptr;
  }
  Pending& front = at(0);
  front.exchange.response_start_ns = front.exchange.response_end_ns = 0;
  front.http().status = 0;
  front.http().response_headers.clear();
  auto upgraded = std::make_unique<UpgradedRequest>();
  upgraded->exchange = std::move(front.exchange);
  upgraded->next_sequence = next_sequence_;
  pop_front();
  target_ = Target::kNone;
  return upgraded;
}

void Pairing::lose_responses(uint64_t time_ns, ExchangeSink& sink) {
  response_loss_seen_ = true;
  if (count_ == 0 || (count_ == 1 && (!at(0).response_begun || at(0).response_done))) {
    // A request that had departed by then, and is not recorded yet, may have lost its answer too.
    response_loss_ns_ = time_ns;
  }
  if (count_ <= 1) {
    if (count_ == 1 && !at(0).response_begun) {
      at(0).response_lost = true;
    }
    return;
  }
  while (count_ != 0) {
    give_up_front(sink);
  }
  broken_ = true;
  pipelining_seen_ = true;
}

void Pairing::note_lost_response_bytes(uint64_t time_ns) {
  if (count_ != 0 && at(0).response_lost && !at(0).response_begun) {
    at(0).exchange.response_end_ns = time_ns;
  }
}

// A request whose response cannot be told from others: told with status 0, or with what is known of
// a response that had begun.
void Pairing::give_up_front(ExchangeSink& sink) {
  Pending& front = at(0);
  front.exchange.incomplete |= model::kGap;
  if (front.response_begun && !front.response_done) {
    front.exchange.incomplete |= model::kBodyEndUnknown;
    front.http().response_body_size_exact = false;
  }
  front.response_done = true;
  if (count_ == 1 && back_open_ && !orphan_open_ && !front.request_done) {
    std::swap(front, orphan_);
    std::swap(front.queued_bytes, orphan_.queued_bytes);  // the queue's share goes with the slot
    orphan_open_ = true;
    pop_front();
    return;
  }
  emit(front, sink);
  pop_front();
}

void Pairing::give_up_lost(ExchangeSink& sink) {
  if (!awaits_response() || !at(0).response_lost) {
    return;
  }
  if (count_ > 1) {
    broken_ = pipelining_seen_ = true;
  }
  while (count_ != 0) {
    give_up_front(sink);
  }
}

void Pairing::emit(Pending& pending, ExchangeSink& sink) {
  if (!pending.announced) {
    announce(pending, sink);
  }
  if (pending.http().status == 0) {
    ++counters_->requests_without_response;
  }
  if (pending.request_done && !pending.request_end_known) {
    // Answered early: more of the body may come, or be on its way.
    pending.exchange.incomplete |= model::kBodyEndUnknown;
    pending.http().request_body_size = 0;
    pending.http().request_body_size_exact = false;
  }
  ++counters_->exchanges;
  sink.on_exchange(std::move(pending.exchange));
}

void Pairing::emit_ready(ExchangeSink& sink) {
  while (count_ != 0 && at(0).response_done && at(0).request_done && at(0).announced) {
    emit(at(0), sink);
    pop_front();
  }
}

void Pairing::close(model::Outcome interrupted, model::Outcome unanswered, uint32_t flags,
                    uint64_t time_ns, ExchangeSink& sink) {
  while (count_ != 0) {
    Pending& front = at(0);
    if (!front.response_done) {
      const bool missed = front.response_lost && !front.response_begun;
      front.exchange.incomplete |= missed ? flags | model::kGap : flags;
      front.exchange.outcome = missed                 ? model::Outcome::kComplete
                               : front.response_begun ? interrupted
                                                      : unanswered;
      if (front.exchange.outcome != model::Outcome::kComplete ||
          front.exchange.response_end_ns == 0) {
        front.exchange.response_end_ns = time_ns;
      }
    }
    emit(front, sink);
    pop_front();
  }
  if (orphan_open_) {
    orphan_open_ = false;
    emit(orphan_, sink);
    reset(orphan_);
  }
  drop_held();
  target_ = Target::kNone;
}

size_t Pairing::memory_bytes() const {
  return slots_.capacity() * sizeof(Pending) + queued_bytes_ + pending_bytes(orphan_) +
         pending_bytes(held_);
}

}  // namespace zerospan::protocols::http1
