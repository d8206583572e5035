// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Bytes from the wire to text that a span may hold. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace zerospan::spans {

// Appends `bytes` as valid UTF-8: each byte that is no part of a well-formed sequence (Unicode 15,
// table 3-7), and each C0 control but tab and DEL, becomes U+FFFD. Percent-encoding stays as it is.
// `out` never grows beyond `limit` bytes; text is cut between characters.
void append_text(std::string& out, std::string_view bytes, size_t limit);

[[nodiscard]] std::string to_text(std::string_view bytes, size_t limit);

// The length of the well-formed UTF-8 sequence at the start of `bytes`; 0 if there is none.
[[nodiscard]] size_t utf8_sequence_length(std::string_view bytes);

// RFC 3986 section 2.1; what is no escape stays. In forms a plus sign is a space.
[[nodiscard]] std::string percent_decoded(std::string_view text, bool form = false);

// ASCII only, as HTTP's field names, schemes and hosts want it.
[[nodiscard]] constexpr char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
[[nodiscard]] constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
[[nodiscard]] constexpr bool is_alpha(char c) {
  return to_lower(c) >= 'a' && to_lower(c) <= 'z';
}
[[nodiscard]] constexpr bool is_hex_digit(char c) {
  return is_digit(c) || (to_lower(c) >= 'a' && to_lower(c) <= 'f');
}
[[nodiscard]] constexpr bool equals_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) {
    return false;
  }
  for (size_t i = 0; i < a.size(); ++i) {
    if (to_lower(a[i]) != to_lower(b[i])) {
      return false;
    }
  }
  return true;
}

}  // namespace zerospan::spans
