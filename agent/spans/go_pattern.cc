// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/go_pattern.h"

#include <algorithm>
#include <cstdint>
#include <string>

namespace zerospan::spans {
namespace {

// What is before the next slash that is not in braces, taken away with that slash. `more`: there
// was one.
std::string_view take_segment(std::string_view& rest, bool braces, bool& more) {
  int depth = 0;
  size_t end = 0;
  for (; end < rest.size() && (rest[end] != '/' || depth > 0); ++end) {
    depth += braces && rest[end] == '{' ? 1 : 0;
    depth -= braces && rest[end] == '}' && depth > 0 ? 1 : 0;
  }
  const std::string_view segment = rest.substr(0, end);
  more = end < rest.size();
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return segment;
}

int digit(char c) {
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : -1;
}

// RFC 3986 section 2.1.
bool is_decoded(std::string_view encoded, std::string_view text) {
  size_t at = 0;
  for (size_t i = 0; i < encoded.size(); ++i, ++at) {
    char c = encoded[i];
    if (c == '%' && i + 2 < encoded.size() && digit(encoded[i + 1]) >= 0 &&
        digit(encoded[i + 2]) >= 0) {
      c = static_cast<char>(digit(encoded[i + 1]) * 16 + digit(encoded[i + 2]));
      i += 2;
    }
    if (at >= text.size() || text[at] != c) {
      return false;
    }
  }
  return at == text.size();
}

}  // namespace

std::string_view route_of_pattern(std::string_view pattern, std::string_view target) {
  if (const size_t blank = pattern.find_first_of(" \t"); blank < pattern.find('/')) {
    pattern.remove_prefix(blank);
  }
  pattern.remove_prefix(std::min(pattern.find('/'), pattern.size()));
  if (pattern.empty() || !target.starts_with('/') ||
      std::any_of(pattern.begin(), pattern.end(),
                  [](char c) { return static_cast<uint8_t>(c) < ' ' || c == '\x7f'; })) {
    return {};
  }
  std::string_view wanted = pattern.substr(1);
  std::string_view path = target.substr(1, target.find('?') - 1);
  while (true) {
    bool more_wanted = false;
    bool more_path = false;
    const std::string_view part = take_segment(wanted, true, more_wanted);
    const std::string_view given = take_segment(path, false, more_path);
    const bool last = !more_wanted;
    if (last && (part.empty() || part == "*" || part.ends_with("...}"))) {
      return pattern;  // and whatever follows
    }
    if (last && part == "{$}") {
      return given.empty() && !more_path ? pattern : std::string_view();
    }
    if (part.find('{') == std::string_view::npos && !is_decoded(given, part)) {
      return {};
    }
    if (last || !more_path) {
      return last && !more_path ? pattern : std::string_view();
    }
  }
}

}  // namespace zerospan::spans
