// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Chunks to frames, and what frames do. What header blocks say is in messages.cc, what an exchange
// is in streams.cc.

#include "agent/protocols/http2/connection.h"

#include <algorithm>
#include <utility>

namespace zerospan::protocols::http2 {
namespace {

uint32_t read_u32(std::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) {
    value = value << 8U | static_cast<uint8_t>(bytes[i]);
  }
  return value;
}

model::Connection from_start(model::Role role) {
  model::Connection connection;
  connection.role = role;
  connection.seen_from_start = true;
  return connection;
}

}  // namespace

Connection::Side::Side(Connection& connection, model::Direction of, bool seen_from_start,
                       const Options& options)
    : owner(connection),
      direction(of),
      offset_known(seen_from_start),
      reader(seen_from_start, options.max_block_bytes),
      hpack(options.max_table_bytes, seen_from_start),
      fields(options.max_field_bytes) {}

Connection::Connection(const model::Connection& connection, const Options& options,
                       ParserCounters* counters)
    : options_(options),
      counters_(counters),
      kernel_role_(connection.role),
      seen_from_start_(connection.seen_from_start),
      streams_(options.streams, counters),
      sides_{Side{*this, model::Direction::kReceive, connection.seen_from_start, options_},
             Side{*this, model::Direction::kSend, connection.seen_from_start, options_}} {}

Connection::Connection(UpgradedRequest&& request, const Options& options, ParserCounters* counters)
    : Connection(from_start(request.exchange.role), options, counters) {
  role_ = kernel_role_;
  highest_request_ = 1;
  side(model::Direction::kReceive).next_offset = request.receive_offset;
  side(model::Direction::kSend).next_offset = request.send_offset;
  streams_.adopt(std::move(request));
}

model::Role Connection::role() const {
  return role_ == model::Role::kUnknown ? kernel_role_ : role_;
}

size_t Connection::memory_bytes() const {
  size_t bytes = streams_.memory_bytes();
  for (const Side& s : sides_) {
    bytes += s.reader.memory_bytes() + s.hpack.memory_bytes() + s.fields.capacity_bytes() +
             s.block.capacity();
  }
  return bytes;
}

Verdict Connection::on_chunk(const model::Chunk& chunk, ExchangeSink& sink) {
  if (opaque_) {
    return Verdict::kOpaque;
  }
  Side& s = side(chunk.direction);
  const std::string_view head = chunk.head.substr(0, chunk.length);
  const std::string_view tail = chunk.tail.substr(0, chunk.length - head.size());
  const uint64_t middle = chunk.length - head.size() - tail.size();
  if (!s.offset_known) {
    s.offset_known = true;
    s.next_offset = chunk.offset;
  }
  if (chunk.length == 0 || chunk.offset < s.next_offset) {
    counters_->unparsed_bytes += head.size() + tail.size();  // seen already
    return Verdict::kContinue;
  }
  sink_ = &sink;
  catch_up(model::opposite(chunk.direction), chunk.opposite_offset, chunk.time_ns);
  op_.time_ns = chunk.time_ns;
  op_.departed_ns = chunk.direction == model::Direction::kSend && chunk.departed_ns != 0
                        ? chunk.departed_ns
                        : chunk.time_ns;
  op_.thread_id = chunk.thread_id;
  op_.request_id = chunk.request_id;
  op_.evidence = chunk.evidence;

  const uint64_t resyncs = s.reader.resyncs();
  const uint64_t lost = chunk.offset - s.next_offset;
  lose(s, chunk.offset);
  s.next_offset = chunk.offset + chunk.length;
  uint64_t unparsed = s.reader.feed(head, true, s);
  s.reader.skip(middle, s);
  unparsed += s.reader.feed(tail, head.empty() && middle == 0, s);
  counters_->unparsed_bytes += unparsed;
  if (s.reader.lost() && role_ != model::Role::kUnknown) {
    // What went by may have been for any stream, also for those opened since the loss.
    streams_.lose(is_request(chunk.direction), op_.time_ns);
  }
  counters_->resyncs += s.reader.resyncs() - resyncs;
  streams_.expire(op_.time_ns, sink);
  // A new connection that does not even begin like HTTP/2.
  opaque_ = seen_from_start_ && s.reader.lost() && s.reader.frames() == 0 && lost == 0 &&
            middle == 0 && role_ == model::Role::kUnknown;
  return opaque_ ? Verdict::kOpaque : Verdict::kContinue;
}

