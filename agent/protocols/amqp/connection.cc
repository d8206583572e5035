// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Bytes to frames. What a frame means is in channels.cc.

#include "agent/protocols/amqp/connection.h"

#include <algorithm>
#include <utility>

namespace zerospan::protocols::amqp {
namespace {

constexpr size_t kProtocolBytes = 8;
constexpr size_t kHeaderBytes = 7;
constexpr char kFrameEnd = '\xce';
constexpr uint64_t kLargestFrame = uint64_t{1} << 30U;

enum FrameType : uint8_t { kMethod = 1, kContentHeader = 2, kBody = 3, kHeartbeat = 8 };

// Where nothing says that a frame begins: does one?
bool begins_frame(std::string_view bytes) {
  if (begins(bytes) != Begin::kNo) {
    return true;
  }
  Reader reader(bytes);
  const uint64_t type = reader.read(1);
  const uint64_t channel = reader.read(2);
  const uint64_t length = reader.read(4);
  if (!reader.ok() || channel >= 0x800) {
    return false;
  }
  switch (type) {
    case kMethod: {
      const uint64_t group = reader.read(2);
      const uint64_t number = reader.read(2);
      return reader.ok() && length >= 4 && length <= 0xffff && number >= 10 && number <= 120 &&
             (group == 10 || group == 20 || group == 40 || group == 50 || group == 60 ||
              group == 85 || group == 90);
    }
    case kContentHeader: {
      const uint64_t group = reader.read(2);
      return reader.read(2) == 0 && reader.ok() && group == 60 && length >= 14 &&
             length <= 0xffffff;
    }
    case kHeartbeat:
      return channel == 0 && length == 0 && reader.read_bytes(1) == std::string_view(&kFrameEnd, 1);
    default:
      return false;
  }
}

}  // namespace

Connection::Connection(const model::Connection& connection, const Options& options,
                       ParserCounters* counters)
    : options_(options),
      counters_(counters),
      kernel_role_(connection.role),
      seen_from_start_(connection.seen_from_start) {
  for (Side& s : sides_) {
    s.offset_known = connection.seen_from_start;
    s.lost = !connection.seen_from_start;
  }
}

model::Role Connection::role() const {
  return role_ == model::Role::kUnknown ? kernel_role_ : role_;
}

size_t Connection::memory_bytes() const {
  size_t bytes = pending_ * (sizeof(Pending) + sizeof(model::Exchange) + 256) + deliveries_ * 96;
  for (const Side& s : sides_) {
    bytes += s.payload.capacity();
  }
  for (const auto& [number, channel] : channels_) {
    bytes += sizeof(channel) + channel.consumers.size() * 256 +
             channel.early_confirms.size() * sizeof(EarlyConfirm);
  }
  return bytes;
}

Verdict Connection::on_chunk(const model::Chunk& chunk, ExchangeSink& sink) {
  if (opaque_) {
    return Verdict::kOpaque;
  }
  sink_ = &sink;
  const std::string_view head = chunk.head.substr(0, chunk.length);
  const std::string_view tail = chunk.tail.substr(0, chunk.length - head.size());
  const uint64_t middle = chunk.length - head.size() - tail.size();
  if (role_ == model::Role::kUnknown) {
    const Begin begin = begins(head);
    if (begin == Begin::kNo) {
      counters_->unparsed_bytes += head.size() + tail.size();
      return Verdict::kContinue;
    }
    role_ = (chunk.direction == model::Direction::kReceive) == (begin == Begin::kClient)
                ? model::Role::kServer
                : model::Role::kClient;
  }
  Side& s = side(chunk.direction);
  const bool client = is_client(chunk.direction);
  if (!s.offset_known) {
    s.offset_known = true;
    s.next_offset = chunk.offset;
  }
  if (chunk.length == 0 || chunk.offset < s.next_offset) {
    counters_->unparsed_bytes += head.size() + tail.size();  // seen already
    return Verdict::kContinue;
  }
  op_ = {chunk.time_ns,
         chunk.direction == model::Direction::kSend && chunk.departed_ns != 0 ? chunk.departed_ns
                                                                              : chunk.time_ns,
         chunk.request_id, chunk.thread_id, chunk.evidence};
  ++operations_;
  op_whole_ = middle == 0;
  // First what is missing in the other direction: it was before this.
  if (Side& other = side(model::opposite(chunk.direction)); other.offset_known) {
    note_gap(other, !client, chunk.opposite_offset);
  }
  note_gap(s, client, chunk.offset);
  s.next_offset = chunk.offset + chunk.length;
  if (s.lost) {
    resume(s, head);
  }
  feed(s, client, head);
  if (middle != 0) {
    skip(s, client, middle, false);
  }
  feed(s, client, tail);
  if (opaque_) {
    close_all(model::Outcome::kComplete, model::kBodyEndUnknown);
  }
  return opaque_ ? Verdict::kOpaque : Verdict::kContinue;
}

void Connection::resume(Side& s, std::string_view head) {
  if (begins_frame(head)) {
    ++counters_->resyncs;
    s.lost = false;
  }
}

// What is missing below `offset` was lost.
void Connection::note_gap(Side& s, bool client, uint64_t offset) {
  if (offset <= s.next_offset) {
    return;
  }
  const uint64_t lost = offset - s.next_offset;
  ++counters_->gaps;
  counters_->gap_bytes += lost;
  s.next_offset = offset;
  skip(s, client, lost, true);
}

void Connection::skip(Side& s, bool client, uint64_t count, bool lost) {
  if (s.lost) {
    return;
  }
  if (s.in_frame) {
    const uint64_t here = std::min(count, s.size + 1 - s.at);
    // Of a body nothing is needed, and of channel 0 not what was left out on purpose.
    s.cut = s.cut || s.at < s.size;
    s.gap = s.gap || (lost && s.at < s.size);
    s.at += here;
    count -= here;
    if (s.at == s.size + 1) {
      end_frame(s, client);
    }
  }
  if (count != 0) {
    lose(s, client);
  }
}

// Frames of any channel may have passed unseen.
void Connection::lose(Side& s, bool client) {
  if (s.lost) {
    return;
  }
  s.lost = true;
  s.in_frame = false;
  s.header.clear();
  s.payload.clear();
  for (auto& [number, channel] : channels_) {
    if (std::optional<Content>& content = channel.contents[client ? 1 : 0]; content) {
      content->incomplete |= model::kGap;
      end_content(channel, client);
    }
    channel.doubt = true;
    if (client) {
      channel.numbers_known = false;
      channel.known = channel.known && (channel.confirms || channel.published_without);
      channel.tags_whole = false;
    } else {
      // Their answers may be among what is missing.
      channel.settled_below = channel.published;
      channel.tags_whole = false;
      close_pending(channel, model::Outcome::kComplete, model::kGap);
    }
  }
}

void Connection::feed(Side& s, bool client, std::string_view bytes) {
  const size_t op_bytes = bytes.size();
  while (!bytes.empty()) {
    if (s.lost) {
      counters_->unparsed_bytes += bytes.size();
      return;
    }
    if (!s.in_frame) {
      if (s.header.empty()) {
        s.begin = op_;
        s.first = op_whole_ && bytes.size() == op_bytes;
      }
      const bool protocol = (s.header.empty() ? bytes.front() : s.header.front()) == 'A';
      const size_t wanted = protocol ? kProtocolBytes : kHeaderBytes;
      const size_t count = std::min(bytes.size(), wanted - s.header.size());
      s.header.append(bytes.substr(0, count));
      bytes.remove_prefix(count);
      if (s.header.size() < wanted) {
        return;
      }
      if (protocol) {
        // A server that answers with one speaks another version, and closes.
        opaque_ = opaque_ || !client || begins(s.header) == Begin::kNo;
        s.header.clear();
        continue;
      }
      Reader reader(s.header);
      s.type = static_cast<uint8_t>(reader.read(1));
      s.channel = static_cast<uint16_t>(reader.read(2));
      s.size = reader.read(4);
      s.header.clear();
      if ((s.type != kMethod && s.type != kContentHeader && s.type != kBody &&
           s.type != kHeartbeat) ||
          s.size > kLargestFrame) {
        counters_->unparsed_bytes += kHeaderBytes;
        lose(s, client);
        continue;
      }
      s.in_frame = true;
      s.at = 0;
      s.gap = false;
      s.cut = false;
      s.payload.clear();
      continue;
    }
    if (s.at < s.size) {
      const std::string_view here = bytes.substr(0, s.size - s.at);
      if (s.type != kBody && !s.cut) {
        s.payload.append(here.substr(0, options_.max_frame_bytes - s.payload.size()));
        s.cut = s.payload.size() != s.at + here.size();
      }
      s.at += here.size();
      bytes.remove_prefix(here.size());
      continue;
    }
    if (bytes.front() != kFrameEnd) {
      counters_->unparsed_bytes += 1;
      lose(s, client);
      continue;
    }
    bytes.remove_prefix(1);
    ++s.at;
    op_ends_ = op_whole_ && bytes.empty();
    end_frame(s, client);
  }
}

void Connection::end_frame(Side& s, bool client) {
  s.in_frame = false;
  if (s.type == kHeartbeat) {
    return;
  }
  if (s.type == kMethod) {
    Reader reader(s.payload);
    const auto method = static_cast<uint32_t>(reader.read(4));
    if (!reader.ok()) {
      lose(s, client);  // what was not captured may have been any
      return;
    }
    const std::string_view arguments = std::string_view(s.payload).substr(4);
    if (s.channel == 0) {
      on_connection_method(client, method, reader);
      return;
    }
    ++counters_->messages;
    if (client) {
      several_channels_ = several_channels_ || (only_channel_ != 0 && only_channel_ != s.channel);
      only_channel_ = s.channel;
      on_client_method(channel(s.channel), s, method, arguments);
    } else {
      on_server_method(channel(s.channel), s, method, arguments);
    }
    return;
  }
  const auto found = channels_.find(s.channel);
  if (found == channels_.end() || !found->second.contents[client ? 1 : 0]) {
    counters_->unparsed_bytes += s.payload.size();  // its method was lost
    return;
  }
  Content& content = *found->second.contents[client ? 1 : 0];
  content.incomplete |= s.gap ? model::kGap : model::kIncompleteNone;
  if (s.type == kContentHeader) {
    auto header = read_content_header(s.payload);
    if (!header || content.header_seen) {
      lose(s, client);
      return;
    }
    content.incomplete |= s.cut && !s.gap ? model::kHeadTruncated : model::kIncompleteNone;
    content.header_seen = true;
    content.body_left = header->body_size;
    content.message.body_size = header->body_size;
    content.message.message_id = std::move(header->message_id);
    content.message.conversation_id = std::move(header->correlation_id);
    if (!header->traceparent.empty()) {
      content.message.creation_contexts.push_back(std::move(header->traceparent));
    }
  } else {
    if (!content.header_seen || s.size > content.body_left) {
      lose(s, client);
      return;
    }
    content.body_left -= s.size;
  }
  if (content.body_left == 0) {
    end_content(found->second, client);
  }
}

Verdict Connection::on_close(const model::Closed& closed, ExchangeSink& sink) {
  if (opaque_) {
    return Verdict::kOpaque;
  }
  sink_ = &sink;
  op_ = {};
  op_.time_ns = closed.time_ns;
  op_.departed_ns = closed.time_ns;
  if (role_ != model::Role::kUnknown) {
    for (const auto direction : {model::Direction::kReceive, model::Direction::kSend}) {
      if (Side& s = side(direction); s.offset_known) {
        note_gap(
            s, is_client(direction),
            direction == model::Direction::kReceive ? closed.receive_offset : closed.send_offset);
      }
    }
  }
  if (closed.kind == model::CloseKind::kSendClosed ||
      closed.kind == model::CloseKind::kReceiveClosed) {
    return Verdict::kContinue;
  }
  close_all(closed.kind == model::CloseKind::kReset ? model::Outcome::kReset
                                                    : model::Outcome::kNoResponse,
            model::kIncompleteNone);
  opaque_ = true;
  return Verdict::kOpaque;
}

void Connection::finish(uint64_t time_ns, ExchangeSink& sink) {
  if (opaque_) {
    return;
  }
  sink_ = &sink;
  op_.time_ns = time_ns;
  close_all(model::Outcome::kComplete, model::kBodyEndUnknown);
  opaque_ = true;
}

}  // namespace zerospan::protocols::amqp
