// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/postgresql/connection.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "agent/protocols/postgresql/messages.h"

namespace zerospan::protocols::postgresql {
namespace {

// Bytes of the answer's end that are looked at for the turn's end.
constexpr size_t kTailBytes = 512;

// How much of a message's body is of use. Passwords and rows are not even looked at.
size_t wanted_bytes(bool request, char type, size_t most) {
  constexpr size_t kNames = 256;
  if (request) {
    switch (type) {
      case 'Q':
      case 'P':
        return most;
      case 'B':
      case 'D':
      case 'E':
      case 'C':
        return kNames;
      default:
        return 0;
    }
  }
  switch (type) {
    case 'C':
    case 'Z':
    case 'S':
      return kNames;
    case 'E':
      return std::min<size_t>(most, 1024);
    default:
      return 0;
  }
}

}  // namespace

Connection::Connection(const model::Connection& connection, const Options& options,
                       ParserCounters* counters)
    : options_(options),
      counters_(counters),
      kernel_role_(connection.role),
      seen_from_start_(connection.seen_from_start),
      session_(options.session, connection.seen_from_start, counters) {
  for (Side& s : sides_) {
    s.offset_known = seen_from_start_;
  }
  if (seen_from_start_ && kernel_role_ != model::Role::kUnknown) {
    begin(kernel_role_ == model::Role::kServer ? model::Direction::kReceive
                                               : model::Direction::kSend);
  }
}

// A startup message is due from this direction.
void Connection::begin(model::Direction requests) {
  role_ = requests == model::Direction::kReceive ? model::Role::kServer : model::Role::kClient;
  session_.set_role(role_);
  side(requests).state = State::kStartup;
  side(model::opposite(requests)).state = State::kHeader;
}

model::Role Connection::role() const {
  return role_ == model::Role::kUnknown ? kernel_role_ : role_;
}

size_t Connection::memory_bytes() const {
  size_t bytes = session_.memory_bytes() + held_bytes_;
  for (const Side& s : sides_) {
    bytes += s.header.capacity() + s.body.capacity() + s.tail.capacity();
  }
  return bytes;
}

// The first message tells who speaks; the kernel's knowledge may be of no use for Unix sockets.
void Connection::decide_role(const model::Chunk& chunk) {
  if (may_be_startup(chunk.head)) {
    begin(chunk.direction);
    return;
  }
  const auto request = chunk.head.empty() ? std::nullopt : tells_request(chunk.head[0]);
  if (!request || !begins_with_messages(*request, chunk.head)) {
    return;
  }
  role_ = *request == (chunk.direction == model::Direction::kReceive) ? model::Role::kServer
                                                                      : model::Role::kClient;
  session_.set_role(role_);
}

Verdict Connection::on_chunk(const model::Chunk& chunk, ExchangeSink& sink) {
  if (opaque_) {
    return Verdict::kOpaque;
  }
  if (role_ == model::Role::kUnknown) {
    decide_role(chunk);
    if (role_ == model::Role::kUnknown) {
      counters_->unparsed_bytes += chunk.head.size() + chunk.tail.size();
      return Verdict::kContinue;
    }
  }
  const bool request = is_request(chunk.direction);
  // On a client another thread may have read the answer before the send was recorded.
  const bool early = role_ == model::Role::kClient && !request && session_.is_idle() &&
                     side(chunk.direction).state == State::kHeader &&
                     side(chunk.direction).header.empty();
  const size_t bytes = chunk.head.size() + chunk.tail.size();
  if (early && held_bytes_ + bytes <= options_.max_held_bytes &&
      side(model::opposite(chunk.direction)).state != State::kNegotiate) {
    held_.push_back({chunk.offset, chunk.length, std::string(chunk.head), std::string(chunk.tail),
                     chunk.time_ns});
    held_bytes_ += bytes;
    return Verdict::kContinue;
  }
  if (!held_.empty()) {
    // What was read before this could leave answers something else.
    release_held(request ? std::max<uint64_t>(chunk.departed_ns, 1) : UINT64_MAX, sink);
  }
  take(chunk, sink);
  if (request && !held_.empty()) {
    release_held(UINT64_MAX, sink);
  }
  return opaque_ ? Verdict::kOpaque : Verdict::kContinue;
}

void Connection::release_held(uint64_t before_ns, ExchangeSink& sink) {
  size_t taken = 0;
  while (taken < held_.size() && !opaque_ && held_[taken].time_ns < before_ns) {
    const Held held = std::move(held_[taken++]);
    model::Chunk chunk;
    chunk.direction = model::Direction::kReceive;
    chunk.offset = held.offset;
    chunk.length = held.length;
    chunk.head = held.head;
    chunk.tail = held.tail;
    chunk.time_ns = chunk.departed_ns = held.time_ns;
    held_bytes_ -= held.head.size() + held.tail.size();
    take(chunk, sink);
  }
  held_.erase(held_.begin(), held_.begin() + static_cast<ptrdiff_t>(taken));
}

void Connection::take(const model::Chunk& chunk, ExchangeSink& sink) {
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
  if (const uint64_t lost = chunk.offset - s.next_offset; lost != 0) {
    ++counters_->gaps;
    counters_->gap_bytes += lost;
    skip(s, request, lost, true, sink);
    s.tail.clear();
  }
  s.next_offset = chunk.offset + chunk.length;
  if (s.state == State::kLost && begins_with_messages(request, head)) {
    ++counters_->resyncs;
    s.state = State::kHeader;
    s.header.clear();
    s.tail.clear();
  }
  feed(s, request, head, sink);
  if (middle != 0) {
    skip(s, request, middle, false, sink);
    s.tail.clear();
  }
  feed(s, request, tail, sink);
  if (s.state == State::kLost) {
    if (const size_t at = find_ending_messages(request, s.tail); at != std::string_view::npos) {
      ++counters_->resyncs;
      const std::string ending = std::exchange(s.tail, {});
      s.state = State::kHeader;
      s.header.clear();
      feed(s, request, std::string_view(ending).substr(at), sink);
    }
  }
}

void Connection::lose(Side& s, bool request, bool lost) {
  if (s.state == State::kLost && !lost) {
    return;
  }
  s.state = State::kLost;
  s.header.clear();
  s.body.clear();
  s.tail.clear();
  if (request) {
    session_.miss_requests(lost);
  } else {
    session_.miss_responses(lost);
  }
}

void Connection::skip(Side& s, bool request, uint64_t count, bool lost, ExchangeSink& sink) {
  if (s.state == State::kBody) {
    const uint64_t here = std::min(count, s.remaining);
    s.remaining -= here;
    count -= here;
    s.body_cut = s.body_cut || here != 0;
    if (lost && !request && here != 0) {
      session_.flag_response(model::kGap);
    }
    if (s.remaining == 0) {
      end_message(s, request, s.body, sink);
    }
  }
  if (count != 0) {
    lose(s, request, lost);
  }
}

void Connection::begin_body(Side& s, bool request, uint32_t length) {
  s.header.clear();
  s.state = State::kBody;
  s.remaining = length;
  s.body_cut = false;
  s.body.clear();
  s.body_wanted = s.type == 0 ? options_.max_body_bytes
                              : wanted_bytes(request, s.type, options_.max_body_bytes);
}

void Connection::feed(Side& s, bool request, std::string_view bytes, ExchangeSink& sink) {
  while (!bytes.empty() && !opaque_) {
    switch (s.state) {
      case State::kLost: {
        counters_->unparsed_bytes += bytes.size();
        s.tail.append(bytes);
        if (s.tail.size() > kTailBytes) {
          s.tail.erase(0, s.tail.size() - kTailBytes);
        }
        return;
      }
      case State::kNegotiate:
        if (request) {
          // Nothing may come before the answer: encryption that nobody waited for.
          opaque_ = true;
          return;
        }
        if (bytes[0] == 'N') {
          bytes.remove_prefix(1);
          s.state = State::kHeader;
          side(role_ == model::Role::kServer ? model::Direction::kReceive : model::Direction::kSend)
              .state = State::kStartup;
        } else if (bytes[0] == 'E') {
          s.state = State::kHeader;  // a server that is too old, or has no room
        } else {
          opaque_ = true;
        }
        break;
      case State::kStartup:
      case State::kHeader: {
        const bool startup = s.state == State::kStartup;
        const size_t needed = startup ? kStartupBytes : kHeaderBytes;
        if (s.header.empty()) {
          s.begin = op_;
        }
        std::string_view header = bytes.substr(0, needed);
        if (s.header.empty() && header.size() == needed) {
          bytes.remove_prefix(needed);
        } else {
          const size_t more = std::min(needed - s.header.size(), bytes.size());
          s.header.append(bytes.substr(0, more));
          bytes.remove_prefix(more);
          if (s.header.size() < needed) {
            return;
          }
          header = s.header;
        }
        if (startup) {
          const uint32_t length = read_u32(header);
          s.type = 0;
          s.code = read_u32(header.substr(4));
          if (!is_startup(length, s.code)) {
            opaque_ = true;
            return;
          }
          begin_body(s, request, length - static_cast<uint32_t>(kStartupBytes));
        } else {
          const uint32_t length = read_u32(header.substr(1));
          s.type = header[0];
          if (!is_plausible(request, s.type, length)) {
            counters_->unparsed_bytes += kHeaderBytes + bytes.size();
            lose(s, request, false);
            return;
          }
          begin_body(s, request, length - 4);
        }
        if (s.remaining == 0) {
          end_message(s, request, {}, sink);
        }
        break;
      }
      case State::kBody: {
        const std::string_view here = bytes.substr(0, s.remaining);
        bytes.remove_prefix(here.size());
        s.remaining -= here.size();
        if (s.remaining == 0 && s.body.empty() && !s.body_cut) {
          s.body_cut = here.size() > s.body_wanted;
          end_message(s, request, here.substr(0, s.body_wanted), sink);
          break;
        }
        if (!s.body_cut) {
          const size_t room = s.body_wanted - s.body.size();
          s.body.append(here.substr(0, room));
          s.body_cut = here.size() > room;
        }
        if (s.remaining == 0) {
          end_message(s, request, s.body, sink);
        }
        break;
      }
    }
  }
}

void Connection::end_message(Side& s, bool request, std::string_view body, ExchangeSink& sink) {
  s.state = State::kHeader;
  if (!request) {
    if (!session_.on_response(s.type, body, s.body_cut, op_.time_ns, sink)) {
      session_.close(model::Outcome::kComplete, model::Outcome::kComplete, model::kBodyEndUnknown,
                     op_.time_ns, sink);
      opaque_ = true;
    }
    return;
  }
  if (s.type != 0) {
    session_.on_request(s.type, body, s.body_cut, s.begin, op_.time_ns, sink);
    return;
  }
  switch (s.code) {
    case kCancelRequest:
      opaque_ = true;  // it has no answer
      break;
    case kSslRequest:
    case kGssEncRequest: {
      s.state = State::kNegotiate;
      Side& other = side(role_ == model::Role::kServer ? model::Direction::kSend
                                                       : model::Direction::kReceive);
      const std::string early = std::exchange(other.header, {});
      other.state = State::kNegotiate;
      feed(other, false, early, sink);
      break;
    }
    default:
      session_.on_startup(body);
      break;
  }
}

Verdict Connection::on_close(const model::Closed& closed, ExchangeSink& sink) {
  if (opaque_) {
    return Verdict::kOpaque;
  }
  release_held(UINT64_MAX, sink);
  for (const auto direction : {model::Direction::kReceive, model::Direction::kSend}) {
    Side& s = side(direction);
    const uint64_t end =
        direction == model::Direction::kReceive ? closed.receive_offset : closed.send_offset;
    if (role_ != model::Role::kUnknown && s.offset_known && end > s.next_offset) {
      ++counters_->gaps;
      counters_->gap_bytes += end - s.next_offset;
      op_.time_ns = closed.time_ns;
      skip(s, is_request(direction), end - s.next_offset, true, sink);
      s.next_offset = end;
    }
  }
  const bool half = closed.kind == model::CloseKind::kSendClosed ||
                    closed.kind == model::CloseKind::kReceiveClosed;
  const auto direction = closed.kind == model::CloseKind::kReceiveClosed
                             ? model::Direction::kReceive
                             : model::Direction::kSend;
  if (!half || (role_ != model::Role::kUnknown && !is_request(direction))) {
    const bool reset = closed.kind == model::CloseKind::kReset;
    session_.close(reset ? model::Outcome::kReset : model::Outcome::kClosedEarly,
                   reset ? model::Outcome::kReset : model::Outcome::kNoResponse,
                   model::kIncompleteNone, closed.time_ns, sink);
  }
  opaque_ = opaque_ || !half;
  return opaque_ ? Verdict::kOpaque : Verdict::kContinue;
}

void Connection::finish(uint64_t time_ns, ExchangeSink& sink) {
  if (!opaque_) {
    release_held(UINT64_MAX, sink);
    session_.close(model::Outcome::kComplete, model::Outcome::kComplete, model::kBodyEndUnknown,
                   time_ns, sink);
    opaque_ = true;
  }
}

}  // namespace zerospan::protocols::postgresql
