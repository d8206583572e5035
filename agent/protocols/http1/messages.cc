// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What Connection does at a message's beginning and at the end of its head.

#include "agent/protocols/http1/connection.h"

namespace zerospan::protocols::http1 {
namespace {

constexpr uint16_t kSwitchingProtocols = 101;

bool is_interim(uint16_t status) {
  return status < 200 && status != kSwitchingProtocols;
}

bool is_success(uint16_t status) {
  return status >= 200 && status < 300;
}

// What the body's beginning says is told of calls that are written as JSON or GraphQL.
bool has_type_of_call(const model::HeaderBlock& headers) {
  return headers.has_any(model::header_bit(model::KnownHeader::kContentType)) &&
         model::is_type_of_call(headers.find("content-type"));
}

// ClickHouse takes statements as the bodies of requests for "/", whose clients need not say what
// they are: only the answer does.
bool may_ask_clickhouse(const model::HttpExchange& http) {
  constexpr uint32_t kFields = model::header_bit(model::KnownHeader::kXClickhouseUser) |
                               model::header_bit(model::KnownHeader::kXClickhouseKey) |
                               model::header_bit(model::KnownHeader::kXClickhouseDatabase);
  const std::string_view target = http.target;
  return target == "/" || target.starts_with("/?") || http.request_headers.has_any(kFields);
}

}  // namespace

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
  origin.offset = stream(op.direction).message_offset;
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
  pending.http().response_body_start.clear();
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

size_t Connection::end_head(const Operation& op, std::string_view bytes, ExchangeSink& sink) {
  Stream& s = stream(op.direction);
  const bool request = is_request(op.direction);
  const bool interim = !request && s.interim;
  Pending* const pending = interim   ? nullptr
                           : request ? pairing_.current_request()
                                     : pairing_.current_response();
  model::HeaderBlock unused;
  model::HeaderBlock& headers = pending == nullptr ? unused
                                : request          ? pending->http().request_headers
                                                   : pending->http().response_headers;
  const ParsedFields parsed = parse_fields(bytes, headers);
  if (parsed.end == 0) {
    headers.clear();
    return 0;
  }
  ++counters_->messages;
  if (request) {
    end_request_head(op, parsed.framing, sink);
  } else if (interim) {
    s.interim = false;
    s.state = State::kBoundary;
  } else {
    end_response_head(op, parsed.framing, sink);
  }
  return parsed.end;
}

// RFC 9112 section 6.3, rules 3 to 7.
void Connection::end_request_head(const Operation& op, const Framing& framing, ExchangeSink& sink) {
  Stream& s = stream(op.direction);
  pairing_.note_request_bytes(op.time_ns, 0, true);
  Pending& pending = *pairing_.current_request();
  pending.keeps_bodies =
      std::string_view(pending.http().method) == "POST" &&
      (has_type_of_call(pending.http().request_headers) || may_ask_clickhouse(pending.http()));
  const bool keeps_bodies = pending.keeps_bodies;
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
  if (keeps_bodies && !s.body.lost()) {
    s.body.keep_start();
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
  if (pending != nullptr && !s.body.lost() && keeps_answer(*pending)) {
    s.body.keep_start();
  }
  s.state = State::kBody;
  if (s.body.done()) {
    end_message(op, sink);
  } else if (s.body.lost()) {
    lose_body(op, false, sink);
  }
}

// JSON-RPC says in the body whether a call failed, ClickHouse why. What is not known of a request
// that is still to come, or not whole, is left open.
bool Connection::keeps_answer(const Pending& pending) const {
  const model::HttpExchange& http = pending.http();
  const bool bound = pairing_.response_is_bound();
  if ((bound && !pending.keeps_bodies) || !has_type_of_call(http.response_headers)) {
    return http.status >= 400 && http.response_headers.has_any(model::header_bit(
                                     model::KnownHeader::kXClickhouseServerDisplayName));
  }
  return !bound || !pending.request_done ||
         http.request_body_start.find("\"jsonrpc\"") != std::string::npos;
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
  if (s.status == kSwitchingProtocols && end_with_h2c()) {
    return true;
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

// RFC 7540 section 3.2: the request becomes stream 1, and frames follow at once.
bool Connection::end_with_h2c() {
  const Pending* const pending = pairing_.current_response();
  if (options_.make_h2c == nullptr || pending == nullptr ||
      !equals_ignoring_case(pending->http().response_headers.find("upgrade"), "h2c") ||
      stream(request_direction()).state != State::kBoundary) {
    return false;
  }
  upgraded_ = pairing_.take_upgraded();
  return upgraded_ != nullptr;
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
    parse_fields(head,
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

}  // namespace zerospan::protocols::http1
