// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Commands and their answers.

#include <algorithm>
#include <utility>

#include "agent/protocols/mysql/connection.h"
#include "agent/protocols/mysql/packets.h"
#include "agent/sql/statement.h"

namespace zerospan::protocols::mysql {
namespace {

model::DbExchange& db_of(model::Exchange& exchange) {
  return std::get<model::DbExchange>(exchange.payload);
}

// The database of "USE name"; empty: it is another statement.
std::string used_database(std::string_view text) {
  constexpr std::string_view kUse = "use ";
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos || text.size() - begin <= kUse.size()) {
    return {};
  }
  text.remove_prefix(begin);
  for (size_t i = 0; i < kUse.size(); ++i) {
    if ((text[i] | 0x20) != (kUse[i] | 0x20)) {
      return {};
    }
  }
  text.remove_prefix(kUse.size());
  const std::string_view name = text.substr(0, text.find_first_of("; \t\r\n"));
  const bool quoted = name.size() > 2 && name.front() == '`' && name.back() == '`';
  return std::string(quoted ? name.substr(1, name.size() - 2) : name);
}

}  // namespace

void Connection::on_login(std::string_view body) {
  const auto login = parse_login(body);
  if (!login || (login->capabilities & kSsl) != 0) {
    opaque_ = true;  // encrypted from here on
    return;
  }
  capabilities_ = login->capabilities;
  deprecate_eof_ = (capabilities_ & kDeprecateEof) != 0;
  database_ = login->database;
  phase_ = Phase::kAuthenticate;
}

std::unique_ptr<model::Exchange> Connection::make_exchange(const StatementPtr& statement,
                                                           const Operation& begin) {
  auto exchange = std::make_unique<model::Exchange>();
  exchange->role = role_;
  exchange->request_start_ns = begin.departed_ns;
  exchange->request_end_ns = op_.time_ns;
  exchange->request_id = begin.request_id;
  exchange->evidence = begin.evidence;
  exchange->thread_id = begin.thread_id;
  model::DbExchange& db = exchange->payload.emplace<model::DbExchange>();
  db.system = system_;
  db.database = database_;
  db.backslash_escapes = backslash_escapes_;
  if (statement) {
    db.statement = statement->text;
    db.statement_known = true;
    db.statement_cut = statement->cut;
    if (statement->cut) {
      exchange->incomplete |= model::kHeadTruncated;
      ++counters_->heads_truncated;
    }
    if (statement->doubtful) {
      exchange->incomplete |= model::kGap;
    }
  } else {
    exchange->incomplete |= model::kStatementUnknown;
  }
  return exchange;
}

void Connection::announce(model::Exchange& exchange, ExchangeSink& sink) {
  if (exchange.request_id != 0 && exchange.request_id == last_request_id_) {
    ++batch_index_;
  } else {
    batch_index_ = 0;
    last_request_id_ = exchange.request_id;
  }
  exchange.batch_index = batch_index_;
  exchange.sequence = next_sequence_++;
  if (doubt_next_) {
    exchange.incomplete |= model::kGap;
    doubt_next_ = false;
  }
  if (doubtful_answers_ != 0) {
    --doubtful_answers_;
    exchange.incomplete |= model::kGap;
  }
  sink.on_request(request_start(exchange));
}

void Connection::remember(uint32_t id, StatementPtr statement) {
  if (const auto found = statements_.find(id); found != statements_.end()) {
    statement_bytes_ -= found->second->text.size();
    statements_.erase(found);
  }
  if (!statement) {
    return;
  }
  while (!statements_.empty() &&
         (statements_.size() >= options_.max_statements ||
          statement_bytes_ + statement->text.size() > options_.max_statement_bytes)) {
    ++counters_->limits_hit;
    statement_bytes_ -= statements_.begin()->second->text.size();
    statements_.erase(statements_.begin());
  }
  statement_bytes_ += statement->text.size();
  statements_.emplace(id, std::move(statement));
}

