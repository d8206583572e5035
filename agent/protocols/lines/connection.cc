// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/lines/connection.h"

#include <algorithm>
#include <utility>

namespace zerospan::protocols::lines {
namespace {

// Turns, one after the other and without a surplus answer, that prove that each answer is its
// command's again.
constexpr uint32_t kProvingTurns = 16;

}  // namespace

Connection::Connection(const model::Connection& connection, const Options& options,
                       ParserCounters* counters)
    : options_(options),
      counters_(counters),
      kernel_role_(connection.role),
      seen_from_start_(connection.seen_from_start),
      joined_(!connection.seen_from_start),
      early_(options.max_early_bytes) {
  for (Side& s : sides_) {
    s.offset_known = seen_from_start_;
    s.lost = !seen_from_start_;
  }
  if (seen_from_start_) {
    role_ = kernel_role_;
  }
}

model::Role Connection::role() const {
  return role_ == model::Role::kUnknown ? kernel_role_ : role_;
}

size_t Connection::memory_bytes() const {
  size_t bytes = early_.memory_bytes() + held_bytes();
  for (const Side& s : sides_) {
    bytes += s.line.capacity() + s.body.capacity();
  }
  for (const Pending& pending : pending_) {
    bytes += sizeof(Pending) + sizeof(model::Exchange) +
             std::get<model::DbExchange>(pending.exchange->payload).statement.capacity();
  }
  return bytes;
}

Verdict Connection::on_chunk(const model::Chunk& chunk, ExchangeSink& sink) {
  if (opaque_) {
    return Verdict::kOpaque;
  }
  sink_ = &sink;
  if (role_ == model::Role::kUnknown) {
    if (!begins_request(chunk.head)) {
      counters_->unparsed_bytes += chunk.head.size() + chunk.tail.size();
      return Verdict::kContinue;
    }
    role_ =
        chunk.direction == model::Direction::kReceive ? model::Role::kServer : model::Role::kClient;
  }
  const bool request = is_request(chunk.direction);
  // On a client another thread may have read the answer before the send was recorded.
  const Side& s = side(chunk.direction);
  const bool early = role_ == model::Role::kClient && !request && pending_.empty() && !s.in_line &&
                     s.body_left == 0;
  if (early && early_.keep(chunk)) {
    return Verdict::kContinue;
  }
  release_early(request ? std::max<uint64_t>(chunk.departed_ns, 1) : UINT64_MAX);
  take(chunk);
  if (request) {
    release_early(UINT64_MAX);
  }
  if (opaque_) {
    close_all(model::Outcome::kComplete, model::Outcome::kComplete, model::kBodyEndUnknown,
              op_.time_ns);
  }
  return opaque_ ? Verdict::kOpaque : Verdict::kContinue;
}

void Connection::release_early(uint64_t before_ns) {
  early_.release(before_ns, [&](const model::Chunk& chunk) {
    if (!opaque_) {
      take(chunk);
    }
  });
}

void Connection::take(const model::Chunk& chunk) {
  Side& s = side(chunk.direction);
  const bool request = is_request(chunk.direction);
  const std::string_view head = chunk.head.substr(0, chunk.length);
  const std::string_view tail = chunk.tail.substr(0, chunk.length - head.size());
  const uint64_t middle = chunk.length - head.size() - tail.size();
  if (!s.offset_known) {
    s.offset_known = true;
    s.next_offset = chunk.offset;
  }
  if (chunk.length == 0 || chunk.offset < s.next_offset) {
    counters_->unparsed_bytes += head.size() + tail.size();  // seen already
    return;
  }
  op_ = {chunk.time_ns,
         chunk.direction == model::Direction::kSend && chunk.departed_ns != 0 ? chunk.departed_ns
                                                                              : chunk.time_ns,
         chunk.request_id, chunk.thread_id, chunk.evidence};
  // First what is missing in the other direction: it was before this.
  if (Side& other = side(model::opposite(chunk.direction)); other.offset_known) {
    note_gap(other, !request,
             request ? early_.offset_or(chunk.opposite_offset) : chunk.opposite_offset);
  }
  note_gap(s, request, chunk.offset);
  s.next_offset = chunk.offset + chunk.length;
  if (request && !s.in_line && s.body_left == 0 && missed_) {
    settle_missed();
  }
  if (s.lost &&
      (request ? begins_request(head) : !missed_ && !pending_.empty() && begins_response(head))) {
    ++counters_->resyncs;
    s.lost = false;
  }
  feed(s, request, head);
  if (middle != 0) {
    skip(s, request, middle, false);
  }
  feed(s, request, tail);
  if (!request) {
    const std::string_view last = tail.empty() ? head : tail;
    line_ended_ = (middle == 0 || !tail.empty()) && !last.empty() && last.back() == '\n';
    last_answer_ns_ = op_.time_ns;
  }
}

// What is missing below `offset` was lost.
void Connection::note_gap(Side& s, bool request, uint64_t offset) {
  if (offset <= s.next_offset) {
    return;
  }
  const uint64_t lost = offset - s.next_offset;
  ++counters_->gaps;
  counters_->gap_bytes += lost;
  s.next_offset = offset;
  skip(s, request, lost, true);
}

void Connection::skip(Side& s, bool request, uint64_t count, bool lost) {
  if (opaque_) {
    return;
  }
  if (s.body_left != 0) {
    const uint64_t here = std::min(count, s.body_left);
    s.body_cut = s.body_cut || s.body.size() < s.body_wanted;
    s.body_left -= here;
    count -= here;
    if (lost && !request && !pending_.empty()) {
      pending_.front().exchange->incomplete |= model::kGap;
    }
    if (s.body_left == 0) {
      end_body(s, request, s.body, s.body_cut);
    }
  }
  if (count != 0) {
    lose(s, request, lost);
  }
}

void Connection::lose(Side& s, bool request, bool lost) {
  if (s.lost && !lost) {
    return;
  }
  s.lost = true;
  s.in_line = false;
  s.body_left = 0;
  s.line.clear();
  s.body.clear();
  if (request) {
    const bool on_purpose = on_request_lost(lost);
    if (lost || !on_purpose || pipelined_) {
      doubt(lost ? model::kGap : model::kHeadTruncated, pipelined_ ? kProvingTurns : 1);
    }
    return;
  }
  if (lost || pipelined_) {
    // Of several nobody knows how many were answered in what is missing.
    for (Pending& pending : pending_) {
      pending.exchange->incomplete |= lost ? model::kGap : model::kBodyEndUnknown;
    }
  }
  if (!pending_.empty()) {
    if (!pending_.front().begun) {
      // Not even its first line, which tells whether it is an error.
      pending_.front().exchange->incomplete |= model::kBodyEndUnknown;
    }
    pending_.front().begun = true;
    missed_ = true;
  } else if (lost) {
    doubt(model::kGap, 1);
  }
  on_response_lost();
}

// A command after answers that were missed: who does not pipeline has them all by now.
void Connection::settle_missed() {
  missed_ = false;
  if (pending_.size() == 1 && !pipelined_) {
    std::unique_ptr<model::Exchange> exchange = answered();
    exchange->response_end_ns = std::max(last_answer_ns_, exchange->request_start_ns);
    exchange->incomplete |= line_ended_ ? model::kIncompleteNone : model::kBodyEndUnknown;
    tell(std::move(*exchange));
    return;
  }
  give_up_all(model::kBodyEndUnknown);
  doubt(model::kBodyEndUnknown, kProvingTurns);
}

void Connection::doubt(uint32_t reason, uint32_t turns) {
  doubt_ |= reason;
  doubted_turns_ = std::max(doubted_turns_, turns);
  turn_clean_ = false;
}

void Connection::feed(Side& s, bool request, std::string_view bytes) {
  while (!bytes.empty() && !opaque_) {
    if (s.lost) {
      counters_->unparsed_bytes += bytes.size();
      return;
    }
    if (s.body_left != 0) {
      const std::string_view here = bytes.substr(0, s.body_left);
      bytes.remove_prefix(here.size());
      s.body_left -= here.size();
      if (here.size() == s.body_length) {
        end_body(s, request, here.substr(0, s.body_wanted), false);
        continue;
      }
      if (!s.body_cut && s.body.size() < s.body_wanted) {
        s.body.append(here.substr(0, s.body_wanted - s.body.size()));
      }
      if (s.body_left == 0) {
        end_body(s, request, s.body, s.body_cut);
      }
      continue;
    }
    if (!s.in_line) {
      s.in_line = true;
      s.line_cut = false;
      if (request) {
        line_origin_ = op_;
      }
    }
    const size_t end = bytes.find('\n');
    const std::string_view here = bytes.substr(0, end);
    if (end != std::string_view::npos && s.line.empty()) {
      bytes.remove_prefix(end + 1);
      end_line(s, request, here, false);
      continue;
    }
    const size_t room = options_.max_line_bytes - s.line.size();
    s.line_cut = s.line_cut || here.size() > room;
    s.line.append(here.substr(0, room));
    if (end == std::string_view::npos) {
      return;
    }
    bytes.remove_prefix(end + 1);
    end_line(s, request, s.line, s.line_cut);
  }
}

void Connection::end_line(Side& s, bool request, std::string_view line, bool cut) {
  if (!line.empty() && line.back() == '\r') {
    line.remove_suffix(1);
  }
  s.in_line = false;
  if (!request && !pending_.empty()) {
    Pending& pending = pending_.front();
    if (!pending.begun) {
      pending.begun = true;
      pending.exchange->response_start_ns = op_.time_ns;
    }
  }
  const std::optional<Body> body =
      request ? on_request_line(line, cut) : on_response_line(line, cut);
  s.line.clear();
  if (!body) {
    counters_->unparsed_bytes += line.size();
    lose(s, request, false);
    return;
  }
  s.body_left = s.body_length = body->length;
  s.body_wanted = std::min<uint64_t>(body->wanted, body->length);
  s.body_cut = false;
  s.body.clear();
}

void Connection::end_body(Side& s, bool request, std::string_view body, bool cut) {
  if (request) {
    on_request_body(body, cut);
  } else {
    on_response_body(body, cut);
  }
  s.body.clear();
  s.body_cut = false;
}

std::unique_ptr<model::Exchange> Connection::make(model::DbExchange&& db, uint32_t incomplete,
                                                  const Origin& begin) {
  auto exchange = std::make_unique<model::Exchange>();
  exchange->role = role_;
  exchange->request_start_ns = begin.departed_ns;
  exchange->request_end_ns = op_.time_ns;
  exchange->request_id = begin.request_id;
  exchange->evidence = begin.evidence;
  exchange->thread_id = begin.thread_id;
  exchange->incomplete = incomplete;
  exchange->payload = std::move(db);
  if (exchange->request_id != 0 && exchange->request_id == last_request_id_) {
    ++batch_index_;
  } else {
    batch_index_ = 0;
    last_request_id_ = exchange->request_id;
  }
  exchange->batch_index = batch_index_;
  exchange->sequence = next_sequence_++;
  ++counters_->messages;
  if ((incomplete & model::kHeadTruncated) != 0) {
    ++counters_->heads_truncated;
  }
  return exchange;
}

void Connection::announce(const model::Exchange& exchange) {
  sink_->on_request(request_start(exchange));
}

void Connection::ask(model::DbExchange&& db, uint8_t kind, uint32_t answers, uint32_t incomplete,
                     const Origin& begin) {
  if (pending_.size() >= options_.max_pending) {
    ++counters_->limits_hit;
    give_up_all(model::kBodyEndUnknown);
    doubt(model::kBodyEndUnknown, kProvingTurns);
  }
  if (pending_.empty()) {
    turn_clean_ = true;
  } else {
    pipelined_ = true;
    if (joined_) {
      // Which of them the answers that were due when we came are taken for is not known.
      incomplete |= model::kGap;
      pending_.front().exchange->incomplete |= model::kGap;
    }
  }
  auto exchange = make(std::move(db), incomplete, begin);
  announce(*exchange);
  pending_.push_back({std::move(exchange), kind, answers, false});
}

void Connection::tell_unanswered(model::DbExchange&& db, uint32_t incomplete, const Origin& begin) {
  auto exchange = make(std::move(db), incomplete, begin);
  announce(*exchange);
  exchange->response_end_ns = op_.time_ns;
  tell(std::move(*exchange));
}

std::unique_ptr<model::Exchange> Connection::answered() {
  std::unique_ptr<model::Exchange> exchange = std::move(pending_.front().exchange);
  pending_.pop_front();
  exchange->response_end_ns = std::max(op_.time_ns, exchange->request_start_ns);
  ++counters_->messages;
  if (doubted_turns_ != 0) {
    exchange->incomplete |= doubt_;
  }
  if (pending_.empty()) {
    joined_ = false;
    if (doubted_turns_ != 0 && turn_clean_ && --doubted_turns_ == 0) {
      doubt_ = model::kIncompleteNone;
    }
  }
  return exchange;
}

void Connection::tell(model::Exchange&& exchange) {
  ++counters_->exchanges;
  sink_->on_exchange(std::move(exchange));
}

void Connection::on_surplus_answer() {
  ++counters_->responses_without_request;
  if (doubted_turns_ != 0) {
    doubt(doubt_, kProvingTurns);
  }
}

void Connection::give_up_all(uint32_t incomplete) {
  for (Pending& pending : pending_) {
    model::Exchange& exchange = *pending.exchange;
    exchange.incomplete |= incomplete;
    exchange.response_end_ns = std::max(op_.time_ns, exchange.request_start_ns);
    ++counters_->requests_without_response;
    tell(std::move(exchange));
  }
  pending_.clear();
}

void Connection::close_all(model::Outcome interrupted, model::Outcome unanswered, uint32_t flags,
                           uint64_t time_ns) {
  for (Pending& pending : pending_) {
    model::Exchange& exchange = *pending.exchange;
    exchange.incomplete |= flags;
    exchange.outcome = pending.begun ? interrupted : unanswered;
    exchange.response_end_ns = std::max(time_ns, exchange.request_start_ns);
    ++counters_->requests_without_response;
    tell(std::move(exchange));
  }
  pending_.clear();
  on_end();
}

Verdict Connection::on_close(const model::Closed& closed, ExchangeSink& sink) {
  if (opaque_) {
    return Verdict::kOpaque;
  }
  sink_ = &sink;
  release_early(UINT64_MAX);
  for (const auto direction : {model::Direction::kReceive, model::Direction::kSend}) {
    Side& s = side(direction);
    const uint64_t end =
        direction == model::Direction::kReceive ? closed.receive_offset : closed.send_offset;
    if (role_ != model::Role::kUnknown && s.offset_known) {
      op_.time_ns = closed.time_ns;
      note_gap(s, is_request(direction), end);
    }
  }
  const bool half = closed.kind == model::CloseKind::kSendClosed ||
                    closed.kind == model::CloseKind::kReceiveClosed;
  const auto direction = closed.kind == model::CloseKind::kReceiveClosed
                             ? model::Direction::kReceive
                             : model::Direction::kSend;
  if (!half || (role_ != model::Role::kUnknown && !is_request(direction))) {
    if (missed_ && pending_.size() == 1) {
      settle_missed();
    }
    const bool reset = closed.kind == model::CloseKind::kReset;
    close_all(reset ? model::Outcome::kReset : model::Outcome::kClosedEarly,
              reset ? model::Outcome::kReset : model::Outcome::kNoResponse, model::kIncompleteNone,
              closed.time_ns);
  }
  opaque_ = opaque_ || !half;
  return opaque_ ? Verdict::kOpaque : Verdict::kContinue;
}

void Connection::finish(uint64_t time_ns, ExchangeSink& sink) {
  if (!opaque_) {
    sink_ = &sink;
    release_early(UINT64_MAX);
    close_all(model::Outcome::kComplete, model::Outcome::kComplete, model::kBodyEndUnknown,
              time_ns);
    opaque_ = true;
  }
}

}  // namespace zerospan::protocols::lines
