// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/memcached/connection.h"

#include <algorithm>
#include <utility>

#include "agent/commands/arguments.h"
#include "agent/protocols/memcached/detect.h"

namespace zerospan::protocols::memcached {
namespace {

constexpr size_t kMostWordBytes = 256;

bool is_storage(std::string_view name) {
  return name == "set" || name == "add" || name == "replace" || name == "append" ||
         name == "prepend" || name == "cas";
}

bool is_meta(std::string_view name) {
  return name.size() == 2 && name[0] == 'm';
}

// The error's name, if the line is one.
std::string_view error_of(std::string_view line) {
  const std::string_view word = next_word(line);
  return word == "ERROR" || word == "CLIENT_ERROR" || word == "SERVER_ERROR" ? word
                                                                             : std::string_view();
}

bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}

}  // namespace

Connection::Connection(const model::Connection& connection, const Options& options,
                       ParserCounters* counters)
    : lines::Connection(connection, options.lines, counters) {}

bool Connection::begins_request(std::string_view head) const {
  return detect(head);
}

bool Connection::begins_response(std::string_view head) const {
  const std::string_view line = head.substr(0, head.find("\r\n"));
  if (line.size() == head.size() || line.empty()) {
    return false;
  }
  return (line.size() >= 2 && is_upper(line[0]) && is_upper(line[1])) ||
         read_number(line, UINT64_MAX);
}

std::optional<lines::Body> Connection::on_request_line(std::string_view line, bool cut) {
  if (line.empty() || line[0] < 'a' || line[0] > 'z') {
    return std::nullopt;
  }
  begin_ = line_origin();
  open_ = true;
  incomplete_ = cut ? model::kHeadTruncated : model::kIncompleteNone;
  unanswered_ = false;
  packed_.clear();
  std::string_view rest = line;
  const std::string_view name = next_word(rest);
  commands::append_argument(packed_, name.substr(0, kMostWordBytes), name.size() > kMostWordBytes);
  const bool meta = is_meta(name);
  std::optional<uint64_t> length;
  std::string_view last;
  const size_t length_at = is_storage(name) ? 4 : name == "ms" ? 2 : 0;
  for (size_t index = 1;; ++index) {
    const std::string_view word = next_word(rest);
    if (word.empty()) {
      break;
    }
    last = word;
    commands::append_argument(packed_, word.substr(0, kMostWordBytes),
                              word.size() > kMostWordBytes);
    if (index == length_at) {
      length = read_number(word, kMostBytes);
    }
    unanswered_ = unanswered_ || (meta && index > std::max<size_t>(length_at, 1) && word == "q");
  }
  unanswered_ = unanswered_ || (!meta && last == "noreply") || name == "quit";
  kind_ = name == "get" || name == "gets" || name == "gat" || name == "gats" || name == "stats"
              ? Kind::kList
          : name == "mn"    ? Kind::kNoOp
          : meta            ? Kind::kMeta
          : name == "watch" ? Kind::kTakesOver
                            : Kind::kLine;
  if (length) {
    return lines::Body{*length + 2, 0};
  }
  end_command();
  return lines::Body{};
}

void Connection::on_request_body(std::string_view /*body*/, bool /*cut*/) {
  end_command();
}

void Connection::end_command() {
  open_ = false;
  model::DbExchange db;
  db.system = model::DbSystem::kMemcached;
  db.statement = packed_;
  db.statement_known = true;
  db.statement_cut = (incomplete_ & model::kHeadTruncated) != 0;
  if (unanswered_) {
    after_quiet_ = after_quiet_ || kind_ == Kind::kMeta;
    tell_unanswered(std::move(db), incomplete_, begin_);
    return;
  }
  if (after_quiet_ && kind_ != Kind::kNoOp) {
    incomplete_ |= model::kBodyEndUnknown;
  }
  ask(std::move(db), static_cast<uint8_t>(kind_), 1, incomplete_, begin_);
}

bool Connection::on_request_lost(bool lost) {
  if (open_) {
    // Its value was being read.
    incomplete_ |= lost ? model::kGap : model::kHeadTruncated;
    end_command();
  }
  return false;
}

std::optional<lines::Body> Connection::on_response_line(std::string_view line, bool /*cut*/) {
  const bool number = !line.empty() && line[0] >= '0' && line[0] <= '9';
  if (!number && (line.size() < 2 || !is_upper(line[0]) || !is_upper(line[1]))) {
    return std::nullopt;
  }
  std::string_view rest = line;
  const std::string_view word = next_word(rest);
  if (word == "VALUE" || word == "VA") {
    const bool list = word == "VALUE";
    if (list) {
      static_cast<void>(next_word(rest));  // key
      static_cast<void>(next_word(rest));  // flags
    }
    const auto length = read_number(next_word(rest), kMostBytes);
    if (!length) {
      return std::nullopt;
    }
    ends_after_value_ = !list;
    return lines::Body{*length + 2, 0};
  }
  if (word == "STAT" || word == "ITEM") {
    return lines::Body{};
  }
  const std::string_view error = error_of(line);
  if (has_pending() && front().kind == static_cast<uint8_t>(Kind::kNoOp) && word != "MN" &&
      error.empty()) {
    return lines::Body{};
  }
  end_answer(error);
  return lines::Body{};
}

void Connection::on_response_body(std::string_view /*body*/, bool /*cut*/) {
  if (ends_after_value_ && !(has_pending() && front().kind == static_cast<uint8_t>(Kind::kNoOp))) {
    end_answer({});
  }
}

void Connection::end_answer(std::string_view error) {
  if (!has_pending()) {
    if (!after_quiet_) {
      on_surplus_answer();
    }
    return;
  }
  const auto kind = static_cast<Kind>(front().kind);
  auto exchange = answered();
  model::DbExchange& db = db_of(*exchange);
  if (!error.empty()) {
    db.failed = true;
    db.error_code = error;
  }
  tell(std::move(*exchange));
  if (kind == Kind::kNoOp) {
    after_quiet_ = false;
  } else if (kind == Kind::kTakesOver && error.empty()) {
    end();
  }
}

}  // namespace zerospan::protocols::memcached