// What the direction has not had below `offset` is lost.
void Connection::lose(Side& s, uint64_t offset) {
  if (offset <= s.next_offset) {
    return;
  }
  const uint64_t lost = offset - s.next_offset;
  s.next_offset = offset;
  ++counters_->gaps;
  counters_->gap_bytes += lost;
  gap_ = true;
  s.reader.skip(lost, s);
  gap_ = false;
}

// The other direction's record, or the close, tells how far a direction had come by then: a loss
// that nothing follows would not be seen, and what it ended would look as if it was cut.
void Connection::catch_up(model::Direction direction, uint64_t offset, uint64_t time_ns) {
  Side& s = side(direction);
  if (offset == 0 || offset <= s.next_offset) {
    return;
  }
  s.offset_known = true;
  op_ = Operation();
  op_.time_ns = op_.departed_ns = time_ns;
  lose(s, offset);
  if (s.reader.lost() && role_ != model::Role::kUnknown) {
    streams_.lose(is_request(direction), time_ns);
  }
}

Verdict Connection::on_close(const model::Closed& closed, ExchangeSink& sink) {
  if (opaque_) {
    return Verdict::kOpaque;
  }
  sink_ = &sink;
  catch_up(model::Direction::kReceive, closed.receive_offset, closed.time_ns);
  catch_up(model::Direction::kSend, closed.send_offset, closed.time_ns);
  const bool half = closed.kind == model::CloseKind::kSendClosed ||
                    closed.kind == model::CloseKind::kReceiveClosed;
  const auto direction = closed.kind == model::CloseKind::kReceiveClosed
                             ? model::Direction::kReceive
                             : model::Direction::kSend;
  // A client that sends no more may still wait for its answers.
  if (role_ != model::Role::kUnknown && (!half || !is_request(direction))) {
    const bool reset = closed.kind == model::CloseKind::kReset;
    streams_.close(reset ? model::Outcome::kReset : model::Outcome::kClosedEarly,
                   reset ? model::Outcome::kReset : model::Outcome::kNoResponse,
                   model::kIncompleteNone, closed.time_ns, sink);
  }
  opaque_ = !half;
  return opaque_ ? Verdict::kOpaque : Verdict::kContinue;
}

void Connection::finish(uint64_t time_ns, ExchangeSink& sink) {
  if (!opaque_) {
    streams_.close(model::Outcome::kComplete, model::Outcome::kComplete, model::kBodyEndUnknown,
                   time_ns, sink);
    opaque_ = true;
  }
}

void Connection::set_requester(model::Direction direction) {
  if (role_ == model::Role::kUnknown) {
    role_ = direction == model::Direction::kReceive ? model::Role::kServer : model::Role::kClient;
  }
}

void Connection::Side::on_preface() {
  owner.set_requester(direction);
}

void Connection::touch(Stream& stream) {
  stream.last_ns = std::max(stream.last_ns, op_.time_ns);
  if (gap_) {
    stream.exchange.incomplete |= model::kGap;
  }
}

void Connection::Side::on_data(const FrameHeader& header, std::string_view bytes,
                               uint64_t missing) {
  Stream* const stream = owner.streams_.find(header.stream_id);
  if (stream == nullptr || owner.role_ == model::Role::kUnknown) {
    owner.counters_->unparsed_bytes += bytes.size();
    return;
  }
  owner.touch(*stream);
  const bool request = owner.is_request(direction);
  MessageCounter& messages = request ? stream->requests : stream->responses;
  model::HttpExchange& http = stream->http();
  (request ? http.request_body_size : http.response_body_size) += bytes.size() + missing;
  messages.feed(bytes);
  if (missing != 0) {
    messages.skip(missing);
  }
}

