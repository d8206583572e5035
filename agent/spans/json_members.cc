// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/json_members.h"

#include <algorithm>
#include <array>

#include "agent/spans/text.h"

namespace zerospan::spans {
namespace {

constexpr size_t kDeepest = 64;  // brackets within brackets

void append_utf8(std::string& out, uint32_t code) {
  const auto continuation = [](uint32_t bits) { return static_cast<char>(0x80 | (bits & 0x3f)); };
  if (code < 0x80) {
    out.push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    out.push_back(static_cast<char>(0xc0 | (code >> 6U)));
    out.push_back(continuation(code));
  } else if (code < 0x10000) {
    out.push_back(static_cast<char>(0xe0 | (code >> 12U)));
    out.push_back(continuation(code >> 6U));
    out.push_back(continuation(code));
  } else {
    out.push_back(static_cast<char>(0xf0 | (code >> 18U)));
    out.push_back(continuation(code >> 12U));
    out.push_back(continuation(code >> 6U));
    out.push_back(continuation(code));
  }
}

// The four digits of a \u escape; nullopt: they are none.
std::optional<uint32_t> hex4(std::string_view digits) {
  uint32_t code = 0;
  for (const char c : digits.substr(0, 4)) {
    if (!is_hex_digit(c)) {
      return std::nullopt;
    }
    code = code * 16 + static_cast<uint32_t>(is_digit(c) ? c - '0' : to_lower(c) - 'a' + 10);
  }
  return code;
}

char unescaped(char c) {
  switch (c) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case '"':
    case '\\':
    case '/':
      return c;
    default:
      return '\0';
  }
}

// RFC 8259 section 6.
bool is_number(std::string_view text) {
  const auto digits = [&] {
    const size_t count = std::min(
        static_cast<size_t>(std::find_if_not(text.begin(), text.end(), is_digit) - text.begin()),
        text.size());
    text.remove_prefix(count);
    return count;
  };
  if (text.starts_with('-')) {
    text.remove_prefix(1);
  }
  const bool zero = text.starts_with('0');
  const size_t integer = digits();
  if (integer == 0 || (zero && integer > 1)) {
    return false;
  }
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    if (digits() == 0) {
      return false;
    }
  }
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    if (text.starts_with('+') || text.starts_with('-')) {
      text.remove_prefix(1);
    }
    if (digits() == 0) {
      return false;
    }
  }
  return text.empty();
}

}  // namespace

void JsonMembers::skip_space() {
  rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size()));
}

bool JsonMembers::stop(bool valid) {
  done_ = true;
  valid_ = valid;
  return false;
}

// rest_ begins behind the opening quote.
JsonMembers::End JsonMembers::string(std::string_view& text) {
  size_t at = 0;
  while (at < rest_.size() && rest_[at] != '"') {
    if (static_cast<uint8_t>(rest_[at]) < 0x20) {
      return End::kInvalid;
    }
    at += rest_[at] == '\\' ? 2 : 1;
  }
  const bool there = at < rest_.size();
  text = rest_.substr(0, at);
  rest_.remove_prefix(there ? at + 1 : rest_.size());
  return there ? End::kThere : End::kCut;
}

// A number or literal: only what comes behind it shows where it ends.
JsonMembers::End JsonMembers::scalar(JsonMember& member) {
  const size_t end = rest_.find_first_of(",}] \t\r\n");
  if (end == 0) {
    return End::kInvalid;
  }
  const bool there = end != std::string_view::npos;
  member.raw = rest_.substr(0, end);
  rest_.remove_prefix(there ? end : rest_.size());
  const bool number = member.raw.starts_with('-') || is_digit(member.raw.front());
  member.kind = number ? JsonMember::Kind::kNumber : JsonMember::Kind::kLiteral;
  if (!there) {
    return End::kCut;
  }
  const bool known = number ? is_number(member.raw)
                            : member.raw == "true" || member.raw == "false" || member.raw == "null";
  return known ? End::kThere : End::kInvalid;
}

