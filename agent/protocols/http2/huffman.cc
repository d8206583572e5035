// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/http2/huffman.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace zerospan::protocols::http2 {
namespace {

constexpr size_t kSymbols = 257;  // the octets, and EOS
constexpr uint16_t kEos = 256;
constexpr uint32_t kMinBits = 5;
constexpr uint32_t kMaxBits = 30;
constexpr uint32_t kDirectBits = 8;  // codes up to this length are found by one look-up

// Bits in the code of each octet and of EOS: the last column of appendix B. The code is canonical
// (codes of one length ascend with their symbols), so the lengths say all of it.
constexpr std::array<uint8_t, kSymbols> kLengths = {
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6,  10, 10, 12, 13, 6,  8,  11, 10, 10, 8,  11, 8,  6,  6,  6,
    5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8,  15, 6,  12, 10, 13, 6,  7,  7,  7,  7,  7,  7,
    7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8,  13, 19, 13, 14, 6,
    15, 5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,  6,  7,  6,  5,  5,  6,  7,  7,
    7,  7,  7,  15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30};

struct Code {
  struct Direct {
    uint8_t symbol = 0;
    uint8_t bits = 0;  // 0: the code is longer
  };
  std::array<Direct, 1U << kDirectBits> direct{};
  std::array<uint16_t, kSymbols> by_code{};          // symbols in the order of their codes
  std::array<uint32_t, kMaxBits + 1> first_code{};   // of each length
  std::array<uint16_t, kMaxBits + 1> first_index{};  // its place in by_code
  std::array<uint16_t, kMaxBits + 1> count{};
};

constexpr Code make_code() {
  Code code;
  uint32_t next = 0;
  uint16_t index = 0;
  for (uint32_t bits = kMinBits; bits <= kMaxBits; ++bits) {
    next <<= 1U;
    code.first_code[bits] = next;
    code.first_index[bits] = index;
    for (uint16_t symbol = 0; symbol < kSymbols; ++symbol) {
      if (kLengths[symbol] != bits) {
        continue;
      }
      if (bits <= kDirectBits) {
        const uint32_t spare = kDirectBits - bits;
        for (uint32_t i = 0; i < 1U << spare; ++i) {
          code.direct[(next << spare) + i] = {static_cast<uint8_t>(symbol),
                                              static_cast<uint8_t>(bits)};
        }
      }
      code.by_code[index++] = symbol;
      ++code.count[bits];
      ++next;
    }
  }
  return code;
}

constexpr Code kCode = make_code();
static_assert(kCode.first_code[kMaxBits] + kCode.count[kMaxBits] == 1U << kMaxBits,
              "the lengths make a complete code");
static_assert(kCode.by_code[kSymbols - 1] == kEos, "and EOS is all ones");

}  // namespace

bool huffman_decode(std::string_view bytes, std::string& out) {
  uint64_t window = 0;  // its lowest `held` bits are not decoded yet
  uint32_t held = 0;
  size_t at = 0;
  while (true) {
    while (held <= 56 && at < bytes.size()) {
      window = window << 8U | static_cast<uint8_t>(bytes[at++]);
      held += 8;
    }
    if (held == 0) {
      return true;
    }
    if (held >= kDirectBits) {
      const Code::Direct direct = kCode.direct[window >> (held - kDirectBits) & 0xffU];
      if (direct.bits != 0) {
        out.push_back(static_cast<char>(direct.symbol));
        held -= direct.bits;
        continue;
      }
    }
    // Long codes, and the last bits.
    uint16_t symbol = kEos;
    uint32_t bits = kMinBits;
    for (; bits <= kMaxBits && bits <= held; ++bits) {
      const uint32_t code =
          static_cast<uint32_t>(window >> (held - bits) & ((uint64_t{1} << bits) - 1));
      if (code >= kCode.first_code[bits] && code - kCode.first_code[bits] < kCode.count[bits]) {
        symbol = kCode.by_code[kCode.first_index[bits] + code - kCode.first_code[bits]];
        break;
      }
    }
    if (bits > kMaxBits || (bits <= held && symbol == kEos)) {
      return false;
    }
    if (bits > held) {
      // Padding: the most significant bits of EOS, at most seven.
      const uint64_t ones = (uint64_t{1} << held) - 1;
      return held < 8 && (window & ones) == ones;
    }
    out.push_back(static_cast<char>(symbol));
    held -= bits;
  }
}

}  // namespace zerospan::protocols::http2