bool Connection::Side::on_frame(const FrameHeader& header, std::string_view payload, bool cut) {
  switch (header.type) {
    case FrameType::kHeaders:
    case FrameType::kPushPromise:
    case FrameType::kContinuation:
      return owner.on_block_fragment(*this, header, payload, cut);
    case FrameType::kData:
      if (Stream* const stream = owner.streams_.find(header.stream_id);
          stream != nullptr && owner.role_ != model::Role::kUnknown) {
        const bool request = owner.is_request(direction);
        owner.touch(*stream);
        if (cut) {  // the padding's length is not known
          (request ? stream->http().request_body_size_exact
                   : stream->http().response_body_size_exact) = false;
          (request ? stream->requests : stream->responses).lose();
        }
        // Of a response that ended already nothing more can come.
        if (!request && !stream->response_done) {
          stream->exchange.response_end_ns = owner.op_.time_ns;
        } else if (request) {
          stream->exchange.request_end_ns = owner.op_.time_ns;
        }
        if (header.has(kEndStream)) {
          owner.end_side(*stream, request);
        }
      }
      return true;
    case FrameType::kRstStream:
      owner.on_reset(*this, header, payload);
      return true;
    case FrameType::kGoaway:
      owner.on_goaway(*this, payload);
      return true;
    case FrameType::kSettings:
      owner.on_settings(*this, header, payload);
      return true;
    case FrameType::kPriority:
    case FrameType::kPing:
    case FrameType::kWindowUpdate:
      break;
  }
  return true;
}

bool Connection::Side::expects(uint32_t stream_id) const {
  constexpr uint32_t kNew = 200;  // how far a loss may have advanced the numbers, which are odd
  const uint32_t highest = owner.highest_request_;
  return highest == 0 || (stream_id > highest && stream_id - highest <= kNew) ||
         owner.streams_.find(stream_id) != nullptr;
}

void Connection::Side::on_lost() {
  if (block_open && !block.empty()) {
    owner.end_block(*this, block, true);  // what there is of it
  }
  hpack.forget();
  block_open = false;
  block.clear();
  if (owner.role_ != model::Role::kUnknown) {
    owner.streams_.lose(owner.is_request(direction), owner.op_.time_ns);
  }
}

// The last frame of this direction on the stream.
void Connection::end_side(Stream& stream, bool request) {
  if (request) {
    stream.requests.end();
    stream.request_done = true;
  } else if (!stream.response_done) {
    stream.responses.end();
    stream.response_done = true;
    stream.exchange.response_end_ns = op_.time_ns;
  }
  streams_.settle(stream, *sink_);
}

void Connection::on_reset(const Side& s, const FrameHeader& header, std::string_view payload) {
  if (role_ == model::Role::kUnknown) {
    return;
  }
  const bool request = is_request(s.direction);
  Stream* const stream =
      request ? streams_.find(header.stream_id) : find_or_expect(header.stream_id);
  if (stream != nullptr) {
    touch(*stream);
    const uint32_t code = payload.size() < 4 ? UINT32_MAX : read_u32(payload);
    streams_.reset(*stream, {code, request}, op_.time_ns, *sink_);
  }
}

void Connection::on_goaway(const Side& s, std::string_view payload) {
  if (role_ == model::Role::kUnknown || is_request(s.direction)) {
    return;
  }
  if (payload.size() < 4) {
    streams_.lose(false, op_.time_ns);  // nobody knows which streams it refuses
    return;
  }
  streams_.refuse_above(read_u32(payload) & 0x7fffffffU, op_.time_ns, *sink_);
}

void Connection::on_settings(const Side& s, const FrameHeader& header, std::string_view payload) {
  constexpr uint16_t kMaxFrameSize = 5;  // section 6.5.2
  while (!header.has(kEndStream) && payload.size() >= 6) {
    const auto id = static_cast<uint16_t>(static_cast<uint8_t>(payload[0]) << 8U |
                                          static_cast<uint8_t>(payload[1]));
    if (id == kMaxFrameSize) {
      side(model::opposite(s.direction)).reader.allow(read_u32(payload.substr(2)));
    }
    payload.remove_prefix(6);
  }
}

}  // namespace zerospan::protocols::http2
