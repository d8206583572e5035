// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/kafka/connection.h"

#include <algorithm>
#include <utility>

#include "agent/protocols/kafka/api.h"

namespace zerospan::protocols::kafka {
namespace {

constexpr size_t kLengthBytes = 4;
constexpr size_t kCorrelationBytes = 4;
constexpr size_t kFrontBytes = kRequestHeaderBytes + 2;
// Responses in a row that nothing waits for: then it is taken for likely that they are none.
constexpr uint32_t kMostStrange = 4;

int32_t read_correlation_id(std::string_view bytes) {
  uint32_t value = 0;
  for (const char byte : bytes.substr(0, kCorrelationBytes)) {
    value = value << 8U | static_cast<uint8_t>(byte);
  }
  return static_cast<int32_t>(value);
}

}  // namespace

Begin begins_with_request(std::string_view bytes, bool strict) {
  if (bytes.size() > kLengthBytes) {
    const auto length = read_frame_length(bytes.substr(0, kLengthBytes));
    if (length && begins_request(bytes.substr(kLengthBytes), *length, strict)) {
      return Begin::kWithLength;
    }
  }
  return begins_request(bytes, bytes.size(), strict) ? Begin::kWithoutLength : Begin::kNo;
}

Connection::Connection(const model::Connection& connection, const Options& options,
                       ParserCounters* counters, Shared* shared)
    : options_(options),
      counters_(counters),
      shared_(shared),
      pid_(connection.pid),
      kernel_role_(connection.role),
      early_(options.max_early_bytes) {
  for (Side& s : sides_) {
    s.offset_known = connection.seen_from_start;
    s.lost = !connection.seen_from_start;
  }
}

model::Role Connection::role() const {
  return role_ == model::Role::kUnknown ? kernel_role_ : role_;
}

size_t Connection::memory_bytes() const {
  size_t bytes =
      early_.memory_bytes() + pending_.size() * (sizeof(Pending) + sizeof(model::Exchange));
  for (const Side& s : sides_) {
    bytes += s.parts.memory_bytes();
  }
  for (const Pending& pending : pending_) {
    const auto& messaging = std::get<model::MessagingExchange>(pending.exchange->payload);
    for (const std::string& context : messaging.creation_contexts) {
      bytes += sizeof(context) + context.capacity();
    }
  }
  return bytes;
}

Verdict Connection::on_chunk(const model::Chunk& chunk, ExchangeSink& sink) {
  if (opaque_) {
    return Verdict::kOpaque;
  }
  sink_ = &sink;
  if (role_ == model::Role::kUnknown) {
    const Begin begin = begins_with_request(chunk.head, true);
    if (begin == Begin::kNo) {
      counters_->unparsed_bytes += chunk.head.size() + chunk.tail.size();
      return Verdict::kContinue;
    }
    role_ =
        chunk.direction == model::Direction::kReceive ? model::Role::kServer : model::Role::kClient;
    // Its length was read by itself, when nothing was known of the connection yet.
    begins_without_length_ = begin == Begin::kWithoutLength;
  }
  const bool request = is_request(chunk.direction);
  // On a client another thread may have read the answer before the send was recorded.
  const Side& s = side(chunk.direction);
  const bool early = role_ == model::Role::kClient && !request && pending_.empty() &&
                     s.length == 0 && s.length_bytes.empty();
  if (early && early_.keep(chunk)) {
    return Verdict::kContinue;
  }
  release_early(request ? std::max<uint64_t>(chunk.departed_ns, 1) : UINT64_MAX);
  take(chunk);
  if (request && !pending_.empty()) {
    release_early(UINT64_MAX);
  }
  return opaque_ ? Verdict::kOpaque : Verdict::kContinue;
}

void Connection::release_early(uint64_t before_ns) {
  early_.release(before_ns, [&](const model::Chunk& chunk) { take(chunk); });
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
  if (std::exchange(begins_without_length_, false)) {
    s.lost = false;
    s.begin = op_;
    begin_message(s, chunk.length);
  } else if (s.lost) {
    resume(s, request, head, chunk.length);
  }
  feed(s, request, head);
  if (middle != 0) {
    skip(s, request, middle, false);
  }
  feed(s, request, tail);
}

// An operation may begin with a message, or with the length that was read by itself.
void Connection::resume(Side& s, bool request, std::string_view head, uint64_t length) {
  bool found = false;
  bool without_length = false;
  if (length == kLengthBytes && head.size() == kLengthBytes) {
    found = (request || !pending_.empty()) && read_frame_length(head).has_value();
  } else if (request) {
    const Begin begin = begins_with_request(head, true);
    found = begin != Begin::kNo;
    without_length = begin == Begin::kWithoutLength;
  } else if (head.size() >= kLengthBytes + kCorrelationBytes) {
    found = read_frame_length(head).has_value() && waits_for(head.substr(kLengthBytes));
  }
  if (!found) {
    return;
  }
  ++counters_->resyncs;
  s.lost = false;
  s.proven = false;
  if (without_length) {
    // All of it was read at once, or the rest is found to be none.
    s.begin = op_;
    begin_message(s, length);
  }
}

void Connection::begin_message(Side& s, uint64_t length) {
  s.length = length;
  s.at = 0;
  s.gap = false;
  s.parts.clear();
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
  if (s.length != 0) {
    const uint64_t here = std::min(count, s.length - s.at);
    s.at += here;
    s.gap = s.gap || lost;
    count -= here;
    if (s.at == s.length) {
      end_message(s, request);
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
  s.length = 0;
  s.length_bytes.clear();
  s.parts.clear();
  if (!request) {
    // Which of them were answered in what is missing shows the next correlation id.
    for (Pending& pending : pending_) {
      pending.exchange->incomplete |= lost ? model::kGap : model::kIncompleteNone;
    }
  }
}

void Connection::feed(Side& s, bool request, std::string_view bytes) {
  while (!bytes.empty()) {
    if (s.lost) {
      counters_->unparsed_bytes += bytes.size();
      return;
    }
    if (s.length == 0) {
      if (s.length_bytes.empty()) {
        s.begin = op_;
      }
      const size_t wanted = std::min(bytes.size(), kLengthBytes - s.length_bytes.size());
      s.length_bytes.append(bytes.substr(0, wanted));
      bytes.remove_prefix(wanted);
      if (s.length_bytes.size() < kLengthBytes) {
        return;
      }
      const auto length = read_frame_length(s.length_bytes);
      s.length_bytes.clear();
      if (!length) {
        counters_->unparsed_bytes += kLengthBytes;
        lose(s, request, false);
        continue;
      }
      begin_message(s, *length);
      continue;
    }
    const std::string_view here = bytes.substr(0, s.length - s.at);
    s.parts.add(s.at, here);
    s.at += here.size();
    bytes.remove_prefix(here.size());
    if (s.at == s.length) {
      end_message(s, request);
    } else if (s.at - here.size() < kFrontBytes && s.at >= kFrontBytes && !is_likely(s, request)) {
      // Before the rest of what would be a long one is passed over.
      counters_->unparsed_bytes += s.at;
      lose(s, request, false);
    }
  }
}

// Of a message whose front has just passed.
bool Connection::is_likely(const Side& s, bool request) const {
  const std::string_view front = s.parts.from(0);
  if (front.size() < kFrontBytes) {
    return true;  // not captured
  }
  return request ? begins_request(front, s.length, !s.proven) : s.proven || waits_for(front);
}

void Connection::end_message(Side& s, bool request) {
  if (request) {
    end_request(s);
  } else {
    end_response(s);
  }
  s.length = 0;
  s.parts.clear();
}

void Connection::end_request(Side& s) {
  std::optional<Request> request = read_request(s.parts, s.length, pid_, *shared_);
  if (!request) {
    counters_->unparsed_bytes += s.length;
    lose(s, true, s.gap);
    return;
  }
  ++counters_->messages;
  Pending pending;
  pending.header = request->header;
  pending.exchange = std::make_unique<model::Exchange>();
  model::Exchange& exchange = *pending.exchange;
  exchange.role = role_;
  exchange.request_start_ns = s.begin.departed_ns;
  exchange.request_end_ns = op_.time_ns;
  exchange.request_id = s.begin.request_id;
  exchange.evidence = s.begin.evidence;
  // Clients gather the messages of many callers in a thread or goroutine of their own: for whom
  // that was started says nothing of them.
  if (exchange.evidence == model::Evidence::kGoroutine ||
      exchange.evidence == model::Evidence::kCreatingThread) {
    exchange.evidence = model::Evidence::kAmbiguous;
  }
  exchange.thread_id = s.begin.thread_id;
  exchange.incomplete = s.gap ? model::kGap : model::kIncompleteNone;
  exchange.payload = std::move(request->messaging);
  if (exchange.request_id != 0 && exchange.request_id == last_request_id_) {
    ++batch_index_;
  } else {
    batch_index_ = 0;
    last_request_id_ = exchange.request_id;
  }
  exchange.batch_index = batch_index_;
  s.proven = true;
  // Whether a span is made of a poll tells its response.
  if (!is_poll(request->header.key)) {
    announce(pending);
  }
  if (!request->answered) {
    exchange.response_end_ns = op_.time_ns;
    tell(std::move(pending));
    return;
  }
  if (pending_.size() >= options_.max_pending) {
    ++counters_->limits_hit;
    Pending oldest = std::move(pending_.front());
    pending_.pop_front();
    give_up(std::move(oldest), model::kBodyEndUnknown);
  }
  pending_.push_back(std::move(pending));
}

bool Connection::waits_for(std::string_view correlation_id) const {
  const int32_t id = read_correlation_id(correlation_id);
  return std::any_of(pending_.begin(), pending_.end(),
                     [id](const Pending& pending) { return pending.header.correlation_id == id; });
}

void Connection::end_response(Side& s) {
  const std::string_view front = s.parts.from(0);
  if (front.size() < kCorrelationBytes) {
    // Whose it was is not known; a later one's id tells.
    lose(s, false, true);
    return;
  }
  ++counters_->messages;
  if (!waits_for(front)) {
    ++counters_->responses_without_request;
    if (!s.proven || ++strange_ >= kMostStrange) {
      lose(s, false, false);
    }
    return;
  }
  strange_ = 0;
  s.proven = true;
  const int32_t id = read_correlation_id(front);
  // Brokers answer in order: those before it had theirs.
  while (pending_.front().header.correlation_id != id) {
    Pending missed = std::move(pending_.front());
    pending_.pop_front();
    give_up(std::move(missed), model::kGap);
  }
  Pending pending = std::move(pending_.front());
  pending_.pop_front();
  model::Exchange& exchange = *pending.exchange;
  exchange.response_start_ns = s.begin.time_ns;
  exchange.response_end_ns = std::max(op_.time_ns, exchange.request_start_ns);
  // What was lost was before it, or is told by the message's own gap.
  exchange.incomplete |= s.gap ? model::kGap : model::kIncompleteNone;
  bool idle = false;
  auto& messaging = std::get<model::MessagingExchange>(exchange.payload);
  read_response(s.parts, s.length, pending.header, pid_, *shared_, messaging, idle);
  if (!messaging.destination_id.empty()) {
    exchange.incomplete |= model::kFieldsUnknown;
  }
  if (idle) {
    ++counters_->idle_polls;
    return;
  }
  tell(std::move(pending));
}

void Connection::announce(Pending& pending) {
  model::Exchange& exchange = *pending.exchange;
  exchange.sequence = next_sequence_++;
  pending.announced = true;
  sink_->on_request(request_start(exchange));
}

void Connection::tell(Pending&& pending) {
  if (!pending.announced) {
    announce(pending);
  }
  ++counters_->exchanges;
  sink_->on_exchange(std::move(*pending.exchange));
}

void Connection::give_up(Pending&& pending, uint32_t incomplete) {
  ++counters_->requests_without_response;
  pending.exchange->incomplete |= incomplete;
  pending.exchange->response_end_ns = std::max(op_.time_ns, pending.exchange->request_start_ns);
  tell(std::move(pending));
}

void Connection::close_all(model::Outcome outcome, uint32_t incomplete, uint64_t time_ns) {
  const Side& responses =
      side(role_ == model::Role::kServer ? model::Direction::kSend : model::Direction::kReceive);
  bool begun = responses.length != 0;
  for (; !pending_.empty(); begun = false) {
    Pending pending = std::move(pending_.front());
    pending_.pop_front();
    model::Exchange& exchange = *pending.exchange;
    exchange.response_end_ns = std::max(time_ns, exchange.request_start_ns);
    // A poll that waits when its client goes away is no failure.
    if (is_poll(pending.header.key) && !begun && exchange.incomplete == model::kIncompleteNone &&
        outcome != model::Outcome::kReset) {
      ++counters_->idle_polls;
      continue;
    }
    ++counters_->requests_without_response;
    exchange.incomplete |= incomplete;
    exchange.outcome =
        begun && outcome == model::Outcome::kNoResponse ? model::Outcome::kClosedEarly : outcome;
    tell(std::move(pending));
  }
}

Verdict Connection::on_close(const model::Closed& closed, ExchangeSink& sink) {
  if (opaque_) {
    return Verdict::kOpaque;
  }
  sink_ = &sink;
  if (role_ != model::Role::kUnknown) {
    release_early(UINT64_MAX);
    op_.time_ns = closed.time_ns;
    for (const auto direction : {model::Direction::kReceive, model::Direction::kSend}) {
      if (Side& s = side(direction); s.offset_known) {
        note_gap(
            s, is_request(direction),
            direction == model::Direction::kReceive ? closed.receive_offset : closed.send_offset);
      }
    }
  }
  const bool half = closed.kind == model::CloseKind::kSendClosed ||
                    closed.kind == model::CloseKind::kReceiveClosed;
  const auto direction = closed.kind == model::CloseKind::kReceiveClosed
                             ? model::Direction::kReceive
                             : model::Direction::kSend;
  if (!half || (role_ != model::Role::kUnknown && !is_request(direction))) {
    close_all(closed.kind == model::CloseKind::kReset ? model::Outcome::kReset
                                                      : model::Outcome::kNoResponse,
              model::kIncompleteNone, closed.time_ns);
  }
  opaque_ = !half;
  return opaque_ ? Verdict::kOpaque : Verdict::kContinue;
}

void Connection::finish(uint64_t time_ns, ExchangeSink& sink) {
  if (opaque_) {
    return;
  }
  sink_ = &sink;
  release_early(UINT64_MAX);
  close_all(model::Outcome::kComplete, model::kBodyEndUnknown, time_ns);
  opaque_ = true;
}

}  // namespace zerospan::protocols::kafka
