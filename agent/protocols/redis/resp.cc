// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/redis/resp.h"

#include <algorithm>

#include "agent/commands/description.h"

namespace zerospan::protocols::redis {
namespace {

// Takes a line of `type` and a number.
std::optional<uint64_t> take_number(std::string_view& bytes, char type, uint64_t most) {
  if (bytes.empty() || bytes[0] != type) {
    return std::nullopt;
  }
  const size_t end = bytes.find("\r\n");
  if (end == std::string_view::npos) {
    return std::nullopt;
  }
  const auto number = read_number(bytes.substr(1, end - 1), most);
  bytes.remove_prefix(end + 2);
  return number;
}

}  // namespace

std::optional<uint64_t> read_number(std::string_view text, uint64_t most) {
  constexpr size_t kMostDigits = 12;
  if (text.empty() || text.size() > kMostDigits) {
    return std::nullopt;
  }
  uint64_t number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') {
      return std::nullopt;
    }
    number = number * 10 + static_cast<uint64_t>(c - '0');
  }
  return number <= most ? std::optional(number) : std::nullopt;
}

std::string_view error_code(std::string_view text) {
  constexpr size_t kMost = 32;
  const std::string_view word = text.substr(0, text.find(' '));
  const bool code =
      !word.empty() && word.size() <= kMost && std::all_of(word.begin(), word.end(), [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
      });
  return code ? word : std::string_view();
}

bool equals_ignoring_case(std::string_view word, std::string_view upper) {
  return word.size() == upper.size() &&
         std::equal(word.begin(), word.end(), upper.begin(), [](char a, char b) {
           return (a >= 'a' && a <= 'z' ? static_cast<char>(a - 'a' + 'A') : a) == b;
         });
}

bool begins_command(std::string_view head) {
  constexpr std::string_view kPing = "PING\r\n";
  if (equals_ignoring_case(head.substr(0, kPing.size()), kPing)) {
    return true;
  }
  const auto arguments = take_number(head, '*', kMostItems);
  if (!arguments || *arguments == 0) {
    return false;
  }
  const auto length = take_number(head, '$', 64);
  return length && *length != 0 && head.size() >= *length &&
         !commands::find_redis(head.substr(0, *length))->name.empty();
}

bool begins_value(std::string_view head) {
  const size_t end = head.find("\r\n");
  if (head.empty() || end == std::string_view::npos) {
    return false;
  }
  const std::string_view rest = head.substr(1, end - 1);
  switch (head[0]) {
    case '+':
    case '-':
    case ',':
    case '(':
      return true;
    case ':':
      return read_number(rest.substr(rest.empty() || rest[0] != '-' ? 0 : 1), UINT64_MAX)
          .has_value();
    case '_':
      return rest.empty();
    case '#':
      return rest == "t" || rest == "f";
    case '$':
    case '*':
      return rest == "-1" || read_number(rest, kMostBytes);
    case '!':
    case '=':
    case '~':
    case '>':
    case '%':
    case '|':
      return read_number(rest, kMostBytes).has_value();
    default:
      return false;
  }
}

}  // namespace zerospan::protocols::redis
