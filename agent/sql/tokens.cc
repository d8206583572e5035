// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/sql/tokens.h"

#include <algorithm>
#include <cstring>

namespace zerospan::sql {

// `at_` is behind the opening quote; ends behind the closing one. False: there is none, and
// whatever this is, all the rest belongs to it.
bool Tokens::skip_string(char quote, bool backslash) {
  if (!backslash) {
    while (at_ != end_) {
      const void* const found = std::memchr(at_, quote, static_cast<size_t>(end_ - at_));
      if (found == nullptr) {
        break;
      }
      at_ = static_cast<const char*>(found) + 1;
      if (at_ == end_ || *at_ != quote) {
        return true;
      }
      ++at_;
    }
    at_ = end_;
    return false;
  }
  while (at_ != end_) {
    const char c = *at_++;
    if (c == quote) {
      if (at_ == end_ || *at_ != quote) {
        return true;
      }
      ++at_;
    } else if (c == '\\' && at_ != end_) {
      ++at_;
    }
  }
  return false;
}

// A literal goes on in the next one if a line's end is between them and nothing but white space
// and comments to a line's end.
void Tokens::skip_joined_strings(bool backslash) {
  while (at_ != end_) {
    const char* p = at_;
    bool line_end = false;
    while (p != end_) {
      if ((class_of(*p) & kIsSpace) != 0) {
        line_end = line_end || *p == '\n' || *p == '\r';
        ++p;
      } else if (*p == '-' && end_ - p > 1 && p[1] == '-') {
        while (p != end_ && *p != '\n' && *p != '\r') {
          ++p;
        }
      } else {
        break;
      }
    }
    if (!line_end || p == end_ || *p != '\'') {
      return;
    }
    at_ = p + 1;
    skip_string('\'', backslash);
  }
}

void Tokens::skip_line() {
  while (at_ != end_ && *at_ != '\n' && (*at_ != '\r' || dialect_.clickhouse)) {
    ++at_;
  }
}

void Tokens::skip_block_comment() {
  size_t depth = 1;
  at_ += 2;
  while (end_ - at_ >= 2) {
    if (at_[0] == '*' && at_[1] == '/') {
      at_ += 2;
      if (--depth == 0) {
        return;
      }
    } else if (dialect_.clickhouse && at_[0] == '/' && at_[1] == '*') {
      break;  // by its version, this one is nested or is not: nobody knows where it ends
    } else if (dialect_.nested_comments && at_[0] == '/' && at_[1] == '*') {
      at_ += 2;
      ++depth;
    } else {
      ++at_;
    }
  }
  at_ = end_;
}

// Takes too much rather than too little: letters that follow a number are no name of SQL's. But of
// ClickHouse what is no ASCII, and a dollar, may begin a quote.
void Tokens::skip_number() {
  const bool based = *at_ == '0' && end_ - at_ > 1 && class_of(at_[1]) == kIsNameStart;
  while (at_ != end_) {
    if (dialect_.clickhouse && (static_cast<uint8_t>(*at_) >= 0x80 || *at_ == '$')) {
      break;
    }
    if ((class_of(*at_) & kInName) != 0 || *at_ == '.') {
      ++at_;
    } else if ((*at_ == '+' || *at_ == '-') && !based && (at_[-1] == 'e' || at_[-1] == 'E') &&
               end_ - at_ > 1 && class_of(at_[1]) == kIsDigit) {
      ++at_;
    } else if (dialect_.clickhouse && *at_ == '-' && end_ - at_ > 1 && at_[1] == '-' &&
               std::string_view("eEpP").find(at_[-1]) != std::string_view::npos) {
      at_ = end_;  // 1e--: the first one may be the exponent's sign, or both begin a comment
    } else {
      break;
    }
  }
}

// Of CQL: `at_` is behind a name or number, which may be the beginning of a UUID.
bool Tokens::skip_uuid(const char* begin) {
  constexpr std::string_view kShape = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  const std::string_view rest(begin, static_cast<size_t>(end_ - begin));
  // What is cut off may have been one, too.
  const size_t size = std::min(rest.size(), kShape.size());
  for (size_t i = 0; i < size; ++i) {
    const char c = rest[i];
    const char low = static_cast<char>(c | 0x20);
    const bool hex = class_of(c) == kIsDigit || (low >= 'a' && low <= 'f');
    if (kShape[i] == '-' ? c != '-' : !hex) {
      return false;
    }
  }
  if (size <= static_cast<size_t>(at_ - begin)) {
    return false;
  }
  at_ = begin + size;
  skip_name();  // no name's either
  return true;
}

// Of CQL: `at_` is behind what looks like a name. UUIDs may begin with a letter, and ISO 8601's
// durations always do: P1Y2M3DT4H5M6S, P3W, P0001-02-03T04:05:06.
bool Tokens::is_cql_literal(const char* begin) {
  const std::string_view word(begin, static_cast<size_t>(at_ - begin));
  if (word.size() == 8 && at_ != end_ && *at_ == '-') {
    return skip_uuid(begin);
  }
  if ((word[0] | 0x20) != 'p' || word.size() < 3 ||
      word.find_first_not_of("0123456789YMWDTHSymwdths", 1) != std::string_view::npos ||
      word.find_first_of("0123456789") == std::string_view::npos) {
    return false;
  }
  if (class_of(word.back()) != kIsDigit) {
    return true;
  }
  if (at_ == end_ || *at_ != '-') {
    return false;
  }
  while (at_ != end_ && ((class_of(*at_) & kInName) != 0 || *at_ == '-' || *at_ == ':')) {
    ++at_;
  }
  return true;
}

// Of ClickHouse: `at_` is behind what looks like a name. Names are ASCII there. Newer versions take
// ‘text’ for a string and “text” for a name, older ones do not: nobody knows where it ends.
Token Tokens::clickhouse_word(const char* begin) {
  const auto is_ascii = [](char c) { return static_cast<uint8_t>(c) < 0x80; };
  const auto token = [&](TokenKind kind) {
    after_name_ = kind == TokenKind::kWord;
    return Token{kind, false, {begin, static_cast<size_t>(at_ - begin)}};
  };
  if (!is_ascii(*begin)) {
    const std::string_view rest(begin, static_cast<size_t>(end_ - begin));
    if (rest.starts_with("\u2018") || rest.starts_with("\u201c")) {
      at_ = end_;
      return token(TokenKind::kLiteral);
    }
    at_ = begin + 1;
    while (at_ != end_ && (static_cast<uint8_t>(*at_) & 0xc0U) == 0x80) {
      ++at_;
    }
    return token(TokenKind::kOperator);
  }
  at_ = std::find_if_not(begin, at_, is_ascii);
  const auto is = [&](std::string_view known) {
    return std::equal(begin, at_, known.begin(), known.end(),
                      [](char c, char lower) { return (c | 0x20) == lower; });
  };
  return token(is("inf") || is("nan") || is("infinity") ? TokenKind::kLiteral : TokenKind::kWord);
}

// Of ClickHouse. In some versions anything may stand between the two dollars, in others a name
// only: else nobody knows where it ends. What is not closed may be closed behind the part at hand.
void Tokens::skip_heredoc() {
  const std::string_view rest(at_, static_cast<size_t>(end_ - at_));
  const size_t tag = rest.find('$', 1) + 1;
  const bool name = tag != 0 && std::all_of(at_ + 1, at_ + tag - 1, [](char c) {
                      return static_cast<uint8_t>(c) < 0x80 && (class_of(c) & kInName) != 0;
                    });
  const size_t close = name ? rest.find(rest.substr(0, tag), tag) : std::string_view::npos;
  at_ = close == std::string_view::npos ? end_ : at_ + close + tag;
}

// `at_` is at a dollar. False, and nothing skipped: it does not open a literal.
bool Tokens::skip_dollar_quoted() {
  const char* tag_end = at_ + 1;
  while (tag_end != end_ && (class_of(*tag_end) & (kIsNameStart | kIsDigit)) != 0) {
    ++tag_end;
  }
  if (tag_end == end_) {
    at_ = end_;  // it may be the beginning of one
    return true;
  }
  if (*tag_end != '$') {
    return false;
  }
  const std::string_view tag(at_, static_cast<size_t>(tag_end + 1 - at_));
  const std::string_view rest(tag_end + 1, static_cast<size_t>(end_ - tag_end - 1));
  const size_t close = rest.find(tag);
  at_ = close == std::string_view::npos ? end_ : rest.data() + close + tag.size();
  return true;
}

Token Tokens::prefixed_string(const char* begin) {
  const bool backslash =
      dialect_.backslash_escapes || (dialect_.escape_strings && (*begin == 'e' || *begin == 'E'));
  ++at_;
  skip_string('\'', backslash);
  if (dialect_.joined_strings) {
    skip_joined_strings(backslash);
  }
  after_name_ = false;
  return {TokenKind::kLiteral, false, {begin, static_cast<size_t>(at_ - begin)}};
}

Token Tokens::next_other() {
  const char* const begin = at_;
  const char c = *at_;
  after_name_ = false;
  const auto token = [&](TokenKind kind) {
    return Token{kind, false, {begin, static_cast<size_t>(at_ - begin)}};
  };
  const auto followed_by = [&](char next) { return end_ - at_ > 1 && at_[1] == next; };
  if (class_of(c) == kIsDigit) {
    skip_number();
    if (dialect_.cql) {
      skip_uuid(begin);
    }
    return token(TokenKind::kLiteral);
  }
  if (c == '"' && !dialect_.double_quoted_strings) {
    ++at_;
    after_name_ = skip_string(c, dialect_.clickhouse);
    return token(after_name_ ? TokenKind::kQuotedName : TokenKind::kLiteral);
  }
  switch (c) {
    case '\'':
      ++at_;
      skip_string(c, dialect_.backslash_escapes);
      if (dialect_.joined_strings) {
        skip_joined_strings(dialect_.backslash_escapes);
      }
      return token(TokenKind::kLiteral);
    case '"':  // of a literal
      ++at_;
      skip_string(c, dialect_.backslash_escapes);
      return token(TokenKind::kLiteral);
    case '`':
      if (dialect_.backtick_names) {
        ++at_;
        after_name_ = skip_string(c, dialect_.clickhouse);
        return token(after_name_ ? TokenKind::kQuotedName : TokenKind::kLiteral);
      }
      break;
    case '$':
      if (dialect_.clickhouse) {
        skip_heredoc();
        return token(TokenKind::kLiteral);
      }
      if (end_ - at_ > 1 && class_of(at_[1]) == kIsDigit) {
        do {
          ++at_;
        } while (at_ != end_ && class_of(*at_) == kIsDigit);
        return token(TokenKind::kParameter);
      }
      if (dialect_.dollar_quotes && skip_dollar_quoted()) {
        return token(TokenKind::kLiteral);
      }
      break;
    case '-':
      if (followed_by('-') && (!dialect_.dash_comments_need_space || end_ - at_ == 2 ||
                               static_cast<uint8_t>(at_[2]) <= ' ')) {
        skip_line();
        return token(TokenKind::kComment);
      }
      break;
    case '#':
      if (dialect_.hash_comments) {
        skip_line();
        return token(TokenKind::kComment);
      }
      break;
    case '/':
      if ((dialect_.cql || dialect_.clickhouse) && followed_by('/')) {
        skip_line();
        return token(TokenKind::kComment);
      }
      if (followed_by('*')) {
        const bool mariadb = end_ - at_ > 3 && at_[2] == 'M' && at_[3] == '!';
        if (dialect_.executable_comments && (mariadb || (end_ - at_ > 2 && at_[2] == '!'))) {
          in_executable_comment_ = true;
          at_ += mariadb ? 4 : 3;
          while (at_ != end_ && class_of(*at_) == kIsDigit) {  // the least version that runs it
            ++at_;
          }
          return token(TokenKind::kSpace);
        }
        skip_block_comment();
        return token(TokenKind::kComment);
      }
      break;
    case '*':
      if (in_executable_comment_ && followed_by('/')) {
        in_executable_comment_ = false;
        at_ += 2;
        return token(TokenKind::kSpace);
      }
      break;
    case '.':  // no name's: next() has those
      skip_number();
      return token(TokenKind::kLiteral);
    default:
      break;
  }
  ++at_;
  return token(TokenKind::kOperator);
}

}  // namespace zerospan::sql
