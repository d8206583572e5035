// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Header blocks to messages: which are heads, which trailers, and what they say.

#include <algorithm>

#include "agent/protocols/http2/connection.h"

namespace zerospan::protocols::http2 {
namespace {

constexpr size_t kMaxGrpcMessage = 1024;

}  // namespace

bool Connection::on_block_fragment(Side& s, const FrameHeader& header, std::string_view payload,
                                   bool cut) {
  const auto fragment = find_fragment(header, payload);
  if (!fragment) {
    return false;
  }
  if (header.type != FrameType::kContinuation) {
    s.block_head = header;
    s.block_start = s.frame_start;
    s.block_cut = false;
    s.block.clear();
    if (header.has(kEndHeaders)) {
      return end_block(s, *fragment, cut);
    }
    s.block_open = true;
  }
  if (!s.block_open) {
    return true;  // its beginning was lost
  }
  if (!s.block_cut) {
    const size_t room = options_.max_block_bytes - s.block.size();
    s.block.append(fragment->substr(0, room));
    s.block_cut = cut || fragment->size() > room;
  }
  if (!header.has(kEndHeaders)) {
    return true;
  }
  s.block_open = false;
  return end_block(s, s.block, s.block_cut);
}

bool Connection::end_block(Side& s, std::string_view block, bool cut) {
  if (!s.hpack.decode(block, !cut, s.fields)) {
    return false;
  }
  if (s.block_head.type == FrameType::kPushPromise) {
    return true;
  }
  const auto known = check_fields(s.fields);
  return known && on_fields(s, *known, cut);
}

bool Connection::on_fields(Side& s, const KnownFields& known, bool cut) {
  if (known.of_request()) {
    set_requester(s.direction);
  } else if (known.of_response()) {
    set_requester(model::opposite(s.direction));
  } else if (role_ == model::Role::kUnknown && kernel_role_ != model::Role::kUnknown) {
    role_ = kernel_role_;
  }
  if (role_ == model::Role::kUnknown) {
    return true;
  }
  const bool request = is_request(s.direction);
  if (request ? known.of_response() : known.of_request()) {
    return false;
  }
  if (s.block_head.stream_id % 2 == 0) {
    return true;  // a pushed response: nobody asked for it
  }
  uint32_t incomplete = model::kIncompleteNone;
  if (s.fields.unknown() != 0) {
    incomplete |= model::kFieldsUnknown;
  }
  if (cut || s.fields.truncated()) {
    incomplete |= model::kHeadTruncated;
  }
  if (gap_) {
    incomplete |= model::kGap;
  }
  if (request) {
    on_request_fields(s, known, incomplete);
  } else {
    on_response_fields(s, known, incomplete);
  }
  return true;
}

void Connection::on_request_fields(Side& s, const KnownFields& known, uint32_t incomplete) {
  const uint32_t id = s.block_head.stream_id;
  Stream* stream = streams_.find(id);
  if (stream == nullptr) {
    // A new request, unless what is known of it says otherwise: trailers, or of a stream that is
    // over.
    const bool head = known.of_request() || incomplete != model::kIncompleteNone;
    if (id <= highest_request_ || !head) {
      return;
    }
    streams_.drop_unrequested(id);
    stream = &streams_.open(id, op_.time_ns, *sink_);
  }
  stream->exchange.incomplete |= incomplete;
  touch(*stream);
  if (!stream->request_seen) {
    highest_request_ = std::max(highest_request_, id);
    streams_.drop_unrequested(id);
    ++counters_->messages;
    counters_->heads_truncated += (incomplete & model::kHeadTruncated) != 0 ? 1 : 0;
    fill_request(*stream, s, known);
    streams_.announce(*stream, role_, *sink_);
  }
  stream->exchange.request_end_ns = op_.time_ns;
  if (s.block_head.has(kEndStream)) {
    end_side(*stream, true);
  } else {
    streams_.settle(*stream, *sink_);
  }
}

void Connection::fill_request(Stream& stream, const Side& s, const KnownFields& known) {
  model::Exchange& exchange = stream.exchange;
  exchange.request_start_ns = s.block_start.departed_ns;
  exchange.request_id = s.block_start.request_id;
  exchange.evidence = s.block_start.evidence;
  exchange.thread_id = s.block_start.thread_id;
  exchange.response_start_ns =
      exchange.response_start_ns == 0
          ? 0
          : std::max(exchange.response_start_ns, exchange.request_start_ns);
  model::HttpExchange& http = stream.http();
  http.method.assign(known.method);
  // Section 8.5: CONNECT has an authority and no path, unless RFC 8441 gives it one.
  http.target.assign(known.method == "CONNECT" && known.path.empty() ? known.authority
                                                                     : known.path);
  http.scheme.assign(known.scheme);
  streams_.charge(stream, copy_fields(s.fields, known, http.request_headers) + http.target.size());
  note_grpc(stream, known);
  if (http.grpc) {
    http.grpc->timeout_ns = parse_grpc_timeout(known.grpc_timeout);
  }
}

Stream* Connection::find_or_expect(uint32_t id) {
  Stream* const stream = streams_.find(id);
  if (stream != nullptr || id <= highest_request_ || id % 2 == 0) {
    return stream;
  }
  // Only a send can be recorded after its answer.
  return role_ == model::Role::kClient ? &streams_.open(id, op_.time_ns, *sink_) : nullptr;
}

void Connection::on_response_fields(Side& s, const KnownFields& known, uint32_t incomplete) {
  Stream* const stream = find_or_expect(s.block_head.stream_id);
  if (stream == nullptr) {
    ++counters_->responses_without_request;
    return;
  }
  if (stream->response_done) {
    return;
  }
  touch(*stream);
  model::HttpExchange& http = stream->http();
  const bool end = s.block_head.has(kEndStream);
  const uint16_t status = parse_status(known.status);
  if (status >= 100 && status < 200 && !end) {
    ++counters_->messages;
    return;  // RFC 9110 section 15.2: the final head is still to come
  }
  stream->exchange.incomplete |= incomplete;
  if (!stream->response_begun) {
    stream->response_begun = true;
    stream->exchange.response_start_ns =
        std::max(s.block_start.departed_ns, stream->exchange.request_start_ns);
  }
  // A head whose :status is not known may be an interim one; then the next is the head. Without
  // :status they are trailers, also if no head was seen.
  if (http.status == 0 && (status != 0 || incomplete != model::kIncompleteNone)) {
    ++counters_->messages;
    counters_->heads_truncated += (incomplete & model::kHeadTruncated) != 0 ? 1 : 0;
    http.status = status;
    streams_.charge(*stream, copy_fields(s.fields, known, http.response_headers));
  }
  note_grpc(*stream, known);
  stream->exchange.response_end_ns = op_.time_ns;
  if (end) {
    end_side(*stream, false);
  }
}

void Connection::note_grpc(Stream& stream, const KnownFields& known) {
  model::HttpExchange& http = stream.http();
  if (!http.grpc) {
    // With the request's content-type unknown, the response tells.
    if (!is_grpc_content_type(known.content_type) && known.grpc_status.data() == nullptr) {
      return;
    }
    http.grpc.emplace();
  }
  if (const auto status = parse_grpc_status(known.grpc_status)) {
    http.grpc->status = status;
    http.grpc->message = decode_grpc_message(known.grpc_message, kMaxGrpcMessage);
  }
}

}  // namespace zerospan::protocols::http2
