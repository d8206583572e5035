// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/postgresql/session.h"

#include <algorithm>
#include <utility>

#include "agent/protocols/postgresql/messages.h"
#include "agent/sql/statement.h"

namespace zerospan::protocols::postgresql {
namespace {

// A connection that has had this many turns, one after the other, does not pipeline.
constexpr uint32_t kTrustedTurns = 16;
// A session that was silent for so long has nothing in flight.
constexpr uint64_t kQuietNs = 1'000'000'000;

model::DbExchange& db_of(model::Exchange& exchange) {
  return std::get<model::DbExchange>(exchange.payload);
}

// More than one statement may be in it.
bool may_be_many(std::string_view text) {
  const size_t at = text.find(';');
  return at != std::string_view::npos &&
         text.find_first_not_of(" \t\r\n;", at) != std::string_view::npos;
}

}  // namespace

void Session::on_startup(std::string_view parameters) {
  bool cut = false;
  std::string_view user;
  std::string_view database;
  while (!parameters.empty() && parameters[0] != '\0') {
    const std::string_view name = take_string(parameters, cut);
    const std::string_view value = take_string(parameters, cut);
    if (cut) {
      break;
    }
    if (name == "user") {
      user = value;
    } else if (name == "database") {
      database = value;
    }
  }
  // "defaults to the user name"
  database_ = database.empty() ? user : database;
}

std::unique_ptr<model::Exchange> Session::make_exchange(const StatementPtr& statement,
                                                        const Origin& begin, uint64_t end_ns) {
  auto exchange = std::make_unique<model::Exchange>();
  exchange->role = role_;
  exchange->request_start_ns = begin.departed_ns;
  exchange->request_end_ns = end_ns;
  exchange->request_id = begin.request_id;
  exchange->evidence = begin.evidence;
  exchange->thread_id = begin.thread_id;
  model::DbExchange& db = exchange->payload.emplace<model::DbExchange>();
  db.system = model::DbSystem::kPostgresql;
  db.database = database_;
  db.backslash_escapes = backslash_escapes_;
  if (statement) {
    db.statement = statement->text;
    db.statement_known = true;
    db.statement_cut = statement->cut;
    db.statement_id = statement->name;
    if (statement->cut) {
      exchange->incomplete |= model::kHeadTruncated;
    }
  }
  return exchange;
}

void Session::announce(model::Exchange& exchange, ExchangeSink& sink) {
  if (exchange.request_id != 0 && exchange.request_id == last_request_id_) {
    ++batch_index_;
  } else {
    batch_index_ = 0;
    last_request_id_ = exchange.request_id;
  }
  exchange.batch_index = batch_index_;
  exchange.sequence = next_sequence_++;
  sink.on_request(request_start(exchange));
}

void Session::emit(Pending& pending, ExchangeSink& sink) {
  if (pending.exchange) {
    ++counters_->exchanges;
    sink.on_exchange(std::move(*pending.exchange));
    pending.exchange.reset();
  }
}

void Session::emit_held(uint64_t end_ns, ExchangeSink& sink) {
  if (held_) {
    if (end_ns != 0) {
      held_->exchange->response_end_ns = end_ns;
    }
    emit(*held_, sink);
    held_.reset();
  }
}

// Its answer was missed.
void Session::give_up(Pending& pending, ExchangeSink& sink) {
  if (pending.exchange) {
    ++counters_->requests_without_response;
    pending.exchange->incomplete |=
        responses_lost_ || turns_unclear_ ? model::kGap : model::kBodyEndUnknown;
    if (pending.exchange->response_end_ns == 0) {
      pending.exchange->response_end_ns =
          std::max(last_response_ns_, pending.exchange->request_end_ns);
    }
    emit(pending, sink);
  }
}

void Session::push(Pending&& pending, const Origin& begin, ExchangeSink& sink) {
  const bool turn = pending.kind == Kind::kQuery || pending.kind == Kind::kSync ||
                    pending.kind == Kind::kFunction;
  if (pending_.size() >= limits_.max_pending) {
    ++counters_->limits_hit;
    turns_unclear_ = true;
    for (Pending& old : pending_) {
      give_up(old, sink);
    }
    pending_.clear();
    syncs_ = 0;
    doubt();
  }
  if (syncs_ != 0 && !pending_.front().copies_in) {
    pipelining_seen_ = true;
    if (!seen_from_start_ && clean_turns_ < kTrustedTurns) {
      suspect_ = true;  // of a turn that was not seen an answer may still come
    }
    clean_turns_ = 0;
  }
  if (suspect_ && pending_.empty() && !held_ && last_response_ns_ != 0 &&
      begin.departed_ns > last_response_ns_ + kQuietNs) {
    suspect_ = false;
  }
  if (pending.exchange) {
    if (suspect_ || flag_next_ || (pending.statement && pending.statement->doubtful)) {
      pending.exchange->incomplete |= model::kGap;
    }
    flag_next_ = false;
    announce(*pending.exchange, sink);
  }
  pending_.push_back(std::move(pending));
  syncs_ += turn ? 1 : 0;
}

void Session::on_request(char type, std::string_view body, bool cut, const Origin& begin,
                         uint64_t end_ns, ExchangeSink& sink) {
  Pending pending;
  bool names_cut = false;
  switch (type) {
    case 'Q': {
      pending.kind = Kind::kQuery;
      auto statement = std::make_shared<Statement>();
      statement->text = take_string(body, names_cut);
      statement->cut = cut;
      pending.statement = statement;
      break;
    }
    case 'P': {
      pending.kind = Kind::kParse;
      told_ahead_ = false;
      auto statement = std::make_shared<Statement>();
      statement->name = take_string(body, names_cut);
      const bool name_cut = names_cut;
      statement->text = take_string(body, names_cut);
      statement->cut = names_cut;
      pending.statement = statement;
      if (!name_cut) {
        pending.replaced = find_statement(statement->name);
        define(statement);
      }
      break;
    }
    case 'B': {
      pending.kind = Kind::kBind;
      std::string portal(take_string(body, names_cut));
      const std::string_view name = take_string(body, names_cut);
      StatementPtr statement = names_cut ? nullptr : find_statement(name);
      if (skipping_ && passed_over_ && !names_cut && passed_over_->name == name) {
        statement = passed_over_;
      }
      if (!statement && !names_cut && !name.empty()) {
        // Known by its name only.
        auto unknown = std::make_shared<Statement>();
        unknown->name = name;
        unknown->cut = true;
        statement = unknown;
      }
      pending.statement = statement;
      if (portals_.size() >= limits_.max_portals && !portals_.contains(portal)) {
        ++counters_->limits_hit;
      } else {
        portals_.insert_or_assign(std::move(portal), std::move(statement));
      }
      break;
    }
    case 'D':
      pending.kind = Kind::kDescribe;
      if (!body.empty()) {
        const bool of_statement = body[0] == 'S';
        body.remove_prefix(1);
        const std::string_view name = take_string(body, names_cut);
        if (of_statement) {
          pending.statement = find_statement(name);
        } else if (const auto found = portals_.find(name); found != portals_.end()) {
          pending.statement = found->second;
        }
      }
      break;
    case 'E': {
      if (std::exchange(told_ahead_, false)) {
        ++counters_->messages;
        extended_begun_ = false;
        return;
      }
      pending.kind = Kind::kExecute;
      const std::string_view portal = take_string(body, names_cut);
      if (const auto found = portals_.find(portal); found != portals_.end() && !names_cut) {
        pending.statement = found->second;
      }
      break;
    }
    case 'C':
      pending.kind = Kind::kClose;
      if (!body.empty() && !cut) {
        const bool of_statement = body[0] == 'S';
        body.remove_prefix(1);
        const std::string_view name = take_string(body, names_cut);
        if (of_statement) {
          undefine(name);
        } else if (const auto found = portals_.find(name); found != portals_.end()) {
          portals_.erase(found);
        }
      }
      break;
    case 'S':
      if (std::exchange(data_may_follow_, false) && begin.departed_ns < last_response_ns_) {
        return;  // the one behind the data
      }
      pending.kind = Kind::kSync;
      break;
    case 'F':
      pending.kind = Kind::kFunction;
      break;
    case 'd':
      if (pending_.size() == 1 && pending_.front().kind == Kind::kQuery) {
        pending_.front().copies_in = true;  // a client need not wait for the server's consent
      }
      return;
    default:
      return;  // Flush, Terminate, the rest of COPY, and what belongs to the authentication
  }
  data_may_follow_ = false;
  ++counters_->messages;
  const bool part = pending.kind == Kind::kParse || pending.kind == Kind::kBind ||
                    pending.kind == Kind::kDescribe;
  if (part && !extended_begun_) {
    extended_begun_ = true;
    extended_begin_ = begin;
  }
  if (pending.kind == Kind::kQuery || pending.kind == Kind::kExecute ||
      pending.kind == Kind::kFunction) {
    const bool prepared = pending.kind == Kind::kExecute && extended_begun_;
    const StatementPtr known =
        pending.statement && pending.statement->text.empty() && pending.statement->cut
            ? nullptr
            : pending.statement;
    pending.exchange = make_exchange(known, prepared ? extended_begin_ : begin, end_ns);
    model::DbExchange& db = db_of(*pending.exchange);
    if (!known && pending.kind == Kind::kExecute) {
      pending.exchange->incomplete |= model::kStatementUnknown;
      db.statement_id = pending.statement ? pending.statement->name : std::string();
    }
    // A statement that is run again carries the comment of its first time.
    const bool fresh =
        pending.kind == Kind::kQuery ||
        (prepared && std::any_of(pending_.begin(), pending_.end(), [&](const Pending& other) {
           return other.kind == Kind::kParse && other.statement == pending.statement;
         }));
    if (fresh && known) {
      const auto context = sql::find_context(
          db.statement, backslash_escapes_ ? sql::kPostgresqlOldStrings : sql::kPostgresql);
      db.traceparent = context.traceparent;
      db.tracestate = context.tracestate;
    }
    if (db.statement_cut) {
      ++counters_->heads_truncated;
    }
  }
  if (!part) {
    extended_begun_ = false;
  }
  push(std::move(pending), begin, sink);
  if (skipping_) {
    skip_failed(end_ns, sink);
  }
}

void Session::note_begun(Pending& pending, uint64_t time_ns) {
  pending.begun = true;
  if (pending.exchange && pending.exchange->response_start_ns == 0) {
    pending.exchange->response_start_ns = time_ns;
  }
}

Session::Pending* Session::expect(Kind kind, uint64_t time_ns, ExchangeSink& sink) {
  size_t at = 0;
  while (at < pending_.size() && pending_[at].kind != kind) {
    if (pending_[at].kind == Kind::kSync || pending_[at].kind == Kind::kQuery ||
        pending_[at].kind == Kind::kFunction) {
      return nullptr;  // of a later turn it cannot be
    }
    ++at;
  }
  if (at == pending_.size()) {
    return nullptr;
  }
  emit_held(0, sink);
  for (; at > 0; --at) {
    give_up(pending_.front(), sink);
    pending_.pop_front();
  }
  note_begun(pending_.front(), time_ns);
  return &pending_.front();
}

Session::Pending* Session::running(uint64_t time_ns, ExchangeSink& sink) {
  if (!pending_.empty() && pending_.front().kind == Kind::kQuery) {
    note_begun(pending_.front(), time_ns);
    return &pending_.front();
  }
  return expect(Kind::kExecute, time_ns, sink);
}

void Session::define(const StatementPtr& statement) {
  undefine(statement->name);
  while (!statements_.empty() &&
         (statements_.size() >= limits_.max_statements ||
          statement_bytes_ + statement->text.size() > limits_.max_statement_bytes)) {
    ++counters_->limits_hit;
    statement_bytes_ -= statements_.begin()->second->text.size();
    statements_.erase(statements_.begin());
  }
  statement_bytes_ += statement->text.size();
  statements_.emplace(statement->name, statement);
}

void Session::undefine(std::string_view name) {
  if (const auto found = statements_.find(name); found != statements_.end()) {
    statement_bytes_ -= found->second->text.size();
    statements_.erase(found);
  }
}

Session::StatementPtr Session::find_statement(std::string_view name) const {
  const auto found = statements_.find(name);
  return found == statements_.end() ? nullptr : found->second;
}

bool Session::on_response(char type, std::string_view body, bool cut, uint64_t time_ns,
                          ExchangeSink& sink) {
  switch (type) {
    case 'N':
    case 'A':
    case 'R':
    case 'K':
    case 'v':
      return true;
    case 'S': {
      bool names_cut = cut;
      const std::string_view name = take_string(body, names_cut);
      const std::string_view value = take_string(body, names_cut);
      if (name == "standard_conforming_strings" && !names_cut) {
        backslash_escapes_ = value == "off";
      }
      return true;
    }
    default:
      break;
  }
  ++counters_->messages;
  last_response_ns_ = std::max(last_response_ns_, time_ns);
  switch (type) {
    case '1':
      if (expect(Kind::kParse, time_ns, sink) != nullptr) {
        pending_.pop_front();
      }
      break;
    case '2':
      if (expect(Kind::kBind, time_ns, sink) != nullptr) {
        pending_.pop_front();
      }
      break;
    case '3':
      if (expect(Kind::kClose, time_ns, sink) != nullptr) {
        pending_.pop_front();
      }
      break;
    case 't':
      break;  // the rows' description follows
    case 'T':
    case 'n':
      if (!pending_.empty() && pending_.front().kind == Kind::kQuery) {
        note_begun(pending_.front(), time_ns);
        pending_.front().describes_rows = true;
      } else if (expect(Kind::kDescribe, time_ns, sink) != nullptr) {
        pending_.pop_front();
      }
      break;
    case 'D':
      if (Pending* const pending = running(time_ns, sink)) {
        ++pending->rows;
      }
      break;
    case 'C':
      on_completion(body, cut, time_ns, sink);
      break;
    case 'I':
      if (Pending* const pending = running(time_ns, sink)) {
        ++pending->completions;
        if (pending->kind == Kind::kExecute) {
          complete(*pending, time_ns, sink);
        }
      }
      break;
    case 's':
      if (Pending* const pending = running(time_ns, sink);
          pending != nullptr && pending->kind == Kind::kExecute) {
        ++pending->completions;
        if (pending->rows_exact && !responses_missed_) {
          db_of(*pending->exchange).returned_rows = pending->rows;
        }
        complete(*pending, time_ns, sink);
      }
      break;
    case 'G':
      if (Pending* const pending = running(time_ns, sink)) {
        pending->copies_in = true;
        // In COPY the server passes over a Sync; the one that counts comes behind the data.
        if (pending->kind == Kind::kExecute) {
          for (auto next = pending_.begin(); next != pending_.end(); ++next) {
            if (next->kind == Kind::kSync) {
              pending_.erase(next);
              --syncs_;
              break;
            }
          }
        }
      }
      break;
    case 'H':
      static_cast<void>(running(time_ns, sink));
      break;
    case 'W':
      return false;  // replication: the same statement until the connection ends
    case 'V':
      if (!pending_.empty() && pending_.front().kind == Kind::kFunction) {
        note_begun(pending_.front(), time_ns);
        ++pending_.front().completions;
      }
      break;
    case 'E':
      on_error(body, time_ns, sink);
      break;
    case 'Z':
      on_ready(body.empty() ? '\0' : body[0], time_ns, sink);
      break;
    default:
      break;  // COPY's data
  }
  return true;
}

// The Execute at the front has its answer.
void Session::complete(Pending& pending, uint64_t time_ns, ExchangeSink& sink) {
  pending.exchange->response_end_ns = time_ns;
  emit_held(0, sink);
  held_ = std::make_unique<Pending>(std::move(pending));
  pending_.pop_front();
}

void Session::on_completion(std::string_view tag, bool cut, uint64_t time_ns, ExchangeSink& sink) {
  if (responses_missed_ && !turns_unclear_) {
    // Behind what was missed it is the last one's of this turn.
    size_t last = 0;
    for (size_t i = 0; i < pending_.size() && pending_[i].kind != Kind::kSync &&
                       pending_[i].kind != Kind::kQuery && pending_[i].kind != Kind::kFunction;
         ++i) {
      last = pending_[i].kind == Kind::kExecute ? i : last;
    }
    for (; last > 0; --last) {
      give_up(pending_.front(), sink);
      pending_.pop_front();
    }
  }
  Pending* const pending = running(time_ns, sink);
  if (pending == nullptr) {
    ++counters_->responses_without_request;
    return;
  }
  ++pending->completions;
  bool names_cut = cut;
  const CommandTag parsed = parse_command_tag(take_string(tag, names_cut));
  model::DbExchange& db = db_of(*pending->exchange);
  const bool shows_rows = parsed.returns_rows || (parsed.changes_rows && pending->rows != 0);
  if (pending->kind == Kind::kExecute) {
    if (shows_rows && parsed.count && !names_cut) {
      db.returned_rows = parsed.count;
    }
    complete(*pending, time_ns, sink);
    return;
  }
  const bool only = pending->completions == 1 &&
                    !(responses_missed_ && may_be_many(db.statement)) &&
                    !(responses_missed_ && db.statement_cut);
  db.returned_rows = only && shows_rows && !names_cut ? parsed.count : std::nullopt;
}

// All until the next Sync is passed over by the server.
void Session::skip_failed(uint64_t time_ns, ExchangeSink& sink) {
  while (!pending_.empty() && pending_.front().kind != Kind::kSync) {
    Pending& pending = pending_.front();
    if (pending.kind == Kind::kParse) {
      passed_over_ = pending.statement;
      // What had the name still has it.
      if (find_statement(pending.statement->name) == pending.statement) {
        undefine(pending.statement->name);
        if (pending.replaced) {
          define(pending.replaced);
        }
      }
    }
    if (pending.exchange) {
      model::DbExchange& db = db_of(*pending.exchange);
      db.failed = true;
      db.skipped = true;
      pending.exchange->response_start_ns = time_ns;
      pending.exchange->response_end_ns = time_ns;
      emit(pending, sink);
    }
    syncs_ -= pending.kind == Kind::kQuery || pending.kind == Kind::kFunction ? 1 : 0;
    pending_.pop_front();
  }
}

void Session::on_error(std::string_view fields, uint64_t time_ns, ExchangeSink& sink) {
  const std::string code(error_code(fields));
  const auto fail = [&](model::Exchange& exchange) {
    model::DbExchange& db = db_of(exchange);
    db.failed = true;
    db.error_code = code;
    db.returned_rows.reset();
  };
  if (pending_.empty()) {
    if (held_) {
      fail(*held_->exchange);
      emit_held(time_ns, sink);
    }
    return;  // of the session itself, not of a statement
  }
  Pending& front = pending_.front();
  if (front.kind == Kind::kQuery || front.kind == Kind::kFunction) {
    note_begun(front, time_ns);
    fail(*front.exchange);
    return;
  }
  if (front.kind == Kind::kSync) {
    if (held_) {  // the commit failed
      fail(*held_->exchange);
    }
    return;
  }
  emit_held(0, sink);
  if (responses_missed_) {
    for (size_t i = 0; i < pending_.size() && pending_[i].kind != Kind::kSync; ++i) {
      if (pending_[i].exchange) {
        pending_[i].exchange->incomplete |= model::kBodyEndUnknown;  // which of them it was
      }
    }
  }
  // Of the message at the front; what it prepares is the next Execute's.
  size_t at = 0;
  while (at < pending_.size() && pending_[at].kind != Kind::kExecute &&
         pending_[at].kind != Kind::kSync) {
    ++at;
  }
  if (at < pending_.size() && pending_[at].kind == Kind::kExecute) {
    Pending& failed = pending_[at];
    note_begun(failed, time_ns);
    fail(*failed.exchange);
    failed.exchange->response_end_ns = time_ns;
    emit(failed, sink);
  } else if (front.statement && front.kind != Kind::kClose) {
    // Nothing of it will be run, but the server has told the client so.
    Pending failed;
    const bool unknown = front.statement->text.empty() && front.statement->cut;
    failed.exchange = make_exchange(unknown ? nullptr : front.statement, extended_begin_,
                                    extended_begin_.time_ns);
    if (unknown) {
      failed.exchange->incomplete |= model::kStatementUnknown;
      db_of(*failed.exchange).statement_id = front.statement->name;
    }
    failed.exchange->response_start_ns = time_ns;
    failed.exchange->response_end_ns = time_ns;
    fail(*failed.exchange);
    if (suspect_ || responses_lost_) {
      failed.exchange->incomplete |= model::kGap;
    }
    announce(*failed.exchange, sink);
    emit(failed, sink);
    told_ahead_ = at == pending_.size();  // without a Sync its Execute may still come
  }
  skipping_ = true;
  extended_begun_ = false;
  skip_failed(time_ns, sink);
}

void Session::on_ready(char status, uint64_t time_ns, ExchangeSink& sink) {
  skipping_ = false;
  told_ahead_ = false;
  passed_over_ = nullptr;
  if (turns_unclear_) {
    emit_held(time_ns, sink);
    for (Pending& pending : pending_) {
      give_up(pending, sink);
    }
    pending_.clear();
    syncs_ = 0;
    doubt();
  } else if (syncs_ == 0) {
    data_may_follow_ = held_ && held_->copies_in;
    emit_held(time_ns, sink);  // else it is the first one, behind the authentication
  } else {
    for (bool done = false; !done && !pending_.empty(); pending_.pop_front()) {
      Pending& pending = pending_.front();
      switch (pending.kind) {
        case Kind::kSync:
          done = true;
          break;
        case Kind::kQuery:
        case Kind::kFunction: {
          done = true;
          data_may_follow_ = pending.copies_in;
          pending.exchange->response_end_ns = time_ns;
          note_begun(pending, time_ns);
          model::DbExchange& db = db_of(*pending.exchange);
          if (!db.failed && pending.completions == 0) {
            // Neither a completion nor an error was seen.
            pending.exchange->incomplete |= responses_lost_ ? model::kGap : model::kBodyEndUnknown;
          } else if (responses_lost_) {
            pending.exchange->incomplete |= model::kGap;
          }
          emit(pending, sink);
          break;
        }
        default:
          give_up(pending, sink);
          break;
      }
    }
    syncs_ -= 1;
    emit_held(time_ns, sink);
    if (syncs_ == 0 && clean_turns_ < kTrustedTurns && ++clean_turns_ == kTrustedTurns) {
      pipelining_seen_ = false;
      suspect_ = false;
    }
  }
  responses_missed_ = false;
  responses_lost_ = false;
  turns_unclear_ = false;
  if (status == 'I' && pending_.empty()) {
    portals_.clear();  // with their transaction
  }
}

void Session::doubt() {
  suspect_ = true;
  clean_turns_ = 0;
}

void Session::miss_requests(bool lost) {
  if (!lost && (pending_.empty() ? data_may_follow_ : pending_.front().copies_in)) {
    return;  // data
  }
  if (pipelining_seen_ || !is_idle() || clean_turns_ < kTrustedTurns) {
    doubt();
  } else {
    flag_next_ = true;
  }
  extended_begun_ = false;
  portals_.clear();
  undefine("");
  // A name may be another statement's now.
  for (auto& [name, statement] : statements_) {
    auto doubtful = std::make_shared<Statement>(*statement);
    doubtful->doubtful = true;
    statement = std::move(doubtful);
  }
}

void Session::miss_responses(bool lost) {
  responses_missed_ = true;
  responses_lost_ = responses_lost_ || lost;
  turns_unclear_ = turns_unclear_ || syncs_ > 1;
  for (Pending& pending : pending_) {
    pending.rows_exact = false;
    if (lost && pending.exchange) {
      pending.exchange->incomplete |= model::kGap;
    }
  }
  if (lost && held_) {
    held_->exchange->incomplete |= model::kGap;
  }
}

void Session::flag_response(uint32_t incomplete) {
  if (held_) {
    held_->exchange->incomplete |= incomplete;
  }
  for (Pending& pending : pending_) {
    if (pending.exchange) {
      pending.exchange->incomplete |= incomplete;
      break;
    }
  }
}

void Session::close(model::Outcome interrupted, model::Outcome unanswered, uint32_t flags,
                    uint64_t time_ns, ExchangeSink& sink) {
  emit_held(0, sink);
  for (Pending& pending : pending_) {
    if (!pending.exchange) {
      continue;
    }
    model::Exchange& exchange = *pending.exchange;
    const model::DbExchange& db = db_of(exchange);
    exchange.incomplete |= flags;
    if (db.failed) {
      exchange.response_end_ns = std::max(exchange.response_end_ns, last_response_ns_);
    } else {
      exchange.outcome = pending.begun ? interrupted : unanswered;
      exchange.response_end_ns = time_ns;
      ++counters_->requests_without_response;
    }
    emit(pending, sink);
  }
  pending_.clear();
  syncs_ = 0;
}

size_t Session::memory_bytes() const {
  size_t bytes = statement_bytes_ + statements_.size() * 128 + portals_.size() * 96;
  for (const Pending& pending : pending_) {
    bytes += sizeof(Pending);
    if (pending.exchange) {
      bytes += sizeof(model::Exchange) +
               std::get<model::DbExchange>(pending.exchange->payload).statement.capacity();
    }
  }
  return bytes;
}

}  // namespace zerospan::protocols::postgresql