void Connection::on_command(const Side& s, std::string_view body, ExchangeSink& sink) {
  const auto command = static_cast<uint8_t>(body[0]);
  body.remove_prefix(1);
  ++counters_->messages;
  switch (command) {
    case kQuit:
    case kSendLongData:
      return;  // not answered
    case kCloseStatement:
      remember(static_cast<uint32_t>(read_int(body, 4)), nullptr);
      return;
    default:
      break;
  }
  // Most clients wait for an answer before their next command, so this one ends an answer that has
  // begun. MariaDB's do not always: they prepare and run at once, and run in batches.
  while (!pending_.empty() && ((pending_.size() == 1 && pending_.front().begun) ||
                               pending_.size() >= options_.max_pending)) {
    give_up(model::kBodyEndUnknown, sink);
  }
  Pending pending;
  pending.command = command;
  pending.begin = s.begin;
  switch (command) {
    case kQuery:
    case kPrepare: {
      auto statement = std::make_shared<Statement>();
      // Attributes come before the text: how many, and one set. With any, the text is not looked
      // for.
      constexpr std::string_view kNoAttributes{"\0\1", 2};
      if (command == kQuery && body.starts_with(kNoAttributes)) {
        body.remove_prefix(kNoAttributes.size());
      }
      const bool attributes = command == kQuery && (capabilities_ & kQueryAttributes) != 0 &&
                              !body.empty() && static_cast<uint8_t>(body[0]) < ' ' &&
                              body.substr(1, 1) == "\1";
      statement->text = body;
      statement->cut = s.body_cut || s.continued;
      pending.use = used_database(body);
      if (command == kQuery) {
        pending.exchange = make_exchange(attributes ? nullptr : statement, s.begin);
        model::DbExchange& db = db_of(*pending.exchange);
        const auto context = sql::find_context(
            db.statement, backslash_escapes_ ? sql::kMysql : sql::kMysqlNoBackslash);
        db.traceparent = context.traceparent;
        db.tracestate = context.tracestate;
      } else {
        last_prepared_ = statement;
        last_prepare_failed_ = false;
        pending.statement = std::move(statement);
      }
      break;
    }
    case kExecute:
    case kBulkExecute: {
      const auto id = static_cast<uint32_t>(read_int(body, 4));
      const auto known = statements_.find(id);
      StatementPtr statement = known == statements_.end() ? nullptr : known->second;
      if (id == UINT32_MAX) {  // MariaDB: the one that was prepared last
        if (last_prepare_failed_) {
          break;  // refused as well, but the client is told what was wrong before
        }
        statement = last_prepared_;
        pending.of_last = !pending_.empty() && pending_.back().command == kPrepare;
      }
      pending.exchange = make_exchange(statement, s.begin);
      if (!statement) {
        db_of(*pending.exchange).statement_id = std::to_string(id);
      }
      break;
    }
    case kInitDb:
      pending.use = body;
      break;
    case kBinlogDump:
    case kBinlogDumpGtid:
      opaque_ = true;  // replication
      return;
    case kChangeUser:
      phase_ = Phase::kAuthenticate;
      database_.clear();
      statements_.clear();
      statement_bytes_ = 0;
      last_prepared_ = nullptr;
      last_prepare_failed_ = false;
      return;
    case kResetConnection:
      statements_.clear();
      statement_bytes_ = 0;
      last_prepared_ = nullptr;
      last_prepare_failed_ = false;
      break;
    case kFetch:
      pending.reply = Reply::kRows;
      break;
    default:
      break;
  }
  if (pending.exchange) {
    announce(*pending.exchange, sink);
  }
  pending_.push_back(std::move(pending));
}

// The front's answer is whole.
void Connection::done(ExchangeSink& sink) {
  Pending& pending = pending_.front();
  if (pending.exchange) {
    model::Exchange& exchange = *pending.exchange;
    exchange.response_end_ns = op_.time_ns;
    model::DbExchange& db = db_of(exchange);
    if (pending.has_rows && pending.rows_exact && !db.failed) {
      db.returned_rows = pending.rows;
    }
    ++counters_->exchanges;
    sink.on_exchange(std::move(exchange));
  }
  pending_.pop_front();
}

// The front's answer was missed, or its end.
void Connection::give_up(uint32_t incomplete, ExchangeSink& sink) {
  Pending& pending = pending_.front();
  if (pending.exchange) {
    ++counters_->requests_without_response;
    pending.exchange->incomplete |= pending.begun ? incomplete : uint32_t{model::kGap};
    pending.rows_exact = false;
  }
  done(sink);
}

void Connection::on_error(Pending& pending, std::string_view body, ExchangeSink& sink) {
  if (pending.command == kPrepare && pending_.size() > 1 && pending_[1].of_last) {
    // It was run at once, in vain: one statement, with the error that the client is told.
    model::DbExchange& db = db_of(*pending_[1].exchange);
    db.failed = true;
    db.error_code = std::to_string(error_number(body));
    done(sink);
    return;
  }
  if (!pending.exchange && pending.command == kPrepare) {
    // It will not be run, but the client was told so.
    last_prepare_failed_ = pending.statement == last_prepared_;
    pending.exchange = make_exchange(pending.statement, pending.begin);
    pending.exchange->incomplete |= pending.lost ? model::kGap : model::kIncompleteNone;
    announce(*pending.exchange, sink);
    pending.exchange->response_start_ns = op_.time_ns;
  }
  if (pending.exchange) {
    model::DbExchange& db = db_of(*pending.exchange);
    db.failed = true;
    const uint16_t number = error_number(body);
    if (number != 0 && db.error_code.empty()) {
      db.error_code = std::to_string(number);
    }
  }
  done(sink);
}

