// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/mqtt/connection.h"

#include <algorithm>
#include <utility>

#include "agent/protocols/mqtt/detect.h"

namespace zerospan::protocols::mqtt {
namespace {

constexpr size_t kLongestHeader = 5;

// Where nothing says that a packet begins: acknowledgements and pings, which no text looks like.
bool resumes(std::string_view bytes) {
  if (bytes.size() < 2) {
    return false;
  }
  const auto type = static_cast<uint8_t>(bytes[0]);
  const auto length = static_cast<uint8_t>(bytes[1]);
  return ((type == 0x40 || type == 0x50 || type == 0x62 || type == 0x70) && length == 2) ||
         ((type == 0xc0 || type == 0xd0) && length == 0);
}

}  // namespace

Connection::Connection(const model::Connection& connection, const Options& options,
                       ParserCounters* counters)
    : options_(options), counters_(counters), kernel_role_(connection.role) {
  for (Side& s : sides_) {
    s.offset_known = connection.seen_from_start;
  }
}

model::Role Connection::role() const {
  return role_ == model::Role::kUnknown ? kernel_role_ : role_;
}

size_t Connection::memory_bytes() const {
  size_t bytes = pending_.size() * (sizeof(Pending) + sizeof(model::Exchange) + 256) +
                 early_.size() * sizeof(Early);
  for (const Side& s : sides_) {
    bytes += s.payload.capacity();
    for (const auto& [alias, topic] : s.topics) {
      bytes += sizeof(topic) + topic.capacity() + 32;
    }
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
    if (!detect(head)) {
      counters_->unparsed_bytes += head.size() + tail.size();
      return Verdict::kContinue;
    }
    role_ =
        chunk.direction == model::Direction::kReceive ? model::Role::kServer : model::Role::kClient;
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
  // First what is missing in the other direction: it was before this.
  if (Side& other = side(model::opposite(chunk.direction)); other.offset_known) {
    note_gap(other, !client, chunk.opposite_offset);
  }
  note_gap(s, client, chunk.offset);
  s.next_offset = chunk.offset + chunk.length;
  if (s.lost && resumes(head)) {
    ++counters_->resyncs;
    s.lost = false;
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
  if (s.in_packet) {
    const uint64_t here = std::min(count, s.size - s.at);
    s.cut = s.cut || here != 0;
    s.gap = s.gap || (lost && here != 0);
    s.at += here;
    count -= here;
    if (s.at == s.size) {
      end_packet(s, client);
    }
  }
  if (count != 0) {
    lose(s, client);
  }
}

void Connection::lose(Side& s, bool client) {
  if (s.lost) {
    return;
  }
  s.lost = true;
  s.in_packet = false;
  s.header.clear();
  s.payload.clear();
  s.topics.clear();
  if (!client) {
    // Their acknowledgements may be among what is missing.
    close_all(model::Outcome::kComplete, model::kGap);
  }
  early_.clear();
}

void Connection::feed(Side& s, bool client, std::string_view bytes) {
  while (!bytes.empty() && !opaque_) {
    if (s.lost) {
      counters_->unparsed_bytes += bytes.size();
      return;
    }
    if (!s.in_packet) {
      if (s.header.empty()) {
        s.begin = op_;
      }
      s.header.push_back(bytes.front());
      bytes.remove_prefix(1);
      if (s.header.size() < 2) {
        continue;
      }
      if ((static_cast<uint8_t>(s.header.back()) & 0x80U) != 0) {
        if (s.header.size() == kLongestHeader) {
          counters_->unparsed_bytes += kLongestHeader;
          lose(s, client);
        }
        continue;
      }
      s.size = 0;
      for (size_t i = 1; i < s.header.size(); ++i) {
        s.size |= (static_cast<uint64_t>(static_cast<uint8_t>(s.header[i])) & 0x7fU)
                  << (7 * (i - 1));
      }
      s.in_packet = true;
      s.at = 0;
      s.gap = false;
      s.cut = false;
      s.payload.clear();
      if (s.size == 0) {
        end_packet(s, client);
      }
      continue;
    }
    const std::string_view here = bytes.substr(0, s.size - s.at);
    if (!s.cut) {
      s.payload.append(here.substr(0, options_.max_packet_bytes - s.payload.size()));
      s.cut = s.payload.size() != s.at + here.size();
    }
    s.at += here.size();
    bytes.remove_prefix(here.size());
    if (s.at == s.size) {
      end_packet(s, client);
    }
  }
}

void Connection::end_packet(Side& s, bool client) {
  const auto type = static_cast<Type>(static_cast<uint8_t>(s.header.front()) >> 4U);
  const auto flags = static_cast<uint8_t>(static_cast<uint8_t>(s.header.front()) & 0xfU);
  s.in_packet = false;
  s.header.clear();
  if (version_ == 0 && type != kConnect) {
    opaque_ = true;  // the first byte was somebody else's
    return;
  }
  ++counters_->messages;
  switch (type) {
    case kConnect: {
      version_ = client ? read_version(s.payload) : 0;
      if (version_ == 0) {
        opaque_ = true;
        return;
      }
      model::MessagingExchange message;
      message.operation = "connect";
      Pending pending;
      pending.exchange = make(s, true, std::move(message));
      // What is left out of it is so on purpose.
      pending.exchange->incomplete &= ~static_cast<uint32_t>(model::kHeadTruncated);
      pending.answer = kConnAck;
      wait(std::move(pending));
      return;
    }
    case kPublish:
      on_publish(s, client, flags);
      return;
    case kSubscribe:
    case kUnsubscribe:
      if (client) {
        on_subscription(s, type);
      }
      return;
    case kConnAck:
    case kPubAck:
    case kPubRec:
    case kPubComp:
    case kSubAck:
    case kUnsubAck:
      // What a client acknowledges is told without.
      if (const auto ack = read_ack(type, version_, s.payload); ack && !client) {
        on_ack(type, *ack, s.begin.time_ns, op_.time_ns, false);
      }
      return;
    case kDisconnect:
      if (!client) {
        on_disconnect(s);
      }
      return;
    default:
      return;
  }
}

void Connection::on_publish(Side& s, bool client, uint8_t flags) {
  bool known = false;
  auto publish = read_publish(flags, version_, s.payload, s.size, known);
  model::MessagingExchange message;
  message.type = client ? model::MessagingOperation::kSend : model::MessagingOperation::kReceive;
  message.operation = client ? "publish" : "deliver";
  if (publish) {
    if (publish->alias != 0 && !publish->topic.empty()) {
      if (s.topics.size() < options_.max_aliases || s.topics.count(publish->alias) != 0) {
        s.topics[publish->alias] = publish->topic;
      } else {
        ++counters_->limits_hit;
      }
    } else if (publish->alias != 0) {
      const auto found = s.topics.find(publish->alias);
      publish->topic = found == s.topics.end() ? std::string() : found->second;
    }
    message.destination = publish->topic;
    message.body_size = publish->body_size;
    message.conversation_id = std::move(publish->correlation);
    if (!publish->traceparent.empty()) {
      message.creation_contexts.push_back(std::move(publish->traceparent));
    }
  }
  const bool whole = publish && known && !message.destination.empty();
  Pending pending;
  pending.exchange = make(s, client, std::move(message));
  model::Exchange& exchange = *pending.exchange;
  // Of the body nothing is needed.
  exchange.incomplete = (s.gap ? model::kGap : model::kIncompleteNone) |
                        (whole ? model::kIncompleteNone : model::kHeadTruncated);
  const uint16_t id = publish ? publish->id : 0;
  if (!client || id == 0) {
    tell(std::move(pending));
    return;
  }
  pending.id = id;
  pending.answer = (flags >> 1U & 3U) == 1 ? kPubAck : kPubComp;
  if ((flags & 8U) != 0 && std::any_of(pending_.begin(), pending_.end(), [&](const Pending& p) {
        return p.id == id && p.answer == pending.answer;
      })) {
    return;  // sent again
  }
  wait(std::move(pending));
}

void Connection::on_subscription(Side& s, Type type) {
  auto subscription = read_subscription(type, version_, s.payload);
  if (!subscription) {
    return;
  }
  model::MessagingExchange message;
  message.operation = type == kSubscribe ? "subscribe" : "unsubscribe";
  if (!s.cut) {
    message.destination = std::move(subscription->topic);
  }
  Pending pending;
  pending.exchange = make(s, true, std::move(message));
  pending.id = subscription->id;
  pending.answer = type == kSubscribe ? kSubAck : kUnsubAck;
  wait(std::move(pending));
}

// Holds what waits, and takes the acknowledgements that were recorded before it.
void Connection::wait(Pending&& pending) {
  if (pending_.size() >= options_.max_pending) {
    ++counters_->limits_hit;
    ++counters_->requests_without_response;
    Pending oldest = std::move(pending_.front());
    pending_.pop_front();
    oldest.exchange->incomplete |= model::kBodyEndUnknown;
    oldest.exchange->response_end_ns = std::max(op_.time_ns, oldest.exchange->request_start_ns);
    tell(std::move(oldest));
  }
  announce(pending);
  const uint64_t departed_ns = pending.exchange->request_start_ns;
  const uint16_t id = pending.id;
  pending_.push_back(std::move(pending));
  for (size_t i = 0; i < early_.size();) {
    if (early_[i].ack.id != id) {
      ++i;
      continue;
    }
    const Early early = early_[i];
    early_.erase(early_.begin() + static_cast<ptrdiff_t>(i));
    if (early.end_ns >= departed_ns) {
      on_ack(early.type, early.ack, early.begin_ns, early.end_ns, true);
    } else {
      ++counters_->responses_without_request;
    }
  }
}

void Connection::on_ack(Type type, const Ack& ack, uint64_t begin_ns, uint64_t end_ns, bool early) {
  // A PUBREC without an error is not the last word.
  const Type answer = type == kPubRec ? kPubComp : type;
  const auto found = std::find_if(pending_.begin(), pending_.end(), [&](const Pending& p) {
    return p.id == ack.id && p.answer == answer;
  });
  if (found == pending_.end()) {
    // On a client another thread may have read it before the packet was recorded.
    if (role_ == model::Role::kClient && !early && early_.size() < options_.max_early) {
      early_.push_back({type, ack, begin_ns, end_ns});
    } else {
      ++counters_->responses_without_request;
    }
    return;
  }
  std::string error = reason_name(type, version_, ack.reason);
  if (type == kPubRec && error.empty()) {
    if (found->exchange->response_start_ns == 0) {
      found->exchange->response_start_ns = begin_ns;
    }
    return;
  }
  Pending pending = std::move(*found);
  pending_.erase(found);
  model::Exchange& exchange = *pending.exchange;
  if (exchange.response_start_ns == 0) {
    exchange.response_start_ns = begin_ns;
  }
  exchange.response_end_ns = std::max(end_ns, exchange.request_end_ns);
  std::get<model::MessagingExchange>(exchange.payload).error_code = std::move(error);
  tell(std::move(pending));
}

// Version 5: the server says why it closes the connection.
void Connection::on_disconnect(Side& s) {
  const auto reason = s.payload.empty() ? uint8_t{0} : static_cast<uint8_t>(s.payload.front());
  const std::string error = reason_name(kDisconnect, version_, reason);
  if (error.empty()) {
    return;
  }
  model::MessagingExchange message;
  message.operation = "disconnect";
  message.error_code = error;
  Pending pending;
  pending.exchange = make(s, false, std::move(message));
  tell(std::move(pending));
}

std::unique_ptr<model::Exchange> Connection::make(const Side& s, bool client,
                                                  model::MessagingExchange&& message) {
  auto exchange = std::make_unique<model::Exchange>();
  exchange->role = role_;
  exchange->request_start_ns = s.begin.departed_ns;
  exchange->request_end_ns = op_.time_ns;
  exchange->response_end_ns = op_.time_ns;
  exchange->thread_id = s.begin.thread_id;
  if (client) {
    exchange->request_id = s.begin.request_id;
    // Clients queue packets, and any thread of theirs sends what it finds there.
    exchange->evidence = s.begin.evidence == model::Evidence::kNone ? model::Evidence::kNone
                                                                    : model::Evidence::kAmbiguous;
  }
  exchange->incomplete = s.gap   ? model::kGap
                         : s.cut ? model::kHeadTruncated
                                 : model::kIncompleteNone;
  message.system = model::MessagingSystem::kMqtt;
  exchange->payload = std::move(message);
  return exchange;
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

void Connection::close_all(model::Outcome outcome, uint32_t incomplete) {
  while (!pending_.empty()) {
    Pending pending = std::move(pending_.front());
    pending_.pop_front();
    ++counters_->requests_without_response;
    pending.exchange->outcome = outcome;
    pending.exchange->incomplete |= incomplete;
    pending.exchange->response_end_ns = std::max(op_.time_ns, pending.exchange->request_start_ns);
    tell(std::move(pending));
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

}  // namespace zerospan::protocols::mqtt
