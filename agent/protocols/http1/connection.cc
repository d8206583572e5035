// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Bytes to messages: the states of the two streams. What an exchange is, is pairing.cc's matter.

#include "agent/protocols/http1/connection.h"

#include <algorithm>
#include <utility>

#include "agent/protocols/http1/detect.h"

namespace zerospan::protocols::http1 {
namespace {

constexpr uint16_t kSwitchingProtocols = 101;

bool is_interim(uint16_t status) {
  return status < 200 && status != kSwitchingProtocols;
}

bool is_success(uint16_t status) {
  return status >= 200 && status < 300;
}

}  // namespace

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
  return pairing_.memory_bytes() + streams_[0].head.capacity() + streams_[1].head.capacity();
}

Verdict Connection::on_chunk(const model::Chunk& chunk, ExchangeSink& sink) {
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

  const uint64_t lost = chunk.offset - s.next_offset;
  s.next_offset = chunk.offset + chunk.length;
  if (lost != 0) {
    ++counters_->gaps;
    counters_->gap_bytes += lost;
    skip(op, lost, true, sink);
  }
  feed(op, head, true, sink);
  if (middle != 0) {
    skip(op, middle, false, sink);
  }
  feed(op, tail, head.empty() && middle == 0, sink);
  if (s.state == State::kBody && s.body.lost()) {
    s.body.end_operation(tail.empty() && middle == 0 ? head : tail,
                         middle == 0 && (head.empty() || tail.empty()));
    if (s.body.done()) {
      end_message(op, sink);
    }
  }
  return opaque_ ? Verdict::kOpaque : Verdict::kContinue;
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
      s.scan = HeadScan{};
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
          s.scan = HeadScan{};
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
  if (s.state == State::kFields && find_head_end(head, s.scan)) {
    const size_t end = s.scan.at;
    end_head(op, head.substr(0, end), sink);
    s.head.clear();
    return end - had;
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
  const bool was_lost = s.body.lost();
  const size_t taken = s.body.feed(bytes);
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

bool Connection::begin_message(const Operation& op, std::string_view line, ExchangeSink& sink) {
  if (is_request(op.direction)) {
    const auto request = parse_request_line(line);
    if (request) {
      begin_request(op, *request, sink);
    }
    message_seen_ |= request.has_value();
    return request.has_value();
  }
  const auto status = parse_status_line(line);
  if (status) {
    begin_response(op, *status, sink);
  }
  message_seen_ |= status.has_value();
  return status.has_value();
}

void Connection::begin_request(const Operation& op, const RequestLine& line, ExchangeSink& sink) {
  // A client that does not pipeline sends its next request when it has the whole response, so a
  // response whose end could not be counted to is over.
  Stream& response = stream(response_direction());
  if (response.state == State::kBody && response.body.lost() && pairing_.outstanding() == 1 &&
      pairing_.response_is_bound()) {
    flag(model::opposite(op.direction), model::kBodyEndUnknown);
    pairing_.end_response(0, sink);
    response.state = State::kLost;
  }
  const Operation& first = stream(op.direction).first;
  RequestOrigin origin;
  origin.start_ns = first.departed_ns;
  origin.request_id = first.request_id;
  origin.thread_id = first.thread_id;
  origin.evidence = first.evidence;
  if (response.state == State::kTunnel && !pairing_.held_is_for(origin.start_ns)) {
    // The other side has changed the protocol before this, so this only looks like a request.
    go_opaque(op.time_ns, sink);
    return;
  }
  const Pairing::Held held = pairing_.begin_request(line, origin, sink);
  const bool reading =
      (response.state == State::kFields && !response.interim) || response.state == State::kBody;
  if (held == Pairing::Held::kAdopted) {
    adopt_response(sink);
  } else if (reading && !pairing_.response_is_bound()) {
    // A response that is nobody's, and whose framing is doubtful: it may have been one to HEAD.
    response.state = State::kLost;
    response.head.clear();
  }
}

// The current request's response came before it, and was framed without knowing the method.
void Connection::adopt_response(ExchangeSink& sink) {
  Pending& pending = *pairing_.current_request();
  Stream& response = stream(response_direction());
  if (pending.is_connect && is_success(pending.http().status)) {
    pending.http().upgraded = true;
  }
  if (!pending.is_head || response.state == State::kFields) {
    return;
  }
  const bool open = !pending.response_done;
  if (pending.http().response_body_size != 0) {
    // The bytes that were taken for its body are something else.
    pending.http().response_body_size = 0;
    pending.exchange.incomplete |= model::kGap;
    response.state = State::kLost;
  } else if (open) {
    response.state = State::kBoundary;
  }
  if (open) {
    pairing_.end_response(0, sink);
  }
}

void Connection::begin_response(const Operation& op, const StatusLine& line, ExchangeSink& sink) {
  Stream& s = stream(op.direction);
  s.status = line.status;
  s.interim = is_interim(line.status);
  if (!s.interim) {
    pairing_.begin_response(line, s.first.departed_ns, s.first.time_ns, sink);
  }
}

void Connection::end_head(const Operation& op, std::string_view head, ExchangeSink& sink) {
  Stream& s = stream(op.direction);
  ++counters_->messages;
  const bool request = is_request(op.direction);
  Pending* const pending = request ? pairing_.current_request() : pairing_.current_response();
  if (!request && s.interim) {
    s.interim = false;
    s.state = State::kBoundary;
    return;
  }
  model::HeaderBlock unused;
  model::HeaderBlock& headers = pending == nullptr ? unused
                                : request          ? pending->http().request_headers
                                                   : pending->http().response_headers;
  const Framing framing = parse_fields(head, s.scan.lines, headers);
  if (request) {
    end_request_head(op, framing, sink);
  } else {
    end_response_head(op, framing, sink);
  }
}

// RFC 9112 section 6.3, rules 3 to 7.
void Connection::end_request_head(const Operation& op, const Framing& framing, ExchangeSink& sink) {
  Stream& s = stream(op.direction);
  pairing_.note_request_bytes(op.time_ns, 0, true);
  const Pending& pending = *pairing_.current_request();
  const bool connect = pending.is_connect;
  const bool answered = pending.response_begun;
  const bool upgraded = pending.http().upgraded;
  pairing_.announce_request(sink);
  if (upgraded) {
    pairing_.end_request(sink);
    go_opaque(op.time_ns, sink);
    return;
  }
  if (connect) {
    pairing_.end_request(sink);
    s.tunnel_bytes = false;
    s.state = answered ? State::kBoundary : State::kTunnel;
    return;
  }
  if (framing.has_transfer_encoding) {
    s.body.begin(framing.chunked_is_last ? Body::Kind::kChunked : Body::Kind::kUnknown);
  } else if (framing.has_content_length && !framing.content_length_valid) {
    s.body.begin(Body::Kind::kUnknown);
  } else {
    s.body.begin(Body::Kind::kLength, framing.content_length);
  }
  s.state = State::kBody;
  if (s.body.done()) {
    end_message(op, sink);
  } else if (s.body.lost()) {
    flag(op.direction, model::kBodyEndUnknown);
    lose_body(op, false, sink);
  }
}

// RFC 9112 section 6.3, rules 1 to 8.
void Connection::end_response_head(const Operation& op, const Framing& framing,
                                   ExchangeSink& sink) {
  Stream& s = stream(op.direction);
  pairing_.note_response_bytes(op.time_ns, 0, true);
  if (end_with_upgrade(op, sink)) {
    return;
  }
  const Pending* const pending = pairing_.current_response();
  const bool bound = pairing_.response_is_bound();
  if ((bound && pending->is_head) || s.status == 204 || s.status == 304) {
    s.body.begin(Body::Kind::kNone);
  } else if (framing.has_transfer_encoding) {
    s.body.begin(framing.chunked_is_last ? Body::Kind::kChunked : Body::Kind::kUntilClose);
  } else if (framing.has_content_length && !framing.content_length_valid) {
    s.body.begin(Body::Kind::kUnknown);
    flag(op.direction, model::kBodyEndUnknown);
  } else if (framing.has_content_length) {
    s.body.begin(Body::Kind::kLength, framing.content_length);
  } else {
    s.body.begin(Body::Kind::kUntilClose);
  }
  s.state = State::kBody;
  if (s.body.done()) {
    end_message(op, sink);
  } else if (s.body.lost()) {
    lose_body(op, false, sink);
  }
}

// A response that changes the protocol ends the connection's HTTP. True: it was one.
bool Connection::end_with_upgrade(const Operation& op, ExchangeSink& sink) {
  Stream& s = stream(op.direction);
  Pending* const pending = pairing_.current_response();
  const bool connect = pairing_.response_is_bound() && pending->is_connect;
  if (s.status != kSwitchingProtocols && !(connect && is_success(s.status))) {
    if (connect) {
      end_tunnel_wait();
    }
    return false;
  }
  if (pending != nullptr) {
    pending->http().upgraded = true;
    if (!pairing_.response_is_bound() || !pending->announced) {
      // The request's head is still to come; it ends what begins here.
      pairing_.end_response(op.departed_ns, sink);
      s.state = State::kTunnel;
      return true;
    }
    pairing_.leave_request_open(sink);
    pairing_.end_response(op.departed_ns, sink);
  }
  go_opaque(op.time_ns, sink);
  return true;
}

// The proxy refused: the client's next bytes are HTTP again.
void Connection::end_tunnel_wait() {
  Stream& request = stream(request_direction());
  if (request.state != State::kTunnel) {
    return;
  }
  request.state = request.tunnel_bytes ? State::kLost : State::kBoundary;
  if (request.tunnel_bytes) {
    pairing_.lose_requests(Loss::kPossible);
  }
}

void Connection::go_opaque(uint64_t time_ns, ExchangeSink& sink) {
  pairing_.close(model::Outcome::kComplete, model::Outcome::kComplete, model::kGap, time_ns, sink);
  opaque_ = true;
  for (Stream& s : streams_) {
    std::string().swap(s.head);
  }
}

void Connection::cut_head(const Operation& op, std::string_view head, uint32_t reason,
                          ExchangeSink& sink) {
  Stream& s = stream(op.direction);
  const bool request = is_request(op.direction);
  if (reason == model::kHeadTruncated) {
    ++counters_->heads_truncated;
  }
  bool begun = s.state == State::kFields;
  if (!begun && request) {
    if (const auto line = parse_cut_request_line(head)) {
      begin_request(op, *line, sink);
      begun = true;
    }
  } else if (!begun) {
    begun = begin_message(op, head, sink);
  }
  if (!begun) {
    unparsed(head.size());
    lose_framing(op, Loss::kCertain, sink);
    return;
  }
  if (opaque_) {
    return;
  }
  message_seen_ = true;
  ++counters_->messages;
  if (!request && s.interim) {
    s.interim = false;
    lose_framing(op, Loss::kPossible, sink);
    return;
  }
  if (Pending* const pending = request ? pairing_.current_request() : pairing_.current_response();
      pending != nullptr) {
    parse_fields(head, s.scan.lines,
                 request ? pending->http().request_headers : pending->http().response_headers);
  }
  flag(op.direction, reason | model::kBodyEndUnknown);
  if (!request) {
    pairing_.note_response_bytes(op.time_ns, 0, false);
    if (end_with_upgrade(op, sink)) {
      return;
    }
  }
  s.body.begin(Body::Kind::kUnknown);
  s.state = State::kBody;
  if (request) {
    const bool upgraded = pairing_.current_request()->http().upgraded;
    const bool connect = pairing_.current_request()->is_connect;
    pairing_.note_request_bytes(op.time_ns, 0, false);
    pairing_.announce_request(sink);
    if (upgraded || connect) {
      pairing_.end_request(sink);
      s.tunnel_bytes = true;
      s.state = State::kTunnel;
      if (upgraded) {
        go_opaque(op.time_ns, sink);
      }
      return;
    }
  }
  lose_body(op, reason == model::kGap, sink);
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
  if (opaque_) {
    return Verdict::kOpaque;
  }
  if (role_ == model::Role::kUnknown) {
    return Verdict::kContinue;
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
      parse_fields(s.head, s.scan.lines,
                   request ? p->http().request_headers : p->http().response_headers);
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
