// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/memcached/detect.h"

#include <algorithm>
#include <initializer_list>

namespace zerospan::protocols::memcached {
namespace {

constexpr size_t kMostKeyBytes = 250;

bool is_any_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_key(std::string_view word) {
  return !word.empty() && word.size() <= kMostKeyBytes &&
         std::none_of(word.begin(), word.end(),
                      [](char c) { return (c >= 0 && c <= ' ') || c == '\x7f'; });
}

bool is_number(std::string_view word) {
  return read_number(word.starts_with('-') ? word.substr(1) : word, UINT64_MAX).has_value();
}

}  // namespace

std::optional<uint64_t> read_number(std::string_view text, uint64_t most) {
  constexpr size_t kMostDigits = 19;
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

std::string_view next_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  return word;
}

bool is_command(std::string_view line) {
  const std::string_view name = next_word(line);
  if (is_any_of(name, {"version", "stats", "mn"})) {
    return true;
  }
  const std::string_view first = next_word(line);
  const std::string_view second = next_word(line);
  if (is_any_of(name, {"set", "add", "replace", "append", "prepend", "cas"})) {
    return is_key(first) && is_number(second) && is_number(next_word(line)) &&
           is_number(next_word(line));
  }
  if (is_any_of(name, {"get", "gets", "mg", "md", "ma", "me", "delete"})) {
    return is_key(first);
  }
  if (is_any_of(name, {"gat", "gats"})) {
    return is_number(first) && is_key(second);
  }
  if (is_any_of(name, {"incr", "decr", "touch", "ms"})) {
    return is_key(first) && is_number(second);
  }
  return false;
}

bool detect(std::string_view first_bytes) {
  const size_t end = first_bytes.find('\n');
  if (end == std::string_view::npos || end == 0) {
    return false;
  }
  return is_command(first_bytes.substr(0, first_bytes[end - 1] == '\r' ? end - 1 : end));
}

}  // namespace zerospan::protocols::memcached
