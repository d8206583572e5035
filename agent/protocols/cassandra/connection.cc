// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/cassandra/connection.h"

#include <algorithm>
#include <utility>

namespace zerospan::protocols::cassandra {
namespace {

constexpr std::string_view kProtocolError = "10";

bool is_statement(Opcode opcode) {
  return opcode == Opcode::kQuery || opcode == Opcode::kExecute || opcode == Opcode::kBatch;
}

std::string_view name_of(Opcode opcode) {
  switch (opcode) {
    case Opcode::kStartup:
      return "STARTUP";
    case Opcode::kOptions:
      return "OPTIONS";
    case Opcode::kQuery:
      return "QUERY";
    case Opcode::kPrepare:
      return "PREPARE";
    case Opcode::kExecute:
      return "EXECUTE";
    case Opcode::kRegister:
      return "REGISTER";
    case Opcode::kBatch:
      return "BATCH";
    case Opcode::kAuthResponse:
      return "AUTH_RESPONSE";
    default:
      return {};
  }
}

std::string hex_of(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  constexpr size_t kMost = 32;
  std::string out;
  for (const char byte : bytes.substr(0, kMost)) {
    out += kDigits[static_cast<uint8_t>(byte) >> 4U];
    out += kDigits[static_cast<uint8_t>(byte) & 15U];
  }
  return out;
}

}  // namespace

Connection::Connection(const model::Connection& connection, const Options& options,
                       ParserCounters* counters, Shared* shared)
    : options_(options),
      counters_(counters),
      shared_(shared),
      pid_(connection.pid),
      kernel_role_(connection.role) {
  for (Side& s : sides_) {
    s.offset_known = connection.seen_from_start;
    s.sure = connection.seen_from_start;
    s.lost = !connection.seen_from_start;
  }
}

model::Role Connection::role() const {
  return role_ == model::Role::kUnknown ? kernel_role_ : role_;
}

size_t Connection::memory_bytes() const {
  size_t bytes = pending_.size() * (sizeof(Pending) + sizeof(model::Exchange) + 64) +
                 early_.size() * (sizeof(Early) + 64);
  for (const Side& s : sides_) {
    bytes += s.body.capacity();
  }
  for (const auto& [stream, pending] : pending_) {
    bytes += std::get<model::DbExchange>(pending.exchange->payload).statement.capacity();
    for (const Query& query : pending.queries) {
      bytes += sizeof(Query) + query.text.capacity();
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
    const auto begin = begins_with(head);
    if (!begin) {
      counters_->unparsed_bytes += head.size() + tail.size();
      return Verdict::kContinue;
    }
    role_ = (chunk.direction == model::Direction::kReceive) == begin->response
                ? model::Role::kClient
                : model::Role::kServer;
  }
  Side& s = side(chunk.direction);
  const bool request = is_request(chunk.direction);
  if (!s.offset_known) {
    s.offset_known = true;
    s.next_offset = chunk.offset;
  }
  if (chunk.length == 0 || chunk.offset < s.next_offset) {
    counters_->unparsed_bytes += head.size() + tail.size();  // seen already
    return Verdict::kContinue;
  }
  op_ = {op_.number + 1,
         chunk.time_ns,
         chunk.direction == model::Direction::kSend && chunk.departed_ns != 0 ? chunk.departed_ns
                                                                              : chunk.time_ns,
         chunk.request_id,
         chunk.thread_id,
         chunk.evidence,
         true};
  // First what is missing in the other direction: it was before this.
  if (Side& other = side(model::opposite(chunk.direction)); other.offset_known) {
    note_gap(other, !request, chunk.opposite_offset);
  }
  note_gap(s, request, chunk.offset);
  s.next_offset = chunk.offset + chunk.length;
  if (s.lost) {
    resume(s, request, head);
  }
  op_rest_ = chunk.length;
  feed(s, request, head);
  if (middle != 0 && !opaque_) {
    skip(s, request, middle, false);
  }
  feed(s, request, tail);
  if (opaque_) {
    close_all(model::Outcome::kComplete, model::kBodyEndUnknown, op_.time_ns);
  }
  return opaque_ ? Verdict::kOpaque : Verdict::kContinue;
}

// An operation may begin with a frame, or with a segment that does.
void Connection::resume(Side& s, bool request, std::string_view head) {
  const auto begin = begins_with(head);
  if (!begin || begin->response == request) {
    return;
  }
  ++counters_->resyncs;
  s.lost = false;
  s.segmented = begin->segmented;
  s.trailer = false;
  s.segment_left = 0;
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
  if (opaque_) {
    return;
  }
  if (s.in_frame) {
    uint64_t here = std::min(count, s.header.length - s.at);
    if (s.segmented) {
      here = std::min(here, s.segment_left);
    }
    s.gap = s.gap || (lost && here != 0);
    count -= here;
    advance(s, request, here);
  }
  if (count != 0 && (!s.lost || lost)) {
    lose(s, request);
  }
}

void Connection::lose(Side& s, bool request) {
  s.lost = true;
  s.sure = false;
  s.in_frame = false;
  s.header_bytes.clear();
  s.body.clear();
  if (!request) {
    // Any of them may have been answered in what is missing, and USE too.
    for (auto& [stream, pending] : pending_) {
      pending.exchange->incomplete |= model::kGap;
    }
    keyspace_.clear();
  }
  early_.clear();
}

// No frame: TLS begins, or a version that is not followed.
void Connection::refuse(Side& s, bool request) {
  counters_->unparsed_bytes += s.header_bytes.size();
  opaque_ = s.sure;
  lose(s, request);
}

void Connection::feed(Side& s, bool request, std::string_view bytes) {
  while (!bytes.empty() && !opaque_) {
    if (s.lost) {
      counters_->unparsed_bytes += bytes.size();
      return;
    }
    if (!s.in_frame || (s.segmented && s.segment_left == 0)) {
      if (!feed_header(s, request, bytes)) {
        refuse(s, request);
      }
      continue;
    }
    std::string_view here = bytes.substr(0, s.header.length - s.at);
    if (s.segmented) {
      here = here.substr(0, s.segment_left);
    }
    bytes.remove_prefix(here.size());
    const size_t kept = kept_bytes(s.header);
    if (s.body.size() == s.at && s.at < kept) {
      s.body.append(here.substr(0, kept - s.at));
    }
    advance(s, request, here.size());
  }
}

bool Connection::feed_header(Side& s, bool request, std::string_view& bytes) {
  const bool of_segment = s.segmented && s.segment_left == 0;
  const size_t size = of_segment ? kSegmentBytes + (s.trailer ? kTrailerBytes : 0) : kHeaderBytes;
  if (!s.in_frame && s.header_bytes.empty() && !of_segment) {
    s.begin = op_;
  }
  const std::string_view here = bytes.substr(0, size - s.header_bytes.size());
  bytes.remove_prefix(here.size());
  s.header_bytes.append(here);
  op_rest_ -= std::min<uint64_t>(here.size(), op_rest_);
  if (s.header_bytes.size() < size) {
    return true;
  }
  const bool good = of_segment ? begin_segment(s) : begin_frame(s, request);
  if (good) {
    s.header_bytes.clear();
  }
  return good;
}

bool Connection::begin_segment(Side& s) {
  const auto segment =
      read_segment(std::string_view(s.header_bytes).substr(s.trailer ? kTrailerBytes : 0));
  s.trailer = true;
  s.segment_left = segment ? segment->payload : 0;
  return segment.has_value();
}

bool Connection::begin_frame(Side& s, bool request) {
  const auto header = read_header(s.header_bytes);
  if (!header || header->response == request ||
      (s.segmented && (header->version != 5 || s.segment_left < kHeaderBytes))) {
    return false;
  }
  s.segment_left -= s.segmented ? kHeaderBytes : 0;
  s.header = *header;
  s.in_frame = true;
  s.at = 0;
  s.gap = false;
  s.body.clear();
  advance(s, request, 0);
  return true;
}

void Connection::advance(Side& s, bool request, uint64_t count) {
  s.at += count;
  op_rest_ -= std::min(count, op_rest_);
  s.segment_left -= s.segmented ? count : 0;
  if (s.at == s.header.length) {
    s.in_frame = false;
    end_frame(s, request);
    op_.begins_frame = false;
  }
}

void Connection::end_frame(Side& s, bool request) {
  ++counters_->messages;
  if (request) {
    end_request(s);
  } else {
    end_answer(s);
  }
  if (begins_segments(s.header) && !s.segmented) {
    s.segmented = true;
    s.trailer = false;
    s.segment_left = 0;
  }
}

// Most drivers write from a thread or goroutine of their own. Only who writes its own request, and
// nothing else with it, is believed; the kernel tells such a goroutine from one that was started.
model::Evidence Connection::believed(const Side& s) const {
  const Origin& begin = s.begin;
  const bool alone = begin.begins_frame && begin.number == op_.number &&
                     op_rest_ <= (s.segmented ? kTrailerBytes : 0);
  const bool good = role_ == model::Role::kServer || begin.evidence == model::Evidence::kNone ||
                    (alone && (begin.evidence == model::Evidence::kGoroutine ||
                               (begin.evidence == model::Evidence::kThread && !multiplexed_)));
  return good ? begin.evidence : model::Evidence::kAmbiguous;
}

void Connection::name_statement(Pending& pending, Request&& request) {
  model::Exchange& exchange = *pending.exchange;
  auto& db = std::get<model::DbExchange>(exchange.payload);
  db.consistency = std::move(request.consistency);
  db.page_size = request.page_size;
  db.database = request.keyspace ? *request.keyspace : keyspace_;
  db.batch_size = request.batch_size == 1 ? 0 : request.batch_size;
  bool known = !request.queries.empty();
  bool same = true;
  for (Query& query : request.queries) {
    if (!query.prepared_id.empty()) {
      const Shared::Statement* const statement = shared_->find_statement(pid_, query.prepared_id);
      if (statement == nullptr) {
        known = false;
        db.statement_id = hex_of(query.prepared_id);
        continue;
      }
      query.text = statement->text;
      request.cut = request.cut || statement->cut;
    }
    known = known && !query.text.empty();
    same = same && query.text == request.queries.front().text;
  }
  if (request.queries.size() > 1) {
    db.statement_id.clear();
  }
  if (!known) {
    db.operation = name_of(pending.opcode);
    exchange.incomplete |= model::kStatementUnknown;
    return;
  }
  db.statement_known = true;
  db.statement_cut = request.cut;
  for (const Query& query : request.queries) {
    if (db.statement.size() >= kept_bytes({.opcode = Opcode::kBatch})) {
      db.statement_cut = true;
      break;
    }
    db.statement.append(db.statement.empty() ? "" : "; ").append(query.text);
    if (same) {
      break;
    }
  }
}

void Connection::end_request(Side& s) {
  const Opcode opcode = s.header.opcode;
  Request request = read_request(s.header, s.body);
  if (opcode == Opcode::kStartup && request.compression && s.header.version >= 5) {
    // The frames' headers are compressed, too.
    opaque_ = true;
    return;
  }
  Pending pending;
  pending.opcode = opcode;
  pending.cut = request.cut;
  pending.exchange = std::make_unique<model::Exchange>();
  model::Exchange& exchange = *pending.exchange;
  exchange.role = role_;
  exchange.request_start_ns = s.begin.departed_ns;
  exchange.request_end_ns = op_.time_ns;
  exchange.request_id = s.begin.request_id;
  exchange.thread_id = s.begin.thread_id;
  exchange.incomplete = s.gap ? model::kGap : model::kIncompleteNone;
  exchange.payload.emplace<model::DbExchange>().system = model::DbSystem::kCassandra;
  if (exchange.request_id != 0 && exchange.request_id == last_request_id_) {
    ++batch_index_;
  } else {
    batch_index_ = 0;
    last_request_id_ = exchange.request_id;
  }
  exchange.batch_index = batch_index_;
  const int16_t stream = s.header.stream;
  // It is this request's now: the one before had its answer, unseen.
  if (const auto before = pending_.extract(stream)) {
    give_up(std::move(before.mapped()), model::kGap);
  }
  multiplexed_ = multiplexed_ || !pending_.empty();
  exchange.evidence = believed(s);
  if (is_statement(opcode)) {
    name_statement(pending, std::move(request));
    announce(pending);
  } else {
    std::get<model::DbExchange>(exchange.payload).operation = name_of(opcode);
    pending.queries = std::move(request.queries);
  }
  if (const auto early = early_.extract(stream);
      early && early.mapped().end_ns >= exchange.request_start_ns) {
    answer(std::move(pending), early.mapped());
    return;
  }
  if (pending_.size() >= options_.max_pending) {
    ++counters_->limits_hit;
    give_up(std::move(pending), model::kBodyEndUnknown);
    return;
  }
  pending_.insert_or_assign(stream, std::move(pending));
}

void Connection::end_answer(Side& s) {
  if (s.header.stream < 0 || s.header.opcode == Opcode::kEvent) {
    return;  // nobody asked
  }
  Early early{s.begin.time_ns, op_.time_ns, s.gap, s.header, read_answer(s.header, s.body)};
  if (early.answer.keyspace) {
    keyspace_ = *early.answer.keyspace;
  } else if (!early.answer.told && s.header.opcode == Opcode::kResult) {
    keyspace_.clear();  // it may have been USE's
  }
  if (auto found = pending_.extract(s.header.stream)) {
    answer(std::move(found.mapped()), early);
    return;
  }
  // On a client another thread may have read it before the request was recorded.
  if (role_ == model::Role::kClient && !side(model::Direction::kSend).lost) {
    if (early_.size() >= options_.max_early) {
      early_.erase(early_.begin());
      ++counters_->responses_without_request;
    }
    early_.insert_or_assign(s.header.stream, std::move(early));
    return;
  }
  ++counters_->responses_without_request;
}

void Connection::answer(Pending&& pending, const Early& early) {
  const Answer& answer = early.answer;
  model::Exchange& exchange = *pending.exchange;
  auto& db = std::get<model::DbExchange>(exchange.payload);
  exchange.response_start_ns = std::max(early.begin_ns, exchange.request_start_ns);
  exchange.response_end_ns = std::max(early.end_ns, exchange.request_start_ns);
  exchange.incomplete |= early.gap ? model::kGap : model::kIncompleteNone;
  if (!answer.told && !early.header.compressed) {
    exchange.incomplete |= model::kHeadTruncated;
  }
  db.failed = answer.failed;
  db.error_code = answer.error_code;
  db.returned_rows = answer.rows;
  if (pending.opcode == Opcode::kPrepare && !answer.prepared_id.empty() &&
      !pending.queries.empty() && !pending.queries.front().text.empty() &&
      exchange.incomplete == 0) {
    shared_->learn_statement(pid_, answer.prepared_id,
                             {std::move(pending.queries.front().text), pending.cut});
  }
  if (!is_statement(pending.opcode)) {
    // Clients find out by such errors which version a server has.
    const bool asked = (pending.opcode == Opcode::kOptions || pending.opcode == Opcode::kStartup) &&
                       db.error_code == kProtocolError;
    if (!db.failed || asked) {
      ++counters_->idle_polls;
      return;
    }
    if (pending.opcode == Opcode::kPrepare) {
      Request request;
      request.queries = std::move(pending.queries);
      request.cut = pending.cut;
      name_statement(pending, std::move(request));
    }
  }
  tell(std::move(pending));
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
  // Of those that are only told when they fail nobody knows whether they did.
  if (!pending.announced) {
    return;
  }
  pending.exchange->incomplete |= incomplete;
  pending.exchange->response_end_ns = std::max(op_.time_ns, pending.exchange->request_start_ns);
  tell(std::move(pending));
}

void Connection::close_all(model::Outcome outcome, uint32_t incomplete, uint64_t time_ns) {
  const Side& answers =
      side(role_ == model::Role::kServer ? model::Direction::kSend : model::Direction::kReceive);
  for (auto& [stream, pending] : std::exchange(pending_, {})) {
    model::Exchange& exchange = *pending.exchange;
    const bool begun = answers.in_frame && answers.header.stream == stream;
    exchange.outcome =
        begun && outcome == model::Outcome::kNoResponse ? model::Outcome::kClosedEarly : outcome;
    op_.time_ns = time_ns;
    give_up(std::move(pending), incomplete);
  }
}

Verdict Connection::on_close(const model::Closed& closed, ExchangeSink& sink) {
  if (opaque_) {
    return Verdict::kOpaque;
  }
  sink_ = &sink;
  if (role_ != model::Role::kUnknown) {
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
  close_all(model::Outcome::kComplete, model::kBodyEndUnknown, time_ns);
  opaque_ = true;
}

}  // namespace zerospan::protocols::cassandra
