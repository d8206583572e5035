// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/text.h"

#include <cstdint>
#include <cstring>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace zerospan::spans {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

bool is_plain(char c) {
  return (c >= 0x20 && c < 0x7f) || c == '\t';
}

// How many bytes at the start are printable ASCII; a block at a time, since that is nearly all
// text.
size_t plain_prefix(std::string_view bytes) {
  size_t at = 0;
#ifdef __SSE2__
  for (; bytes.size() - at >= 16; at += 16) {
    __m128i block;
    std::memcpy(&block, bytes.data() + at, sizeof(block));
    // As signed bytes, those of 0x80 and above are below the space too.
    const __m128i other = _mm_or_si128(_mm_cmplt_epi8(block, _mm_set1_epi8(0x20)),
                                       _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7f)));
    if (_mm_movemask_epi8(other) != 0) {
      break;
    }
  }
#endif
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

}  // namespace zerospan::spans
