// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/dns/connection.h"

#include <algorithm>
#include <utility>

namespace zerospan::protocols::dns {
namespace {

constexpr size_t kLengthBytes = 2;                     // before each message over TCP
constexpr size_t kMostFront = kHeaderBytes + 255 + 4;  // of a message, up to its question's end

model::Role role_of_query(model::Direction direction) {
  return direction == model::Direction::kSend ? model::Role::kClient : model::Role::kServer;
}

uint64_t length_of(std::string_view bytes) {
  return uint64_t{static_cast<uint8_t>(bytes[0])} << 8U | static_cast<uint8_t>(bytes[1]);
}

model::DnsExchange& dns_of(model::Exchange& exchange) {
  return std::get<model::DnsExchange>(exchange.payload);
}

}  // namespace

Connection::Connection(const model::Connection& connection, const Options& options,
                       ParserCounters* counters)
    : options_(options),
      counters_(counters),
      datagrams_(connection.transport == model::Transport::kUdp),
      seen_from_start_(connection.seen_from_start),
      role_(connection.role) {
  for (Side& s : sides_) {
    s.offset_known = connection.seen_from_start;
    s.lost = !connection.seen_from_start;
  }
}

size_t Connection::memory_bytes() const {
  constexpr size_t kUsualTexts = 256;
  size_t bytes = pending_.size() * (sizeof(Pending) + sizeof(model::Exchange) + 2 * kUsualTexts) +
                 early_.size() * (sizeof(Early) + 2 * kUsualTexts);
  for (const Side& s : sides_) {
    bytes += s.kept.capacity();
  }
  return bytes;
}

Verdict Connection::on_chunk(const model::Chunk& chunk, ExchangeSink& sink) {
  if (opaque_) {
    return Verdict::kOpaque;
  }
  sink_ = &sink;
  Side& s = side(chunk.direction);
  if (!s.offset_known) {
    s.offset_known = true;
    s.next_offset = chunk.offset;
  }
  if (chunk.length == 0 || chunk.offset < s.next_offset) {
    counters_->unparsed_bytes += chunk.head.size() + chunk.tail.size();  // seen already
    return Verdict::kContinue;
  }
  op_ = {chunk.time_ns,
         chunk.direction == model::Direction::kSend && chunk.departed_ns != 0 ? chunk.departed_ns
                                                                              : chunk.time_ns,
         chunk.request_id, chunk.thread_id, chunk.evidence};
  // First what is missing in the other direction: it was before this.
  const model::Direction other = model::opposite(chunk.direction);
  if (side(other).offset_known) {
    note_gap(other, chunk.opposite_offset);
  }
  note_gap(chunk.direction, chunk.offset);
  s.next_offset = chunk.offset + chunk.length;
  if (datagrams_) {
    on_datagram(chunk);
  } else {
    on_stream(chunk);
  }
  if (opaque_) {
    while (!pending_.empty()) {
      end_unanswered(pending_.begin(), model::Outcome::kComplete, model::kBodyEndUnknown,
                     op_.time_ns);
    }
  }
  return opaque_ ? Verdict::kOpaque : Verdict::kContinue;
}

void Connection::on_datagram(const model::Chunk& chunk) {
  give_up_old(chunk.time_ns);
  const std::string_view bytes = chunk.head.substr(0, chunk.length);
  auto message = read_message(bytes, chunk.length);
  if (!message) {
    counters_->unparsed_bytes += bytes.size();
    if (bytes.size() != chunk.length) {
      doubt(chunk.direction);
    }
    return;
  }
  on_message(chunk.direction, *std::move(message), op_, chunk.peer);
}

void Connection::on_stream(const model::Chunk& chunk) {
  Side& s = side(chunk.direction);
  const std::string_view head = chunk.head.substr(0, chunk.length);
  const std::string_view tail = chunk.tail.substr(0, chunk.length - head.size());
  const uint64_t middle = chunk.length - head.size() - tail.size();
  if (s.lost && head.size() > kLengthBytes && length_of(head) == chunk.length - kLengthBytes &&
      read_message(head.substr(kLengthBytes), chunk.length - kLengthBytes)) {
    ++counters_->resyncs;
    s.lost = false;
  }
  feed(chunk.direction, head);
  skip(chunk.direction, middle, false);
  feed(chunk.direction, tail);
}

// What is missing below `offset` was lost.
void Connection::note_gap(model::Direction direction, uint64_t offset) {
  Side& s = side(direction);
  if (offset <= s.next_offset) {
    return;
  }
  const uint64_t count = offset - s.next_offset;
  ++counters_->gaps;
  counters_->gap_bytes += count;
  s.next_offset = offset;
  if (datagrams_) {
    doubt(direction);
  } else {
    skip(direction, count, true);
  }
}

void Connection::doubt(model::Direction direction) {
  for (Pending& query : pending_) {
    const bool answered_there = role_of_query(model::opposite(direction)) == query.exchange->role;
    query.lost = query.lost || answered_there;
  }
}

void Connection::lose(model::Direction direction) {
  Side& s = side(direction);
  counters_->unparsed_bytes += s.kept.size();
  s.lost = true;
  s.at = 0;
  s.kept.clear();
  doubt(direction);
}

void Connection::skip(model::Direction direction, uint64_t count, bool lost) {
  Side& s = side(direction);
  if (count == 0 || opaque_) {
    return;
  }
  if (s.lost || s.at < kLengthBytes) {
    lose(direction);
    return;
  }
  const uint64_t here = std::min(count, s.size - s.at);
  s.hole = true;
  s.at += here;
  if (lost) {
    doubt(direction);
  }
  if (s.at == s.size) {
    end_message(direction);
    skip(direction, count - here, lost);
  }
}

void Connection::feed(model::Direction direction, std::string_view bytes) {
  Side& s = side(direction);
  while (!bytes.empty() && !opaque_) {
    if (s.lost) {
      counters_->unparsed_bytes += bytes.size();
      return;
    }
    if (s.at == 0) {
      s.begin = op_;
      s.hole = false;
    }
    const bool in_length = s.at < kLengthBytes;
    const uint64_t left = (in_length ? kLengthBytes : s.size) - s.at;
    const std::string_view here = bytes.substr(0, left);
    bytes.remove_prefix(here.size());
    s.at += here.size();
    if (!s.hole) {
      const size_t room = kLengthBytes + options_.max_message_bytes - s.kept.size();
      s.kept.append(here.substr(0, room));
      s.hole = here.size() > room;
    }
    if (s.at == kLengthBytes) {
      s.size = kLengthBytes + length_of(s.kept);
      if (s.size < kLengthBytes + kHeaderBytes) {
        opaque_ = !understood_ && seen_from_start_;
        lose(direction);
      }
    } else if (!in_length && s.at == s.size) {
      end_message(direction);
    }
  }
}

void Connection::end_message(model::Direction direction) {
  Side& s = side(direction);
  auto message = read_message(std::string_view(s.kept).substr(kLengthBytes), s.size - kLengthBytes);
  const size_t kept = s.kept.size();
  s.at = 0;
  s.kept.clear();
  if (message) {
    on_message(direction, *std::move(message), s.begin, nullptr);
    return;
  }
  counters_->unparsed_bytes += kept;
  if (s.hole && kept < kLengthBytes + kMostFront) {
    doubt(direction);
  } else {
    // Something else than DNS, or of which there is nothing to tell: zone updates, notices.
    opaque_ = !understood_ && seen_from_start_;
  }
}

void Connection::on_message(model::Direction direction, Message&& message, const Origin& begin,
                            const model::Endpoint* peer) {
  understood_ = true;
  ++counters_->messages;
  if (message.response) {
    on_answer(direction, std::move(message), begin.time_ns, peer);
  } else {
    on_query(direction, std::move(message), begin, peer);
  }
}

void Connection::on_query(model::Direction direction, Message&& message, const Origin& begin,
                          const model::Endpoint* peer) {
  const model::Role role = role_of_query(direction);
  if (role_ == model::Role::kUnknown) {
    role_ = role;
  }
  auto exchange = std::make_unique<model::Exchange>();
  exchange->role = role;
  exchange->request_start_ns = begin.departed_ns;
  exchange->request_end_ns = op_.time_ns;
  exchange->request_id = begin.request_id;
  exchange->thread_id = begin.thread_id;
  exchange->evidence = begin.evidence;
  model::DnsExchange dns;
  dns.name = std::move(message.name);
  dns.type = message.type;
  if (peer != nullptr) {
    dns.peer = *peer;
  }
  const auto same = [&](const Pending& query) {
    return query.id == message.id && query.exchange->role == role && query.key == message.key;
  };
  bool asked_again = false;
  for (auto query = pending_.begin(); query != pending_.end();) {
    if (!same(*query)) {
      ++query;
      continue;
    }
    asked_again = true;
    query->asked_again = true;
    const model::Endpoint& asked = dns_of(*query->exchange).peer;
    if (role == model::Role::kClient && asked.address == dns.peer.address &&
        asked.port == dns.peer.port) {
      // The program has waited for long enough.
      end_unanswered(query, query->lost ? model::Outcome::kComplete : model::Outcome::kNoResponse,
                     query->lost ? model::kGap : model::kIncompleteNone, begin.departed_ns);
      query = pending_.begin();
    } else {
      ++query;
    }
  }
  if (pending_.size() >= options_.max_pending) {
    ++counters_->limits_hit;
    end_unanswered(pending_.begin(), model::Outcome::kComplete, model::kBodyEndUnknown, 0);
  }
  exchange->payload = std::move(dns);
  exchange->sequence = next_sequence_++;
  sink_->on_request(request_start(*exchange));
  pending_.push_back({message.id, std::move(message.key), asked_again, false, std::move(exchange)});
  const auto query = std::prev(pending_.end());
  const auto early = std::find_if(early_.begin(), early_.end(), [&](const Early& one) {
    return one.message.id == query->id && one.message.key == query->key &&
           one.end_ns >= query->exchange->request_start_ns;
  });
  if (early != early_.end()) {
    Early taken = std::move(*early);
    early_.erase(early);
    answer(query, std::move(taken.message), taken.begin_ns, taken.end_ns, nullptr);
  }
}

void Connection::on_answer(model::Direction direction, Message&& message, uint64_t begin_ns,
                           const model::Endpoint* peer) {
  const model::Role role = role_of_query(model::opposite(direction));
  if (role_ == model::Role::kUnknown) {
    role_ = role;
  }
  const auto fits = [&](const Pending& query) {
    return query.id == message.id && query.exchange->role == role &&
           (message.key.empty() || query.key == message.key);
  };
  const auto query = std::find_if(pending_.begin(), pending_.end(), fits);
  if (query == pending_.end() ||
      (message.key.empty() && std::any_of(std::next(query), pending_.end(), fits))) {
    // On a client another thread may have read it before the query was recorded. Over UDP the time
    // at which that has left is not known.
    if (role == model::Role::kClient && !datagrams_ && query == pending_.end() &&
        early_.size() < options_.max_early) {
      early_.push_back({std::move(message), begin_ns, op_.time_ns});
      return;
    }
    ++counters_->responses_without_request;
    return;
  }
  answer(query, std::move(message), begin_ns, op_.time_ns, peer);
}

void Connection::answer(std::deque<Pending>::iterator query, Message&& message, uint64_t begin_ns,
                        uint64_t end_ns, const model::Endpoint* peer) {
  const auto exchange = std::move(query->exchange);
  model::DnsExchange& dns = dns_of(*exchange);
  if (query->asked_again) {
    // Which of them it answers is not told.
    exchange->incomplete |= model::kRequestTimeUnknown;
    dns.peer = {};
  }
  pending_.erase(query);
  if (message.cut) {
    ++counters_->heads_truncated;
    exchange->incomplete |= model::kHeadTruncated;
  }
  dns.response_code = message.response_code;
  dns.truncated = message.truncated;
  dns.answers = std::move(message.answers);
  if (peer != nullptr) {
    dns.peer = *peer;
  }
  exchange->response_start_ns = begin_ns;
  exchange->response_end_ns = std::max(end_ns, exchange->request_start_ns);
  ++counters_->exchanges;
  sink_->on_exchange(std::move(*exchange));
}

// `end_ns`: 0 if it is not known.
void Connection::end_unanswered(std::deque<Pending>::iterator query, model::Outcome outcome,
                                uint32_t incomplete, uint64_t end_ns) {
  const auto exchange = std::move(query->exchange);
  pending_.erase(query);
  ++counters_->requests_without_response;
  ++counters_->exchanges;
  exchange->outcome = outcome;
  exchange->incomplete |= incomplete;
  exchange->response_end_ns = std::max(end_ns, exchange->request_end_ns);
  sink_->on_exchange(std::move(*exchange));
}

// Over UDP nothing tells that a query will have no answer, nor when its program gave up.
void Connection::give_up_old(uint64_t time_ns) {
  while (datagrams_ && !pending_.empty() &&
         pending_.front().exchange->request_end_ns + options_.patience_ns < time_ns) {
    const bool lost = pending_.front().lost;
    end_unanswered(pending_.begin(), lost ? model::Outcome::kComplete : model::Outcome::kNoResponse,
                   model::kBodyEndUnknown | (lost ? model::kGap : model::kIncompleteNone), 0);
  }
}

Verdict Connection::on_close(const model::Closed& closed, ExchangeSink& sink) {
  if (opaque_) {
    return Verdict::kOpaque;
  }
  sink_ = &sink;
  op_ = {};
  op_.time_ns = closed.time_ns;
  for (const auto direction : {model::Direction::kReceive, model::Direction::kSend}) {
    if (side(direction).offset_known) {
      note_gap(direction, direction == model::Direction::kReceive ? closed.receive_offset
                                                                  : closed.send_offset);
    }
  }
  if (closed.kind == model::CloseKind::kSendClosed ||
      closed.kind == model::CloseKind::kReceiveClosed) {
    return Verdict::kContinue;
  }
  while (!pending_.empty()) {
    const bool lost = pending_.front().lost;
    end_unanswered(pending_.begin(),
                   lost                                      ? model::Outcome::kComplete
                   : closed.kind == model::CloseKind::kReset ? model::Outcome::kReset
                                                             : model::Outcome::kNoResponse,
                   lost ? model::kGap : model::kIncompleteNone, closed.time_ns);
  }
  counters_->responses_without_request += early_.size();
  opaque_ = true;
  return Verdict::kOpaque;
}

void Connection::finish(uint64_t time_ns, ExchangeSink& sink) {
  if (opaque_) {
    return;
  }
  sink_ = &sink;
  give_up_old(time_ns);
  while (!pending_.empty()) {
    end_unanswered(pending_.begin(), model::Outcome::kComplete, model::kBodyEndUnknown,
                   datagrams_ ? 0 : time_ns);
  }
  counters_->responses_without_request += early_.size();
  opaque_ = true;
}

}  // namespace zerospan::protocols::dns
