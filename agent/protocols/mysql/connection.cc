// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Chunks to packets. What packets mean is in replies.cc.

#include "agent/protocols/mysql/connection.h"

#include <algorithm>
#include <utility>

#include "agent/protocols/mysql/packets.h"

namespace zerospan::protocols::mysql {
namespace {

constexpr size_t kTailBytes = 512;
// Of an answer's packets only their beginnings say something, but for errors.
constexpr size_t kReplyBytes = 512;
constexpr size_t kDoubtfulAnswers = 16;

}  // namespace

Connection::Connection(const model::Connection& connection, const Options& options,
                       ParserCounters* counters)
    : options_(options),
      counters_(counters),
      kernel_role_(connection.role),
      early_(options.max_early_bytes) {
  for (Side& s : sides_) {
    s.offset_known = connection.seen_from_start;
    s.lost = true;
  }
  if (connection.seen_from_start && kernel_role_ != model::Role::kUnknown) {
    begin(kernel_role_);
  }
}

// The server's greeting is due.
void Connection::begin(model::Role role) {
  role_ = role;
  phase_ = Phase::kGreeting;
  for (Side& s : sides_) {
    s.lost = false;
  }
}

model::Role Connection::role() const {
  return role_ == model::Role::kUnknown ? kernel_role_ : role_;
}

size_t Connection::memory_bytes() const {
  size_t bytes = statement_bytes_ + statements_.size() * 96 + early_.memory_bytes();
  for (const Side& s : sides_) {
    bytes += s.header.capacity() + s.body.capacity() + s.tail.capacity();
  }
  for (const Pending& pending : pending_) {
    bytes += sizeof(Pending) + sizeof(model::Exchange);
    if (pending.exchange) {
      bytes += std::get<model::DbExchange>(pending.exchange->payload).statement.capacity();
    }
  }
  return bytes;
}

// The greeting is the server's, and a command is the client's.
void Connection::decide_role(const model::Chunk& chunk) {
  if (chunk.head.size() < kHeaderBytes + 2 || read_header(chunk.head).sequence != 0) {
    return;
  }
  const bool greeting = is_greeting(chunk.head.substr(kHeaderBytes));
  if (!greeting && !is_command(static_cast<uint8_t>(chunk.head[kHeaderBytes]))) {
    return;
  }
  role_ = greeting == (chunk.direction == model::Direction::kSend) ? model::Role::kServer
                                                                   : model::Role::kClient;
  if (greeting) {
    begin(role_);
  }
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
  const bool early = role_ == model::Role::kClient && !request && phase_ == Phase::kCommands &&
                     pending_.empty() && !side(chunk.direction).in_body;
  if (early && early_.keep(chunk)) {
    return Verdict::kContinue;
  }
  release_early(request ? std::max<uint64_t>(chunk.departed_ns, 1) : UINT64_MAX, sink);
  take(chunk, sink);
  if (request) {
    release_early(UINT64_MAX, sink);
  }
  return opaque_ ? Verdict::kOpaque : Verdict::kContinue;
}

void Connection::release_early(uint64_t before_ns, ExchangeSink& sink) {
  early_.release(before_ns, [&](const model::Chunk& chunk) {
    if (!opaque_) {
      take(chunk, sink);
    }
  });
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
  if (s.lost && head.size() > kHeaderBytes) {
    // A command begins its operation, and so does the first packet of an answer.
    const Header header = read_header(head);
    const bool fits = header.length + kHeaderBytes <= chunk.length && header.length != 0;
    const bool due = !pending_.empty() && !pending_.front().begun;
    if (fits && (request ? header.sequence == 0 && is_command(static_cast<uint8_t>(head[4]))
                         : header.sequence == 1 && due)) {
      ++counters_->resyncs;
      s.lost = false;
      s.header.clear();
      s.tail.clear();
      s.in_body = s.continued = false;
    }
  }
  feed(s, request, head, sink);
  if (middle != 0) {
    skip(s, request, middle, false, sink);
    s.tail.clear();
  }
  feed(s, request, tail, sink);
  if (s.lost && !request && !pending_.empty()) {
    if (const size_t at = find_ending_packet(s.tail); at != std::string_view::npos) {
      ++counters_->resyncs;
      const std::string ending = std::exchange(s.tail, {});
      s.lost = s.in_body = s.continued = false;
      s.header.clear();
      feed(s, request, std::string_view(ending).substr(at), sink);
    }
  }
}

void Connection::lose(Side& s, bool request, bool lost, ExchangeSink& sink) {
  if (s.lost && !lost) {
    return;
  }
  s.lost = true;
  s.in_body = s.continued = false;
  s.header.clear();
  s.tail.clear();
  if (request) {
    doubt_next_ = true;
    last_prepared_ = nullptr;
    last_prepare_failed_ = false;
    // An identifier may be another statement's now.
    for (auto& [id, statement] : statements_) {
      auto doubtful = std::make_shared<Statement>(*statement);
      doubtful->doubtful = true;
      statement = std::move(doubtful);
    }
    return;
  }
  for (Pending& pending : pending_) {
    pending.rows_exact = false;
    pending.reply = Reply::kMissed;
    pending.begun = true;
    pending.lost = pending.lost || lost;
    if (lost && pending.exchange) {
      pending.exchange->incomplete |= model::kGap;
    }
  }
  // How many answers there were is not known. Most likely all, as of a client that waits for each.
  if (pending_.size() > 1) {
    doubtful_answers_ = kDoubtfulAnswers;
    while (pending_.size() > 1) {
      give_up(model::kBodyEndUnknown, sink);
    }
  }
}

void Connection::skip(Side& s, bool request, uint64_t count, bool lost, ExchangeSink& sink) {
  if (s.in_body) {
    const auto here = static_cast<uint32_t>(std::min<uint64_t>(count, s.remaining));
    s.remaining -= here;
    count -= here;
    s.body_cut = s.body_cut || here != 0;
    if (lost && !request && here != 0 && !pending_.empty() && pending_.front().exchange) {
      pending_.front().exchange->incomplete |= model::kGap;
    }
    if (s.remaining == 0) {
      end_packet(s, request, s.body, sink);
    }
  }
  if (count != 0) {
    lose(s, request, lost, sink);
  }
}

void Connection::feed(Side& s, bool request, std::string_view bytes, ExchangeSink& sink) {
  while (!bytes.empty() && !opaque_) {
    if (s.lost) {
      counters_->unparsed_bytes += bytes.size();
      s.tail.append(bytes);
      if (s.tail.size() > kTailBytes) {
        s.tail.erase(0, s.tail.size() - kTailBytes);
      }
      return;
    }
    if (!s.in_body) {
      if (s.header.empty()) {
        s.begin = op_;
      }
      const size_t more = std::min(kHeaderBytes - s.header.size(), bytes.size());
      s.header.append(bytes.substr(0, more));
      bytes.remove_prefix(more);
      if (s.header.size() < kHeaderBytes) {
        return;
      }
      const Header header = read_header(s.header);
      s.header.clear();
      s.in_body = true;
      s.sequence = header.sequence;
      s.length = s.remaining = header.length;
      s.goes_on = s.continued;
      s.continued = header.length == kLargestPacket;
      s.body_cut = false;
      s.body.clear();
      s.body_wanted = s.goes_on ? 0 : request ? options_.max_body_bytes : kReplyBytes;
      if (s.remaining == 0) {
        end_packet(s, request, {}, sink);
      }
      continue;
    }
    const std::string_view here = bytes.substr(0, s.remaining);
    bytes.remove_prefix(here.size());
    s.remaining -= static_cast<uint32_t>(here.size());
    if (s.remaining == 0 && s.body.empty() && !s.body_cut) {
      s.body_cut = here.size() > s.body_wanted;
      end_packet(s, request, here.substr(0, s.body_wanted), sink);
      continue;
    }
    if (!s.body_cut) {
      const size_t room = s.body_wanted - s.body.size();
      s.body.append(here.substr(0, room));
      s.body_cut = here.size() > room;
    }
    if (s.remaining == 0) {
      end_packet(s, request, s.body, sink);
    }
  }
}

void Connection::end_packet(Side& s, bool request, std::string_view body, ExchangeSink& sink) {
  s.in_body = false;
  if (s.goes_on) {
    return;
  }
  switch (phase_) {
    case Phase::kGreeting:
      if (request || !is_greeting(body)) {
        opaque_ = true;
        return;
      }
      system_ = greeting_version(body).find("MariaDB") != std::string_view::npos
                    ? model::DbSystem::kMariadb
                    : model::DbSystem::kMysql;
      phase_ = Phase::kLogin;
      return;
    case Phase::kLogin:
      if (request) {
        on_login(body);
      } else {
        opaque_ = true;  // an error: too many connections
      }
      return;
    case Phase::kAuthenticate:
      // What the client sends here is secret; the server ends it with OK or an error.
      if (!request && !body.empty() && (body[0] == '\0' || body[0] == '\xff')) {
        phase_ = Phase::kCommands;
        opaque_ = (capabilities_ & (kCompress | kZstd)) != 0 || body[0] == '\xff';
      }
      return;
    case Phase::kCommands:
      break;
  }
  if (!request) {
    on_reply(s, body, sink);
  } else if (s.sequence == 0 && !body.empty()) {
    on_command(s, body, sink);
  }
}

Verdict Connection::on_close(const model::Closed& closed, ExchangeSink& sink) {
  if (opaque_) {
    return Verdict::kOpaque;
  }
  release_early(UINT64_MAX, sink);
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
    close_all(reset ? model::Outcome::kReset : model::Outcome::kClosedEarly,
              reset ? model::Outcome::kReset : model::Outcome::kNoResponse, model::kIncompleteNone,
              closed.time_ns, sink);
  }
  opaque_ = opaque_ || !half;
  return opaque_ ? Verdict::kOpaque : Verdict::kContinue;
}

void Connection::finish(uint64_t time_ns, ExchangeSink& sink) {
  if (!opaque_) {
    release_early(UINT64_MAX, sink);
    close_all(model::Outcome::kComplete, model::Outcome::kComplete, model::kBodyEndUnknown, time_ns,
              sink);
    opaque_ = true;
  }
}

}  // namespace zerospan::protocols::mysql
