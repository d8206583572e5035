// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "exporter/otlp/utf8.h"

#include <cstdint>
#include <cstring>

namespace zerospan::otlp {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct Sequence {
  size_t length = 0;  // bytes to consume, at least 1
  bool valid = false;
};

// The lead byte decides how many bytes follow and, for the forms that could be overlong, surrogate
// or too large, a narrower range of the second one.
Sequence next_sequence(std::string_view bytes) {
  const auto byte = [&bytes](size_t at) { return static_cast<uint8_t>(bytes[at]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) {
    return {1, true};
  }
  size_t length = 0;
  uint8_t low = 0x80;
  uint8_t high = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    low = lead == 0xE0 ? 0xA0 : low;
    high = lead == 0xED ? 0x9F : high;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    low = lead == 0xF0 ? 0x90 : low;
    high = lead == 0xF4 ? 0x8F : high;
  } else {
    return {1, false};
  }
  for (size_t at = 1; at < length; ++at) {
    if (at >= bytes.size() || byte(at) < low || byte(at) > high) {
      return {at, false};
    }
    low = 0x80;
    high = 0xBF;
  }
  return {length, true};
}

// Length of the leading run of ASCII, which is what nearly all strings consist of.
size_t ascii_prefix(std::string_view bytes) {
  size_t at = 0;
  for (; at + sizeof(uint64_t) <= bytes.size(); at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, sizeof(word));
    if ((word & 0x8080808080808080ULL) != 0) {
      break;
    }
  }
  while (at < bytes.size() && static_cast<uint8_t>(bytes[at]) < 0x80) {
    ++at;
  }
  return at;
}

}  // namespace

bool is_ascii(std::string_view bytes) {
  return ascii_prefix(bytes) == bytes.size();
}

bool is_valid_utf8(std::string_view bytes) {
  for (;;) {
    bytes.remove_prefix(ascii_prefix(bytes));
    if (bytes.empty()) {
      return true;
    }
    const Sequence sequence = next_sequence(bytes);
    if (!sequence.valid) {
      return false;
    }
    bytes.remove_prefix(sequence.length);
  }
}

void append_as_utf8(std::string_view bytes, std::string& out) {
  while (!bytes.empty()) {
    const size_t ascii = ascii_prefix(bytes);
    out.append(bytes.substr(0, ascii));
    bytes.remove_prefix(ascii);
    if (bytes.empty()) {
      return;
    }
    const Sequence sequence = next_sequence(bytes);
    out.append(sequence.valid ? bytes.substr(0, sequence.length) : kReplacement);
    bytes.remove_prefix(sequence.length);
  }
}

}  // namespace zerospan::otlp
