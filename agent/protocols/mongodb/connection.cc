// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/mongodb/connection.h"

#include <algorithm>
#include <utility>

namespace zerospan::protocols::mongodb {
namespace {

constexpr size_t kLengthBytes = 4;  // a client may read them by themselves

}  // namespace

Connection::Connection(const model::Connection& connection, const Options& options,
                       ParserCounters* counters)
    : options_(options),
      counters_(counters),
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
    bytes += std::get<model::DbExchange>(pending.exchange->payload).statement.capacity();
  }
  return bytes;
}

Verdict Connection::on_chunk(const model::Chunk& chunk, ExchangeSink& sink) {
  if (opaque_) {
    return Verdict::kOpaque;
  }
  sink_ = &sink;
  if (role_ == model::Role::kUnknown) {
    const Begin begin = begins_message(chunk.head);
    if (begin == Begin::kNo) {
      counters_->unparsed_bytes += chunk.head.size() + chunk.tail.size();
      return Verdict::kContinue;
    }
    role_ = (chunk.direction == model::Direction::kReceive) == (begin == Begin::kRequest)
                ? model::Role::kServer
                : model::Role::kClient;
  }
  const bool request = is_request(chunk.direction);
  // On a client another thread may have read the answer before the send was recorded.
  const Side& s = side(chunk.direction);
  const bool early = role_ == model::Role::kClient && !request && pending_.empty() &&
                     s.length == 0 && s.header_bytes.empty();
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
  if (s.lost) {
    resume(s, request, head, chunk.length);
  }
  feed(s, request, head);
  if (middle != 0) {
    skip(s, request, middle, false);
  }
  feed(s, request, tail);
}

// An operation may begin with a message, or with its length that is read by itself; then the rest
// of the header tells.
void Connection::resume(Side& s, bool request, std::string_view head, uint64_t length) {
  if (length != kLengthBytes) {
    const auto header = head.size() < kHeaderBytes ? std::nullopt : read_header(head);
    if (!header || (request ? header->response_to != 0 : !waits_for(header->response_to))) {
      return;
    }
  } else if (head.size() != kLengthBytes || (!request && pending_.empty())) {
    return;
  }
  ++counters_->resyncs;
  s.lost = false;
  s.trusted = false;
}

bool Connection::begin_message(Side& s, bool request) {
  const auto header = read_header(s.header_bytes);
  if (!header ||
      (request ? header->response_to != 0 : !s.trusted && !waits_for(header->response_to))) {
    return false;
  }
  s.header = *header;
  s.length = header->length;
  s.at = kHeaderBytes;
  s.gap = false;
  s.parts.clear();
  s.parts.add(0, s.header_bytes);
  return true;
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
  s.header_bytes.clear();
  s.parts.clear();
  if (!request) {
    // Which of them were answered in what is missing shows the next answer.
    for (Pending& pending : pending_) {
      pending.exchange->incomplete |= lost ? model::kGap : model::kIncompleteNone;
    }
  }
}

void Connection::feed(Side& s, bool request, std::string_view bytes) {
  while (!bytes.empty() && !opaque_) {
    if (s.lost) {
      counters_->unparsed_bytes += bytes.size();
      return;
    }
    if (s.length == 0) {
      if (s.header_bytes.empty()) {
        s.begin = op_;
      }
      const size_t wanted = std::min<size_t>(bytes.size(), kHeaderBytes - s.header_bytes.size());
      s.header_bytes.append(bytes.substr(0, wanted));
      bytes.remove_prefix(wanted);
      if (s.header_bytes.size() < kHeaderBytes) {
        return;
      }
      if (!begin_message(s, request)) {
        counters_->unparsed_bytes += kHeaderBytes;
        lose(s, request, false);
        continue;
      }
      s.header_bytes.clear();
      if (s.header.op_code == kOpCompressed) {
        // From here on nearly all of them are.
        counters_->unparsed_bytes += kHeaderBytes + bytes.size();
        close_all(model::Outcome::kComplete, model::kBodyEndUnknown, op_.time_ns);
        opaque_ = true;
      }
      continue;
    }
    const std::string_view here = bytes.substr(0, s.length - s.at);
    s.parts.add(s.at, here);
    s.at += here.size();
    bytes.remove_prefix(here.size());
    if (s.at == s.length) {
      end_message(s, request);
    }
  }
}

