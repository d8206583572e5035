// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Bytes to messages: the states of the two streams. What a head means is in messages.cc, what an
// exchange is in pairing.cc.

#include "agent/protocols/http1/connection.h"

#include <algorithm>
#include <utility>

#include "agent/protocols/http1/detect.h"

namespace zerospan::protocols::http1 {
Connection::Connection(const model::Connection& connection, const Options& options,
                       ParserCounters* counters)
    : options_(options),
      counters_(counters),
      kernel_role_(connection.role),
      pairing_(options.max_outstanding, options.max_memory_bytes, counters) {
  if (!connection.seen_from_start) {
    for (Stream& s : streams_) {
      s.state = State::kLost;
    }
  }
  for (Stream& s : streams_) {
    s.offset_known = connection.seen_from_start;
  }
}

model::Role Connection::role() const {
  return role_ == model::Role::kUnknown ? kernel_role_ : role_;
}

size_t Connection::memory_bytes() const {
  if (successor_ != nullptr) {
    return sizeof(*this) + successor_->memory_bytes();
  }
  return pairing_.memory_bytes() + streams_[0].head.capacity() + streams_[1].head.capacity();
}

Verdict Connection::on_chunk(const model::Chunk& chunk, ExchangeSink& sink) {
  if (successor_ != nullptr) {
    return successor_->on_chunk(chunk, sink);
  }
  if (opaque_) {
    return Verdict::kOpaque;
  }
  Stream& s = stream(chunk.direction);
  const std::string_view head = chunk.head.substr(0, chunk.length);
  const std::string_view tail = chunk.tail.substr(0, chunk.length - head.size());
  const uint64_t middle = chunk.length - head.size() - tail.size();
  if (!s.offset_known) {
    s.offset_known = true;
    s.next_offset = chunk.offset;
  }
  if (chunk.length == 0 || chunk.offset < s.next_offset) {
    unparsed(head.size() + tail.size());  // seen already
    return Verdict::kContinue;
  }
  Operation op;
  op.direction = chunk.direction;
  op.time_ns = chunk.time_ns;
  op.departed_ns = chunk.direction == model::Direction::kSend && chunk.departed_ns != 0
                       ? chunk.departed_ns
                       : chunk.time_ns;
  op.thread_id = chunk.thread_id;
  op.request_id = chunk.request_id;
  op.evidence = chunk.evidence;

  // Before a read nothing can have answered it; a send may have been answered before it returned.
  const bool receive = chunk.direction == model::Direction::kReceive;
  catch_up(model::opposite(chunk.direction), chunk.opposite_offset,
           receive ? chunk.time_ns - 1 : chunk.time_ns, sink);
  lose(op, chunk.offset, sink);
  s.next_offset = chunk.offset + chunk.length;
  op.bytes_end = chunk.offset + head.size();
  feed(op, head, true, sink);
  if (upgraded_ == nullptr) {
    if (middle != 0) {
      skip(op, middle, false, sink);
    }
    op.bytes_end = s.next_offset;
    feed(op, tail, head.empty() && middle == 0, sink);
  }
  if (upgraded_ != nullptr) {
    return hand_over(chunk, sink);
  }
  if (s.state == State::kBody && s.body.lost()) {
    s.body.end_operation(tail.empty() && middle == 0 ? head : tail,
                         middle == 0 && (head.empty() || tail.empty()));
    if (s.body.done()) {
      end_message(op, sink);
    }
  }
  return opaque_ ? Verdict::kOpaque : Verdict::kContinue;
}

Verdict Connection::hand_over(const model::Chunk& chunk, ExchangeSink& sink) {
  model::Chunk rest = chunk;
  rest.head = chunk.head.substr(0, chunk.length);
  rest.tail = chunk.tail.substr(0, chunk.length - rest.head.size());
  if (left_.data() >= rest.head.data() && left_.data() <= rest.head.data() + rest.head.size()) {
    rest.length -= static_cast<uint32_t>(rest.head.size() - left_.size());
    rest.head = left_;
  } else {
    rest.length = static_cast<uint32_t>(left_.size());
    rest.head = left_;
    rest.tail = {};
  }
  rest.offset = chunk.offset + (chunk.length - rest.length);
  const bool receive = chunk.direction == model::Direction::kReceive;
  upgraded_->receive_offset =
      receive ? rest.offset : stream(model::Direction::kReceive).next_offset;
  upgraded_->send_offset = receive ? stream(model::Direction::kSend).next_offset : rest.offset;
  successor_ = options_.make_h2c(std::move(*upgraded_), counters_);
  upgraded_.reset();
  left_ = {};
  for (Stream& s : streams_) {
    std::string().swap(s.head);
  }
  return rest.length == 0 ? Verdict::kContinue : successor_->on_chunk(rest, sink);
}

// What the stream has not had below `offset` is lost.
void Connection::lose(const Operation& op, uint64_t offset, ExchangeSink& sink) {
  Stream& s = stream(op.direction);
  if (offset > s.next_offset) {
    const uint64_t lost = offset - s.next_offset;
    s.next_offset = offset;
    ++counters_->gaps;
    counters_->gap_bytes += lost;
    skip(op, lost, true, sink);
  }
}

// The other direction's record, or the close, tells how far a stream had come by then.
void Connection::catch_up(model::Direction direction, uint64_t offset, uint64_t time_ns,
                          ExchangeSink& sink) {
  if (offset == 0) {
    return;
  }
  stream(direction).offset_known = true;
  Operation op;
  op.direction = direction;
  op.time_ns = time_ns;
  op.departed_ns = time_ns;
  lose(op, offset, sink);
}

// The first message that is seen tells which direction has the requests.
void Connection::decide_role(const Operation& op, std::string_view bytes, bool first,
                             ExchangeSink& sink) {
  Stream& s = stream(op.direction);
  Detection detection = Detection::kNo;
  if (s.state == State::kLost) {
    detection = !first                             ? Detection::kNo
                : resumes_with_request_line(bytes) ? Detection::kRequest
                : starts_with_status_line(bytes)   ? Detection::kResponse
                                                   : Detection::kNo;
    if (detection == Detection::kNo) {
      unparsed(bytes.size());
      return;
    }
  } else {
    if (s.head.empty()) {
      bytes.remove_prefix(std::min(bytes.find_first_not_of("\r\n"), bytes.size()));
      if (bytes.empty()) {
        return;
      }
      s.first = op;
      s.message_offset = op.bytes_end - bytes.size();
      s.scanned = 0;
      s.state = State::kStartLine;
      detection = detect(op.direction, bytes);
    } else {
      // What is kept is shorter than what decides, so this copy is bounded.
      const std::string joined = s.head + std::string(bytes.substr(0, kDecideBytes));
      detection = detect(op.direction, joined);
    }
    if (detection == Detection::kMaybe) {
      s.head.append(bytes);
      return;
    }
    if (detection == Detection::kNo) {
      unparsed(s.head.size() + bytes.size());
      opaque_ = true;
      return;
    }
  }
  const bool receives = op.direction == model::Direction::kReceive;
  role_ =
      receives == (detection == Detection::kRequest) ? model::Role::kServer : model::Role::kClient;
  pairing_.set_role(role_);
  pairing_.lose_requests(stream(request_direction()).early_loss);
  if (stream(response_direction()).early_loss != Loss::kNone) {
    pairing_.lose_responses(op.time_ns, sink);
  }
  feed(op, bytes, first, sink);
}

void Connection::feed(const Operation& op, std::string_view bytes, bool first, ExchangeSink& sink) {
  Stream& s = stream(op.direction);
  if (role_ == model::Role::kUnknown && !bytes.empty() && !opaque_) {
    decide_role(op, bytes, first, sink);
    return;
  }
  while (!bytes.empty() && !opaque_) {
    size_t taken = 0;
    switch (s.state) {
      case State::kBoundary:
        // RFC 9112 section 2.2: empty lines before a request line are passed over.
        taken = std::min(bytes.find_first_not_of("\r\n"), bytes.size());
        if (taken == 0) {
          s.first = op;
          s.message_offset = op.bytes_end - bytes.size();
          s.scanned = 0;
          s.head.clear();
          s.state = State::kStartLine;
        }
        break;
      case State::kStartLine:
      case State::kFields:
        taken = feed_head(op, bytes, sink);
        break;
      case State::kBody:
        taken = feed_body(op, bytes, first, sink);
        break;
      case State::kTunnel:
        if (pairing_.outstanding() != 0 || !is_request(op.direction)) {
          s.tunnel_bytes = true;
          unparsed(bytes.size());
          return;
        }
        s.state = State::kLost;
        break;
      case State::kLost:
        if (!first || !starts_message(op.direction, bytes)) {
          unparsed(bytes.size());
          pass_over(op, sink);
          return;
        }
        ++counters_->resyncs;
        s.state = State::kBoundary;
        break;
    }
    bytes.remove_prefix(taken);
    first = first && taken == 0;
    if (upgraded_ != nullptr) {
      left_ = bytes;
      return;
    }
  }
}

bool Connection::starts_message(model::Direction direction, std::string_view bytes) const {
  return is_request(direction) ? resumes_with_request_line(bytes) : starts_with_status_line(bytes);
}

bool Connection::may_begin(model::Direction direction, std::string_view bytes) const {
  return is_request(direction) ? may_become_request_line(bytes) : may_become_status_line(bytes);
}

size_t Connection::feed_head(const Operation& op, std::string_view bytes, ExchangeSink& sink) {
  Stream& s = stream(op.direction);
  const size_t had = s.head.size();
  const size_t taken = std::min(bytes.size(), options_.max_head_bytes - had);
  std::string_view head = bytes.substr(0, taken);
  if (had != 0) {
    s.head.append(head);
    head = s.head;
  }
  if (s.state == State::kStartLine) {
    const size_t line_feed = head.find('\n', had);
    const bool whole = line_feed != std::string_view::npos;
    if (whole ? !begin_message(op, *first_line(head), sink) : !may_begin(op.direction, head)) {
      unparsed(head.size());
      s.head.clear();
      // Nothing that was understood yet: it never was HTTP.
      opaque_ = !message_seen_;
      lose_framing(op, Loss::kPossible, sink);
      return taken;
    }
    if (opaque_) {
      return taken;
    }
    if (whole) {
      s.state = State::kFields;
    }
  }
  // A head that comes in pieces is parsed once, when it is whole.
  if (s.state == State::kFields && (had == 0 || find_head_end(head, s.scanned))) {
    if (const size_t end = end_head(op, head, sink); end != 0) {
      s.head.clear();
      return end - had;
    }
  }
  if (head.size() == options_.max_head_bytes) {
    ++counters_->limits_hit;
    cut_head(op, head, model::kHeadTruncated, sink);
    s.head.clear();
  } else if (had == 0) {
    s.head.assign(head);
  }
  return taken;
}

size_t Connection::feed_body(const Operation& op, std::string_view bytes, bool first,
                             ExchangeSink& sink) {
  Stream& s = stream(op.direction);
  if (first && s.body.lost() && starts_message(op.direction, bytes)) {
    ++counters_->resyncs;
    flag(op.direction, model::kBodyEndUnknown);
    end_message(op, sink);
    return 0;
  }
  if (s.body.lost() && is_request(op.direction) && pairing_.outstanding() == 0) {
    // Answered before it was sent whole, and passed over since: a last chunk without trailers (RFC
    // 9112 section 7.1) that a request line follows is its end. Its method begins there for
    // certain, so it may be any.
    constexpr std::string_view kLastChunk = "\r\n0\r\n\r\n";
    const size_t at = bytes.find(kLastChunk);
    if (at != std::string_view::npos &&
        starts_with_request_line(bytes.substr(at + kLastChunk.size()))) {
      ++counters_->resyncs;
      flag(op.direction, model::kBodyEndUnknown);
      end_message(op, sink);
      return at + kLastChunk.size();
    }
  }
  const bool was_lost = s.body.lost();
  const size_t taken = s.body.feed(bytes, s.body.keeping() ? body_start(op.direction) : nullptr);
  note_body(op);
  if (s.body.done()) {
    end_message(op, sink);
  } else if (!was_lost && s.body.lost()) {
    lose_body(op, false, sink);
  }
  return taken;
}

void Connection::skip(const Operation& op, uint64_t count, bool gap, ExchangeSink& sink) {
  Stream& s = stream(op.direction);
  if (opaque_) {
    return;
  }
  if (role_ == model::Role::kUnknown) {
    unparsed(s.head.size());
    s.head.clear();
    s.early_loss =
        std::max(s.early_loss, s.state == State::kLost ? Loss::kPossible : Loss::kCertain);
    s.state = State::kLost;
    return;
  }
  if (s.state == State::kStartLine || s.state == State::kFields) {
    const std::string head = std::exchange(s.head, {});
    cut_head(op, head, gap ? model::kGap : model::kHeadTruncated, sink);
    if (s.state == State::kBody) {
      s.body.skip(count);
      note_body(op);
    }
    return;
  }
  switch (s.state) {
    case State::kBoundary:
      lose_framing(op, Loss::kCertain, sink);
      break;
    case State::kBody: {
      const bool was_lost = s.body.lost();
      const uint64_t taken = s.body.skip(count);
      note_body(op);
      if (gap) {
        flag(op.direction, model::kGap);
      }
      if (s.body.done()) {
        if (gap) {
          flag(op.direction, model::kBodyEndUnknown);
        }
        end_message(op, sink);
        if (taken < count) {
          lose_framing(op, Loss::kCertain, sink);
        }
      } else if (s.body.lost() && (gap || !was_lost)) {
        lose_body(op, gap, sink);
      }
      break;
    }
    case State::kLost:
      if (gap) {
        lose_framing(op, Loss::kPossible, sink);
      } else {
        pass_over(op, sink);
      }
      break;
    case State::kTunnel:
      s.tunnel_bytes = true;
      break;
    case State::kStartLine:
    case State::kFields:
      break;
  }
}

// The current message's end cannot be counted to any more.
void Connection::lose_body(const Operation& op, bool gap, ExchangeSink& sink) {
  if (is_request(op.direction)) {
    pairing_.leave_request_open(sink);
    pairing_.lose_requests(Loss::kPossible);
    return;
  }
  if (gap || pairing_.outstanding() > 1) {
    pairing_.lose_responses(op.time_ns, sink);
    if (pairing_.current_response() == nullptr) {
      stream(op.direction).state = State::kLost;
    }
  }
}

void Connection::note_body(const Operation& op) {
  const Body& body = stream(op.direction).body;
  if (is_request(op.direction)) {
    pairing_.note_request_bytes(op.time_ns, body.size(), body.exact());
  } else {
    pairing_.note_response_bytes(op.time_ns, body.size(), body.exact());
  }
}

std::string* Connection::body_start(model::Direction direction) {
  if (is_request(direction)) {
    Pending* const pending = pairing_.current_request();
    return pending == nullptr ? nullptr : &pending->http().request_body_start;
  }
  Pending* const pending = pairing_.current_response();
  return pending == nullptr ? nullptr : &pending->http().response_body_start;
}

void Connection::end_message(const Operation& op, ExchangeSink& sink) {
  stream(op.direction).state = State::kBoundary;
  if (is_request(op.direction)) {
    pairing_.end_request(sink);
  } else {
    pairing_.end_response(op.departed_ns, sink);
  }
}

void Connection::lose_framing(const Operation& op, Loss loss, ExchangeSink& sink) {
  stream(op.direction).state = State::kLost;
  if (is_request(op.direction)) {
    pairing_.lose_requests(loss);
  } else {
    pairing_.lose_responses(op.time_ns, sink);
  }
}

// Bytes in no message. A start line that was cut by the end of an operation would look so too,
// hence what may begin is counted as missed.
void Connection::pass_over(const Operation& op, ExchangeSink& sink) {
  lose_framing(op, Loss::kPossible, sink);
  if (!is_request(op.direction)) {
    pairing_.note_lost_response_bytes(op.time_ns);
  }
}

void Connection::flag(model::Direction direction, uint32_t incomplete) {
  Pending* const pending =
      is_request(direction) ? pairing_.current_request() : pairing_.current_response();
  if (pending == nullptr) {
    return;
  }
  pending->exchange.incomplete |= incomplete;
  if ((incomplete & model::kGap) != 0) {
    (is_request(direction) ? pending->http().request_body_size_exact
                           : pending->http().response_body_size_exact) = false;
  }
}

Verdict Connection::on_close(const model::Closed& closed, ExchangeSink& sink) {
  if (successor_ != nullptr) {
    return successor_->on_close(closed, sink);
  }
  if (opaque_) {
    return Verdict::kOpaque;
  }
  if (role_ == model::Role::kUnknown) {
    return Verdict::kContinue;
  }
  catch_up(model::Direction::kReceive, closed.receive_offset, closed.time_ns, sink);
  catch_up(model::Direction::kSend, closed.send_offset, closed.time_ns, sink);
  if (opaque_) {
    return Verdict::kOpaque;
  }
  const bool half = closed.kind == model::CloseKind::kSendClosed ||
                    closed.kind == model::CloseKind::kReceiveClosed;
  const auto direction = closed.kind == model::CloseKind::kReceiveClosed
                             ? model::Direction::kReceive
                             : model::Direction::kSend;
  close_requests(sink);
  if (!half || !is_request(direction)) {
    const bool reset = closed.kind == model::CloseKind::kReset;
    close_responses(reset, sink);
    pairing_.close(reset ? model::Outcome::kReset : model::Outcome::kClosedEarly,
                   reset ? model::Outcome::kReset : model::Outcome::kNoResponse,
                   model::kIncompleteNone, closed.time_ns, sink);
  }
  opaque_ = opaque_ || !half;
  return opaque_ ? Verdict::kOpaque : Verdict::kContinue;
}

void Connection::finish(uint64_t time_ns, ExchangeSink& sink) {
  if (successor_ != nullptr) {
    successor_->finish(time_ns, sink);
    return;
  }
  if (opaque_ || role_ == model::Role::kUnknown) {
    return;
  }
  close_requests(sink);
  keep_cut_head(response_direction());
  pairing_.close(model::Outcome::kComplete, model::Outcome::kComplete, model::kBodyEndUnknown,
                 time_ns, sink);
  opaque_ = true;
}

// What there is of a head whose rest will never come.
void Connection::keep_cut_head(model::Direction direction) {
  Stream& s = stream(direction);
  if (s.state == State::kStartLine) {
    unparsed(s.head.size());
  } else if (s.state == State::kFields && !s.interim) {
    const bool request = is_request(direction);
    if (Pending* const p = request ? pairing_.current_request() : pairing_.current_response();
        p != nullptr) {
      ++counters_->messages;
      parse_fields(s.head, request ? p->http().request_headers : p->http().response_headers);
    }
  }
  s.head.clear();
}

// The requesting side sends no more; what is being read of it is all there is.
void Connection::close_requests(ExchangeSink& sink) {
  Stream& s = stream(request_direction());
  keep_cut_head(request_direction());
  pairing_.announce_request(sink);
  pairing_.end_request(sink);
  s.state = State::kLost;
}

void Connection::close_responses(bool reset, ExchangeSink& sink) {
  Stream& s = stream(response_direction());
  keep_cut_head(response_direction());
  if (s.state == State::kBody) {
    const bool unknown = s.body.lost();
    if (unknown) {
      flag(response_direction(), model::kBodyEndUnknown);
    }
    if (!reset && (unknown || s.body.kind() == Body::Kind::kUntilClose)) {
      pairing_.end_response(0, sink);
    }
  }
  s.state = State::kLost;
}

}  // namespace zerospan::protocols::http1