// rest_ begins with the opening bracket.
JsonMembers::End JsonMembers::nested(std::string_view& text) {
  const std::string_view from = rest_;
  std::array<char, kDeepest> closers{};
  size_t depth = 0;
  do {
    if (rest_.empty()) {
      text = from;
      return End::kCut;
    }
    const char c = rest_.front();
    rest_.remove_prefix(1);
    if (c == '"') {
      std::string_view unused;
      if (const End end = string(unused); end == End::kInvalid) {
        return end;
      }
    } else if (c == '{' || c == '[') {
      if (depth == kDeepest) {
        return End::kInvalid;
      }
      closers.at(depth++) = c == '{' ? '}' : ']';
    } else if ((c == '}' || c == ']') && closers.at(--depth) != c) {
      return End::kInvalid;
    }
  } while (depth != 0);
  text = from.substr(0, from.size() - rest_.size());
  return End::kThere;
}

bool JsonMembers::next(JsonMember& member) {
  if (done_) {
    return false;
  }
  skip_space();
  if (rest_.empty()) {
    return stop(begun_);
  }
  const char separator = begun_ ? ',' : '{';
  if (begun_ && rest_.front() == '}') {
    whole_ = true;
    return stop(true);
  }
  if (rest_.front() != separator) {
    return stop(false);
  }
  rest_.remove_prefix(1);
  skip_space();
  if (rest_.empty()) {
    return stop(true);
  }
  if (!begun_ && rest_.front() == '}') {
    whole_ = true;
    return stop(true);
  }
  begun_ = true;
  if (rest_.front() != '"') {
    return stop(false);
  }
  rest_.remove_prefix(1);
  if (const End end = string(member.key); end != End::kThere) {
    return stop(end == End::kCut);
  }
  skip_space();
  if (!rest_.empty() && rest_.front() != ':') {
    return stop(false);
  }
  rest_.remove_prefix(std::min<size_t>(1, rest_.size()));
  skip_space();
  if (rest_.empty()) {
    return stop(true);
  }
  End end = End::kThere;
  if (rest_.front() == '"') {
    rest_.remove_prefix(1);
    member.kind = JsonMember::Kind::kString;
    end = string(member.raw);
  } else if (rest_.front() == '{' || rest_.front() == '[') {
    member.kind = rest_.front() == '{' ? JsonMember::Kind::kObject : JsonMember::Kind::kArray;
    end = nested(member.raw);
  } else {
    end = scalar(member);
  }
  if (end == End::kInvalid) {
    return stop(false);
  }
  member.whole = end == End::kThere;
  done_ = !member.whole;
  return true;
}

std::optional<std::string> json_text(std::string_view raw) {
  std::string text;
  text.reserve(raw.size());
  while (!raw.empty()) {
    const size_t plain = std::min(raw.find('\\'), raw.size());
    text.append(raw.substr(0, plain));
    raw.remove_prefix(plain);
    if (raw.size() < 2) {
      break;
    }
    const char escape = raw[1];
    raw.remove_prefix(2);
    if (escape != 'u') {
      const char c = unescaped(escape);
      if (c == '\0') {
        return std::nullopt;
      }
      text.push_back(c);
      continue;
    }
    auto code = hex4(raw);
    if (!code) {
      return std::nullopt;
    }
    if (raw.size() < 4) {
      break;
    }
    raw.remove_prefix(4);
    if (*code >= 0xd800 && *code < 0xdc00) {
      // The first half of a pair.
      if (raw.size() < 6 && std::string_view("\\u").starts_with(raw.substr(0, 2))) {
        break;
      }
      const auto low = raw.starts_with("\\u") ? hex4(raw.substr(2)) : std::nullopt;
      if (low && *low >= 0xdc00 && *low < 0xe000) {
        code = 0x10000 + ((*code - 0xd800) << 10U) + (*low - 0xdc00);
        raw.remove_prefix(6);
      }
    }
    append_utf8(text, *code >= 0xd800 && *code < 0xe000 ? 0xfffd : *code);
  }
  return text;
}

}  // namespace zerospan::spans