void Connection::end_message(Side& s, bool request) {
  s.trusted = true;
  if (request) {
    end_request(s);
  } else {
    end_response(s);
  }
  s.length = 0;
  s.parts.clear();
}

void Connection::end_request(Side& s) {
  std::optional<Request> request = read_request(s.parts, s.header);
  if (!request) {
    counters_->unparsed_bytes += s.length;
    return;
  }
  ++counters_->messages;
  Pending pending;
  pending.id = s.header.request_id;
  pending.housekeeping = request->housekeeping;
  pending.exchange = std::make_unique<model::Exchange>();
  model::Exchange& exchange = *pending.exchange;
  exchange.role = role_;
  exchange.request_start_ns = s.begin.departed_ns;
  exchange.request_end_ns = op_.time_ns;
  exchange.request_id = s.begin.request_id;
  exchange.evidence = s.begin.evidence;
  // Drivers log in from a goroutine or thread of their pool: for whom that was started says nothing
  // of it.
  if (request->secret && (exchange.evidence == model::Evidence::kGoroutine ||
                          exchange.evidence == model::Evidence::kCreatingThread)) {
    exchange.evidence = model::Evidence::kAmbiguous;
  }
  exchange.thread_id = s.begin.thread_id;
  exchange.incomplete = s.gap ? model::kGap : model::kIncompleteNone;
  if (request->cut && !request->secret) {
    ++counters_->heads_truncated;
    exchange.incomplete |= model::kHeadTruncated;
  }
  exchange.payload = std::move(request->db);
  if (exchange.request_id != 0 && exchange.request_id == last_request_id_) {
    ++batch_index_;
  } else {
    batch_index_ = 0;
    last_request_id_ = exchange.request_id;
  }
  exchange.batch_index = batch_index_;
  // Whether a span is made of the drivers' own tells the answer.
  if (!pending.housekeeping) {
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

bool Connection::waits_for(int32_t id) const {
  return std::any_of(pending_.begin(), pending_.end(),
                     [id](const Pending& pending) { return pending.id == id; });
}

void Connection::end_response(Side& s) {
  ++counters_->messages;
  const int32_t id = s.header.response_to;
  if (!waits_for(id)) {
    ++counters_->responses_without_request;
    return;
  }
  // Servers answer a connection's requests in order: those before it had their answers.
  while (pending_.front().id != id) {
    Pending missed = std::move(pending_.front());
    pending_.pop_front();
    give_up(std::move(missed), model::kGap);
  }
  Pending& pending = pending_.front();
  model::Exchange& exchange = *pending.exchange;
  if (!pending.begun) {
    exchange.response_start_ns = s.begin.time_ns;
  }
  exchange.response_end_ns = std::max(op_.time_ns, exchange.request_start_ns);
  exchange.incomplete |= s.gap ? model::kGap : model::kIncompleteNone;
  auto& db = std::get<model::DbExchange>(exchange.payload);
  const Response response = read_response(s.parts, s.header, db);
  if (response.cut) {
    exchange.incomplete |= model::kHeadTruncated;
  }
  if (response.more_to_come) {
    // The next one answers this one (an exhaust cursor, a watched server).
    pending.begun = true;
    pending.id = s.header.request_id;
    return;
  }
  Pending done = std::move(pending_.front());
  pending_.pop_front();
  if (done.housekeeping && !db.failed) {
    ++counters_->idle_polls;
    return;
  }
  tell(std::move(done));
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
    begun = begun || pending.begun;
    pending_.pop_front();
    model::Exchange& exchange = *pending.exchange;
    exchange.response_end_ns = std::max(time_ns, exchange.request_start_ns);
    // A driver that goes away while it watches a server is no failure.
    if (pending.housekeeping && exchange.incomplete == model::kIncompleteNone) {
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

}  // namespace zerospan::protocols::mongodb
