// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/redis/connection.h"

#include <algorithm>
#include <utility>

#include "agent/commands/arguments.h"
#include "agent/protocols/redis/resp.h"

namespace zerospan::protocols::redis {
namespace {

constexpr size_t kMostNameBytes = 64;
// What is kept of an element that may be a word to look for, or an error.
constexpr size_t kWordBytes = 64;

std::string_view argument(std::string_view packed, size_t index) {
  commands::Argument found;
  for (size_t i = 0; commands::next_argument(packed, found); ++i) {
    if (i == index) {
      return found.cut ? std::string_view() : found.bytes;
    }
  }
  return {};
}

bool is_any_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_aggregate(char type) {
  return type == '*' || type == '~' || type == '>' || type == '%';
}

bool is_error(char type) {
  return type == '-' || type == '!';
}

}  // namespace

Connection::Connection(const model::Connection& connection, const Options& options,
                       ParserCounters* counters)
    : lines::Connection(connection, options.lines, counters), options_(options) {
  if (seen_from_start()) {
    database_ = "0";
  }
}

bool Connection::begins_request(std::string_view head) const {
  return begins_command(head);
}

bool Connection::begins_response(std::string_view head) const {
  return begins_value(head);
}

size_t Connection::held_bytes() const {
  size_t bytes = packed_.capacity() + reply_.first.capacity() + reply_.last.capacity();
  for (const Queued& queued : queued_) {
    bytes += sizeof(Queued) + sizeof(model::Exchange) +
             std::get<model::DbExchange>(queued.exchange->payload).statement.capacity();
  }
  return bytes;
}

// ---- commands

void Connection::begin_command() {
  begin_ = line_origin();
  argument_ = 0;
  incomplete_ = model::kIncompleteNone;
  syntax_ = nullptr;
  packed_.clear();
  if (database_before_) {
    // It was alone in its operation, or answers would have been left over.
    if (!has_pending()) {
      database_ = database_before_;
    }
    database_before_.reset();
  }
}

size_t Connection::wanted_of_argument(uint64_t length) const {
  size_t most = kMostNameBytes;
  if (argument_ != 0) {
    const bool name = commands::is_name(*syntax_, argument_);
    most = name ? options_.max_name_bytes : syntax_->secret ? 0 : options_.max_value_bytes;
  }
  const size_t room = options_.max_statement_bytes -
                      std::min(options_.max_statement_bytes, packed_.size() + sizeof(uint32_t));
  return std::min<uint64_t>(length, std::min(most, room));
}

void Connection::add_argument(std::string_view bytes, bool cut) {
  if (argument_ == 0) {
    syntax_ = commands::find_redis(bytes);
  }
  const bool name = commands::is_name(*syntax_, argument_);
  if (cut && name) {
    incomplete_ |= model::kHeadTruncated;
  }
  if (packed_.size() + bytes.size() <= options_.max_statement_bytes) {
    commands::append_argument(packed_, bytes, cut);
  } else if (name) {
    incomplete_ |= model::kHeadTruncated;
  }
  ++argument_;
}

std::optional<lines::Body> Connection::on_request_line(std::string_view line, bool cut) {
  if (arguments_left_ != 0) {
    const auto length =
        line.empty() || line[0] != '$' ? std::nullopt : read_number(line.substr(1), kMostBytes);
    if (!length) {
      return std::nullopt;
    }
    length_ = *length;
    return lines::Body{*length + 2, wanted_of_argument(*length)};
  }
  if (line.empty()) {
    return lines::Body{};
  }
  if (line[0] != '*') {
    const bool word = (line[0] >= 'a' && line[0] <= 'z') || (line[0] >= 'A' && line[0] <= 'Z');
    if (!word) {
      return std::nullopt;
    }
    begin_command();
    on_inline(line, cut);
    return lines::Body{};
  }
  const auto count =
      line == "*-1" ? std::optional<uint64_t>(0) : read_number(line.substr(1), kMostItems);
  if (!count) {
    return std::nullopt;
  }
  if (*count != 0) {
    begin_command();
    arguments_left_ = *count;
  }
  return lines::Body{};
}

void Connection::on_request_body(std::string_view body, bool cut) {
  add_argument(body, cut || body.size() < length_);
  if (--arguments_left_ == 0) {
    end_command();
  }
}

// Words of a line; quotes as the server takes them, but that an escape in them is left as it is.
void Connection::on_inline(std::string_view line, bool cut) {
  constexpr std::string_view kSpace = " \t\v\f\r";
  while (true) {
    line.remove_prefix(std::min(line.find_first_not_of(kSpace), line.size()));
    if (line.empty()) {
      break;
    }
    const char quote = line[0];
    std::string_view word;
    if (quote == '"' || quote == '\'') {
      size_t end = 1;
      while (end < line.size() && line[end] != quote) {
        end += line[end] == '\\' ? 2 : 1;
      }
      end = std::min(end, line.size());
      word = line.substr(1, end - 1);
      line.remove_prefix(std::min(end + 1, line.size()));
    } else {
      word = line.substr(0, line.find_first_of(kSpace));
      line.remove_prefix(word.size());
    }
    const std::string_view kept = word.substr(0, wanted_of_argument(word.size()));
    add_argument(kept, kept.size() < word.size() || (cut && line.empty()));
  }
  end_command();
}

void Connection::end_command() {
  arguments_left_ = 0;
  const std::string_view name = syntax_->name;
  model::DbExchange db;
  db.system = model::DbSystem::kRedis;
  db.statement = packed_;
  db.statement_known = true;
  db.statement_cut = (incomplete_ & model::kHeadTruncated) != 0;
  if (name == "CLIENT" && equals_ignoring_case(argument(packed_, 1), "REPLY")) {
    const std::string_view mode = argument(packed_, 2);
    if (equals_ignoring_case(mode, "OFF")) {
      silent_ = true;
    } else if (equals_ignoring_case(mode, "ON")) {
      silent_ = false;
      skipped_ = 0;
    } else if (equals_ignoring_case(mode, "SKIP") && !silent_) {
      skipped_ = 2;
    }
  }
  if (silent_ || skipped_ != 0) {
    skipped_ -= skipped_ != 0 ? 1 : 0;
    tell_unanswered(std::move(db), incomplete_, begin_);
    return;
  }
  Kind kind = Kind::kPlain;
  uint32_t answers = 1;
  if (is_any_of(name, {"SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE",
                       "SUNSUBSCRIBE"})) {
    kind = Kind::kSubscribe;
    answers = static_cast<uint32_t>(std::clamp<uint64_t>(argument_ - 1, 1, UINT32_MAX));
  } else if (is_any_of(name, {"MONITOR", "SYNC", "PSYNC", "REPLCONF"})) {
    kind = Kind::kTakesOver;
  } else {
    kind = name == "MULTI"     ? Kind::kMulti
           : name == "EXEC"    ? Kind::kExec
           : name == "DISCARD" ? Kind::kDiscard
           : name == "RESET"   ? Kind::kReset
           : name == "SELECT"  ? Kind::kSelect
                               : Kind::kPlain;
  }
  ask(std::move(db), static_cast<uint8_t>(kind), answers, incomplete_, begin_);
}

bool Connection::on_request_lost(bool lost) {
  const bool named = arguments_left_ != 0 && argument_ != 0;
  const bool on_purpose = named && syntax_->secret && !lost;
  if (named) {
    if (on_purpose) {
      commands::append_argument(packed_, {}, true);
    } else {
      incomplete_ |= lost ? model::kGap : model::kHeadTruncated;
    }
    end_command();
  }
  arguments_left_ = 0;
  database_before_ = on_purpose ? database_ : std::nullopt;
  database_.reset();
  skipped_ = 0;
  return on_purpose;
}

// ---- answers

std::optional<lines::Body> Connection::on_response_line(std::string_view line, bool cut) {
  static_cast<void>(cut);  // only of an error or a status, whose beginning tells enough
  if (line.empty()) {
    return std::nullopt;
  }
  const char type = line[0];
  const std::string_view rest = line.substr(1);
  switch (type) {
    case '+':
    case '-':
    case ':':
    case ',':
    case '(':
    case '_':
    case '#':
      on_item(type, rest, 0);
      return lines::Body{};
    case '$':
    case '!':
    case '=': {
      if (rest == "-1") {
        on_item('_', {}, 0);
        return lines::Body{};
      }
      const auto length = read_number(rest, kMostBytes);
      if (!length) {
        return std::nullopt;
      }
      bulk_ = type;
      const bool word = type == '!' || (reply_.open && reply_.index == 0 && reply_.inside == 0 &&
                                        reply_.attributes == 0);
      return lines::Body{*length + 2, word ? std::min<uint64_t>(*length, kWordBytes) : 0};
    }
    case '*':
    case '~':
    case '>':
    case '%':
    case '|': {
      if (rest == "-1") {
        on_item('_', {}, 0);
        return lines::Body{};
      }
      const auto count = read_number(rest, kMostItems);
      if (!count) {
        return std::nullopt;
      }
      on_item(type, {}, type == '%' || type == '|' ? 2 * *count : *count);
      return lines::Body{};
    }
    default:
      return std::nullopt;
  }
}

void Connection::on_response_body(std::string_view body, bool cut) {
  on_item(bulk_, cut ? std::string_view() : body, 0);
}

// One value, or the beginning of an aggregate of `items` values.
void Connection::on_item(char type, std::string_view text, uint64_t items) {
  if (type == '|') {
    reply_.attributes += items;
    return;
  }
  if (reply_.attributes != 0) {
    reply_.attributes += items - 1;
    return;
  }
  if (!reply_.open) {
    reply_.open = true;
    reply_.type = type;
    reply_.elements = items;
    reply_.inside = 0;
    reply_.index = 0;
    reply_.first.assign(text.substr(0, kWordBytes));
    reply_.last.clear();
  } else {
    if (reply_.inside == 0) {  // an element of the answer itself
      --reply_.elements;
      reply_.inside = 1;
      if (reply_.index == 0) {
        reply_.first.assign(text.substr(0, kWordBytes));
      }
      if (type == ':') {
        reply_.last.assign(text.substr(0, kWordBytes));
      }
      if (is_error(type)) {
        on_element_error(text);
      }
      ++reply_.index;
    }
    reply_.inside += items - 1;
  }
  if (reply_.elements == 0 && reply_.inside == 0) {
    end_reply();
  }
}

// Of a transaction's result.
void Connection::on_element_error(std::string_view text) {
  if (reply_.type != '*' || !has_pending() || front().kind != static_cast<uint8_t>(Kind::kExec) ||
      reply_.index >= queued_.size()) {
    return;
  }
  model::DbExchange& db = db_of(*queued_[reply_.index].exchange);
  db.failed = true;
  db.error_code = error_code(text);
}

void Connection::end_reply() {
  reply_.open = false;
  const bool aggregate = is_aggregate(reply_.type);
  const bool push = reply_.type == '>';
  const auto waits_for = [&](Kind kind) {
    return has_pending() && front().kind == static_cast<uint8_t>(kind);
  };
  if (aggregate && (push || subscribed_ || waits_for(Kind::kSubscribe))) {
    if (is_any_of(reply_.first, {"subscribe", "psubscribe", "ssubscribe", "unsubscribe",
                                 "punsubscribe", "sunsubscribe"})) {
      subscribed_ = reply_.last != "0";
      if (waits_for(Kind::kSubscribe) && --front().answers == 0) {
        std::unique_ptr<model::Exchange> exchange = answered();
        db_of(*exchange).database = database_.value_or("");
        tell(std::move(*exchange));
      }
      return;
    }
    if (push || is_any_of(reply_.first, {"message", "pmessage", "smessage"})) {
      return;
    }
  }
  if (!has_pending()) {
    on_surplus_answer();
    database_before_.reset();
    return;
  }
  const auto kind = static_cast<Kind>(front().kind);
  std::unique_ptr<model::Exchange> exchange = answered();
  model::DbExchange& db = db_of(*exchange);
  if (is_error(reply_.type)) {
    db.failed = true;
    db.error_code = error_code(reply_.first);
  }
  if (in_transaction_ && reply_.type == '+' && reply_.first == "QUEUED") {
    if (queued_.size() < options_.max_queued) {
      queued_.push_back({std::move(exchange), kind == Kind::kSelect});
      return;
    }
    ++counters().limits_hit;
  }
  db.database = database_.value_or("");
  switch (kind) {
    case Kind::kMulti:
      in_transaction_ = in_transaction_ || !db.failed;
      break;
    case Kind::kExec:
      if (aggregate && reply_.index > 1) {
        db.batch_size = static_cast<uint32_t>(reply_.index);
      }
      if (db.failed) {
        for (Queued& queued : queued_) {
          model::DbExchange& skipped = db_of(*queued.exchange);
          skipped.failed = true;
          skipped.error_code = db.error_code;
        }
      }
      end_transaction(aggregate);
      break;
    case Kind::kDiscard:
      end_transaction(false);
      break;
    case Kind::kReset:
      end_transaction(false);
      database_ = "0";
      subscribed_ = false;
      break;
    case Kind::kSelect:
      if (!db.failed) {
        select(*exchange);
      }
      break;
    case Kind::kTakesOver:
      if (!db.failed) {
        tell(std::move(*exchange));
        end();
        return;
      }
      break;
    case Kind::kPlain:
    case Kind::kSubscribe:
      break;
  }
  tell(std::move(*exchange));
}

void Connection::select(const model::Exchange& exchange) {
  const std::string_view index =
      argument(std::get<model::DbExchange>(exchange.payload).statement, 1);
  if (read_number(index, UINT32_MAX)) {
    database_ = index;
  } else {
    database_.reset();
  }
}

// `ran`: the commands that were queued have run.
void Connection::end_transaction(bool ran) {
  in_transaction_ = false;
  for (Queued& queued : queued_) {
    model::DbExchange& db = db_of(*queued.exchange);
    db.database = database_.value_or("");
    if (ran && queued.selects && !db.failed) {
      select(*queued.exchange);
    }
    tell(std::move(*queued.exchange));
  }
  queued_.clear();
}

void Connection::on_response_lost() {
  reply_ = {};
  subscribed_ = false;
  // Which database a command chose counts once the server has agreed.
  const bool chooses = std::any_of(pending().begin(), pending().end(), [](const auto& waiting) {
    const auto kind = static_cast<Kind>(waiting.kind);
    return kind == Kind::kSelect || kind == Kind::kExec || kind == Kind::kReset;
  });
  if (chooses) {
    database_.reset();
  }
  database_before_.reset();
  // Whether they failed is not known.
  for (Queued& queued : queued_) {
    queued.exchange->incomplete |= model::kBodyEndUnknown;
  }
  end_transaction(false);
}

void Connection::on_end() {
  for (Queued& queued : queued_) {
    queued.exchange->incomplete |= model::kBodyEndUnknown;
  }
  end_transaction(false);
}

}  // namespace zerospan::protocols::redis