void Connection::on_end_of_result(Pending& pending, std::optional<uint16_t> status,
                                  ExchangeSink& sink) {
  if (status) {
    backslash_escapes_ = (*status & kNoBackslashEscapes) == 0;
    if ((*status & kMoreResults) != 0) {
      pending.reply = Reply::kFirst;
      return;
    }
    if (!pending.use.empty()) {
      database_ = pending.use;
    }
  }
  done(sink);
}

void Connection::on_first(Pending& pending, const Side& s, std::string_view body,
                          ExchangeSink& sink) {
  const auto first = static_cast<uint8_t>(body[0]);
  if (first == 0xff) {
    on_error(pending, body, sink);
    return;
  }
  if (pending.command == kPrepare) {
    if (first != 0 || body.size() < 9) {
      give_up(model::kBodyEndUnknown, sink);
      return;
    }
    remember(static_cast<uint32_t>(read_int(body.substr(1), 4)), pending.statement);
    const uint64_t columns = read_int(body.substr(5), 2);
    const uint64_t parameters = read_int(body.substr(7), 2);
    const uint64_t ends =
        deprecate_eof_.value_or(false) ? 0 : (columns != 0 ? 1U : 0U) + (parameters != 0 ? 1U : 0U);
    pending.left = columns + parameters + ends;
    pending.reply = Reply::kDefinitions;
    if (pending.left == 0) {
      done(sink);
    }
    return;
  }
  if (pending.command == kStatistics) {
    done(sink);
    return;
  }
  if (first == 0xfe && s.length < 9) {
    on_end_of_result(pending, eof_status(body), sink);
    return;
  }
  if (first == 0xfb) {
    return;  // LOCAL INFILE: the answer comes behind the file
  }
  if (first == 0 || pending.exchange == nullptr) {
    on_end_of_result(pending, ok_status(body), sink);
    return;
  }
  const auto columns = take_length_encoded(body);
  // MariaDB: a byte tells whether the definitions follow.
  const bool cached = !body.empty() && body[0] == '\0';
  pending.left = cached ? 0 : columns.value_or(0);
  pending.has_rows = true;
  pending.reply = pending.left != 0                ? Reply::kColumns
                  : deprecate_eof_.value_or(false) ? Reply::kRows
                                                   : Reply::kEndOfColumns;
}

void Connection::on_reply(const Side& s, std::string_view body, ExchangeSink& sink) {
  ++counters_->messages;
  if (pending_.empty()) {
    ++counters_->responses_without_request;
    return;
  }
  Pending& pending = pending_.front();
  pending.begun = true;
  if (pending.exchange && pending.exchange->response_start_ns == 0) {
    pending.exchange->response_start_ns = op_.time_ns;
  }
  if (body.empty()) {
    return;
  }
  const auto first = static_cast<uint8_t>(body[0]);
  const bool eof = first == 0xfe && s.length < 9;
  switch (pending.reply) {
    case Reply::kFirst:
      on_first(pending, s, body, sink);
      return;
    case Reply::kColumns:
      if (--pending.left == 0) {
        pending.reply = deprecate_eof_.value_or(false) ? Reply::kRows : Reply::kEndOfColumns;
      }
      return;
    case Reply::kEndOfColumns:
      if (eof) {
        const auto status = eof_status(body);
        deprecate_eof_ = false;
        pending.reply = Reply::kRows;
        if (pending.command == kExecute && status && (*status & kCursorExists) != 0) {
          pending.has_rows = false;  // they are fetched later
          done(sink);
        }
        return;
      }
      deprecate_eof_ = true;
      pending.reply = Reply::kRows;
      break;
    case Reply::kDefinitions:
      if (--pending.left == 0) {
        done(sink);
      }
      return;
    case Reply::kRows:
    case Reply::kMissed:
      break;
  }
  if (first == 0xff) {
    on_error(pending, body, sink);
  } else if (first == 0xfe && (eof || s.length < kLargestPacket)) {
    const bool old_form = eof && s.length == 5;
    on_end_of_result(pending, old_form ? eof_status(body) : ok_status(body), sink);
  } else {
    ++pending.rows;
  }
}

void Connection::close_all(model::Outcome interrupted, model::Outcome unanswered, uint32_t flags,
                           uint64_t time_ns, ExchangeSink& sink) {
  for (Pending& pending : pending_) {
    if (pending.exchange) {
      model::Exchange& exchange = *pending.exchange;
      exchange.incomplete |= flags;
      exchange.outcome = pending.begun ? interrupted : unanswered;
      exchange.response_end_ns = time_ns;
      ++counters_->requests_without_response;
      ++counters_->exchanges;
      sink.on_exchange(std::move(exchange));
    }
  }
  pending_.clear();
}

}  // namespace zerospan::protocols::mysql
