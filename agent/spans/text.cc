// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/text.h"

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace zerospan::spans {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

bool is_plain(char c) {
  return (c >= 0x20 && c < 0x7f) || c == '\t';
}

// Are all of a word's bytes printable ASCII? For a tab and its like "no" is possible too.
template <typename Word>
bool is_plain_word(const char* at) {
  Word word;
  std::memcpy(&word, at, sizeof(word));
  constexpr Word kOnes = static_cast<Word>(0x0101010101010101ULL);
  constexpr Word kTops = kOnes * 0x80;
  return ((word | (word - kOnes * 0x20) | (word + kOnes)) & kTops) == 0;
}

// The same of short texts, by words that may overlap.
bool is_plain_text(std::string_view bytes) {
  const char* const end = bytes.data() + bytes.size();
  if (bytes.size() >= sizeof(uint64_t)) {
    const char* at = bytes.data();
    for (; end - at > static_cast<ptrdiff_t>(sizeof(uint64_t)); at += sizeof(uint64_t)) {
      if (!is_plain_word<uint64_t>(at)) {
        return false;
      }
    }
    return is_plain_word<uint64_t>(end - sizeof(uint64_t));
  }
  return bytes.size() >= sizeof(uint32_t) && is_plain_word<uint32_t>(bytes.data()) &&
         is_plain_word<uint32_t>(end - sizeof(uint32_t));
}

// How many bytes at the start are printable ASCII; nearly all text is that and nothing else.
size_t plain_prefix(std::string_view bytes) {
  if (is_plain_text(bytes)) {
    return bytes.size();
  }
  size_t at = 0;
  while (at < bytes.size() && is_plain(bytes[at])) {
    ++at;
  }
  return at;
}

bool in_range(char c, uint8_t low, uint8_t high) {
  const auto byte = static_cast<uint8_t>(c);
  return byte >= low && byte <= high;
}

}  // namespace

size_t utf8_sequence_length(std::string_view bytes) {
  if (bytes.empty()) {
    return 0;
  }
  const auto lead = static_cast<uint8_t>(bytes[0]);
  if (lead < 0x80) {
    return 1;
  }
  size_t length = 0;
  uint8_t low = 0x80;  // of the second byte: narrower where overlong forms and surrogates would be
  uint8_t high = 0xbf;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    low = lead == 0xe0 ? 0xa0 : low;
    high = lead == 0xed ? 0x9f : high;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    low = lead == 0xf0 ? 0x90 : low;
    high = lead == 0xf4 ? 0x8f : high;
  } else {
    return 0;
  }
  if (bytes.size() < length || !in_range(bytes[1], low, high)) {
    return 0;
  }
  for (size_t i = 2; i < length; ++i) {
    if (!in_range(bytes[i], 0x80, 0xbf)) {
      return 0;
    }
  }
  return length;
}

void append_text(std::string& out, std::string_view bytes, size_t limit) {
  const size_t room = limit > out.size() ? limit - out.size() : 0;
  const std::string_view fitting = bytes.substr(0, room);
  size_t at = plain_prefix(fitting);
  out.append(fitting.substr(0, at));
  while (at < bytes.size()) {
    const std::string_view rest = bytes.substr(at);
    size_t length = utf8_sequence_length(rest);
    std::string_view piece = rest.substr(0, length);
    if (length == 0 || (length == 1 && !is_plain(rest[0]))) {
      length = 1;
      piece = kReplacement;
    }
    if (out.size() + piece.size() > limit) {
      return;
    }
    out.append(piece);
    at += length;
  }
}

std::string to_text(std::string_view bytes, size_t limit) {
  std::string out;
  append_text(out, bytes, limit);
  return out;
}

std::string percent_decoded(std::string_view text, bool form) {
  const auto hex_value = [](char c) { return is_digit(c) ? c - '0' : to_lower(c) - 'a' + 10; };
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '%' && at + 2 < text.size() && is_hex_digit(text[at + 1]) &&
        is_hex_digit(text[at + 2])) {
      out.push_back(static_cast<char>(hex_value(text[at + 1]) * 16 + hex_value(text[at + 2])));
      at += 2;
    } else {
      out.push_back(form && text[at] == '+' ? ' ' : text[at]);
    }
  }
  return out;
}

}  // namespace zerospan::spans
