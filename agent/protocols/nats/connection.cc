// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/nats/connection.h"

#include <algorithm>
#include <utility>

#include "agent/protocols/nats/detect.h"

namespace zerospan::protocols::nats {
namespace {

constexpr size_t kLongestWord = 7;  // "CONNECT"
constexpr std::string_view kLineEnd = "\r\n";

}  // namespace

Connection::Connection(const model::Connection& connection, const Options& options,
                       ParserCounters* counters)
    : options_(options), counters_(counters), kernel_role_(connection.role) {
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
  size_t bytes = connect_ ? sizeof(model::Exchange) + 256 : 0;
  for (const Side& s : sides_) {
    bytes += s.line.capacity() + s.headers.capacity() + s.message.subject.capacity() +
             s.message.reply.capacity();
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
    const bool asks = is_from(verb_of(first_word(head)), true);
    role_ = asks == (chunk.direction == model::Direction::kReceive) ? model::Role::kServer
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
    close_connect(model::Outcome::kComplete, model::kBodyEndUnknown);
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
  if (s.lost || opaque_) {
    return;
  }
  if (s.in_payload) {
    const uint64_t here = std::min(count, s.size - s.at);
    s.cut = s.cut || (here != 0 && s.at < s.message.headers);
    s.gap = s.gap || (lost && here != 0);
    s.at += here;
    count -= here;
    if (s.at == s.size) {
      end_payload(s, client);
    }
  }
  // The kernel leaves out what is hidden up to the line's last byte.
  if (count != 0 && (lost || !s.hidden)) {
    lose(s, client);
  }
}

void Connection::lose(Side& s, bool client) {
  s.lost = true;
  s.sure = false;
  s.in_payload = false;
  s.hidden = false;
  s.line.clear();
  if (!client) {
    // The answer may be among what is missing.
    close_connect(model::Outcome::kComplete, model::kGap);
  }
}

// No line of this protocol: TLS begins, or servers talk to each other.
void Connection::refuse(Side& s, bool client) {
  counters_->unparsed_bytes += s.line.size();
  opaque_ = s.sure;
  lose(s, client);
}

void Connection::feed(Side& s, bool client, std::string_view bytes) {
  while (!bytes.empty() && !opaque_) {
    if (s.lost) {
      counters_->unparsed_bytes += bytes.size();
      return;
    }
    if (s.in_payload) {
      feed_payload(s, client, bytes);
    } else {
      feed_line(s, client, bytes);
    }
  }
}

void Connection::feed_line(Side& s, bool client, std::string_view& bytes) {
  if (s.line.empty()) {
    s.begin = op_;
  }
  const size_t end = bytes.find('\n');
  const std::string_view here = bytes.substr(0, end);
  bytes.remove_prefix(end == std::string_view::npos ? here.size() : here.size() + 1);
  if (!s.hidden) {
    s.line.append(here.substr(0, kMostLine + 1 - s.line.size()));
    const std::string_view word = first_word(s.line);
    const bool whole = word.size() < s.line.size();
    const Verb verb = whole ? verb_of(word) : Verb::kUnknown;
    if (whole ? verb == Verb::kUnknown || !is_from(verb, client)
              : word.size() > kLongestWord || end != std::string_view::npos) {
      refuse(s, client);
      return;
    }
    s.hidden = is_hidden(verb);
    if (!s.hidden && s.line.size() > kMostLine) {
      counters_->unparsed_bytes += s.line.size();
      ++counters_->limits_hit;
      lose(s, client);
      return;
    }
  }
  if (end != std::string_view::npos) {
    end_line(s, client);
  }
}

void Connection::end_line(Side& s, bool client) {
  const Verb verb = verb_of(first_word(s.line));
  std::string_view line = s.line;
  if (!s.hidden && line.back() != '\r') {
    counters_->unparsed_bytes += line.size();
    lose(s, client);
    return;
  }
  line.remove_suffix(s.hidden ? 0 : 1);
  if (is_message(verb)) {
    auto message = read_message(verb, line);
    if (!message) {
      counters_->unparsed_bytes += line.size();
      lose(s, client);
      return;
    }
    s.message = *std::move(message);
    s.in_payload = true;
    s.size = s.message.size + kLineEnd.size();
    s.at = 0;
    s.gap = false;
    s.cut = false;
    s.headers.clear();
    s.ending.clear();
    s.line.clear();
    return;
  }
  ++counters_->messages;
  if (verb == Verb::kConnect) {
    on_connect(s);
  } else if (verb == Verb::kErr) {
    on_answer(s, read_error(line));
  } else if (!client && (verb == Verb::kOk || verb == Verb::kPong)) {
    on_answer(s, {});
  }
  s.line.clear();
  s.hidden = false;
}

void Connection::feed_payload(Side& s, bool client, std::string_view& bytes) {
  const std::string_view here = bytes.substr(0, s.size - s.at);
  bytes.remove_prefix(here.size());
  if (s.at < s.message.headers && !s.cut) {
    const std::string_view of_headers = here.substr(0, s.message.headers - s.at);
    s.headers.append(of_headers.substr(0, options_.max_header_bytes - s.headers.size()));
    s.cut = s.headers.size() != s.at + of_headers.size();
  }
  if (s.at + here.size() > s.message.size) {
    s.ending += here.substr(s.at < s.message.size ? s.message.size - s.at : 0);
  }
  s.at += here.size();
  if (s.at == s.size) {
    end_payload(s, client);
  }
}

void Connection::end_payload(Side& s, bool client) {
  s.in_payload = false;
  if (s.ending.size() == kLineEnd.size() && s.ending != kLineEnd) {
    // Its size was none.
    counters_->unparsed_bytes += s.ending.size();
    lose(s, client);
    return;
  }
  ++counters_->messages;
  model::MessagingExchange message;
  message.type = client ? model::MessagingOperation::kSend : model::MessagingOperation::kReceive;
  message.operation = client ? "publish" : "deliver";
  message.temporary = is_temporary(s.message.subject);
  message.body_size = s.message.size - s.message.headers;
  // Whoever asks waits for what comes with this subject.
  message.conversation_id = message.temporary ? s.message.subject : s.message.reply;
  message.destination = std::move(s.message.subject);
  HeaderFacts facts = read_headers(s.headers);
  const bool unknown = s.cut && facts.traceparent.empty();
  if (!facts.traceparent.empty()) {
    message.creation_contexts.push_back(std::move(facts.traceparent));
  }
  message.error_code = std::move(facts.error);
  auto exchange = make(s, client, std::move(message));
  exchange->incomplete = (s.gap ? model::kGap : model::kIncompleteNone) |
                         (unknown ? model::kHeadTruncated : model::kIncompleteNone);
  tell(std::move(*exchange));
}

void Connection::on_connect(Side& s) {
  model::MessagingExchange message;
  message.operation = "connect";
  close_connect(model::Outcome::kComplete, model::kBodyEndUnknown);  // there should be one
  connect_ = make(s, true, std::move(message));
  announce(*connect_);
  if (early_ && early_->end_ns >= connect_->request_start_ns) {
    answer_connect(early_->begin_ns, early_->end_ns, early_->error);
  }
  early_.reset();
}

void Connection::on_answer(const Side& s, const ErrorFacts& error) {
  if (connect_) {
    answer_connect(s.begin.time_ns, op_.time_ns, error.name);
    return;
  }
  // On a client another thread may have read it before the CONNECT was recorded.
  if (role_ == model::Role::kClient && !answered_ && side(model::Direction::kSend).sure &&
      side(model::Direction::kSend).next_offset == 0) {
    early_ = Early{s.begin.time_ns, op_.time_ns, error.name};
    answered_ = true;
    return;
  }
  if (error.name.empty()) {
    return;
  }
  // Which line it answers is not told.
  model::MessagingExchange message;
  message.operation = "error";
  message.error_code = error.name;
  message.destination = error.subject;
  message.temporary = is_temporary(error.subject);
  tell(std::move(*make(s, false, std::move(message))));
}

void Connection::answer_connect(uint64_t begin_ns, uint64_t end_ns, const std::string& error) {
  const auto connect = std::move(connect_);
  connect->response_start_ns = begin_ns;
  connect->response_end_ns = std::max(end_ns, connect->request_end_ns);
  std::get<model::MessagingExchange>(connect->payload).error_code = error;
  answered_ = true;
  ++counters_->exchanges;
  sink_->on_exchange(std::move(*connect));
}

std::unique_ptr<model::Exchange> Connection::make(const Side& s, bool client,
                                                  model::MessagingExchange&& message) const {
  auto exchange = std::make_unique<model::Exchange>();
  exchange->role = role_;
  exchange->request_start_ns = s.begin.departed_ns;
  exchange->request_end_ns = op_.time_ns;
  exchange->response_end_ns = op_.time_ns;
  exchange->thread_id = s.begin.thread_id;
  if (client) {
    exchange->request_id = s.begin.request_id;
    // Clients gather lines, and any thread of theirs sends what it finds there.
    exchange->evidence = s.begin.evidence == model::Evidence::kNone ? model::Evidence::kNone
                                                                    : model::Evidence::kAmbiguous;
  }
  message.system = model::MessagingSystem::kNats;
  exchange->payload = std::move(message);
  return exchange;
}

void Connection::announce(model::Exchange& exchange) {
  exchange.sequence = next_sequence_++;
  sink_->on_request(request_start(exchange));
}

void Connection::tell(model::Exchange&& exchange) {
  announce(exchange);
  ++counters_->exchanges;
  sink_->on_exchange(std::move(exchange));
}

void Connection::close_connect(model::Outcome outcome, uint32_t incomplete) {
  if (!connect_) {
    return;
  }
  const auto connect = std::move(connect_);
  ++counters_->requests_without_response;
  ++counters_->exchanges;
  connect->outcome = outcome;
  connect->incomplete |= incomplete;
  connect->response_end_ns = std::max(op_.time_ns, connect->request_start_ns);
  sink_->on_exchange(std::move(*connect));
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
  close_connect(closed.kind == model::CloseKind::kReset ? model::Outcome::kReset
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
  close_connect(model::Outcome::kComplete, model::kBodyEndUnknown);
  opaque_ = true;
}

}  // namespace zerospan::protocols::nats
