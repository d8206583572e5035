// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The tokens of SQL text: where each begins and ends, and what kind it is.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

#include "agent/sql/statement.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace zerospan::sql {

enum class TokenKind : uint8_t {
  kEnd,
  kSpace,  // the frame of an executable comment
  kComment,
  kWord,        // an unquoted name or key word
  kQuotedName,  // "..." or `...`
  kLiteral,     // string, number, bit string, dollar-quoted text
  kParameter,   // $1
  kOpen,        // (
  kClose,       // )
  kComma,
  kSemicolon,
  kDot,
  kOperator,  // any other byte
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  bool space_before = false;
  std::string_view text;
};

enum ByteClass : uint8_t {
  kPlain = 0,
  kIsSpace = 1,
  kIsNameStart = 2,  // letters, '_', and all bytes of other alphabets
  kIsDigit = 4,
  kIsDollar = 8,
};
inline constexpr uint8_t kInName = kIsNameStart | kIsDigit | kIsDollar;

constexpr std::array<uint8_t, 256> make_classes() {
  std::array<uint8_t, 256> classes{};
  for (size_t c = 0; c < 256; ++c) {
    if (c == ' ' || (c >= '\t' && c <= '\r')) {
      classes[c] = kIsSpace;
    } else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80) {
      classes[c] = kIsNameStart;
    } else if (c >= '0' && c <= '9') {
      classes[c] = kIsDigit;
    } else if (c == '$') {
      classes[c] = kIsDollar;
    }
  }
  return classes;
}
inline constexpr std::array<uint8_t, 256> kClasses = make_classes();

inline uint8_t class_of(char c) {
  return kClasses[static_cast<uint8_t>(c)];
}

// What a byte is that is a token by itself, whatever follows; kEnd: it is not.
constexpr std::array<TokenKind, 256> make_single_bytes() {
  std::array<TokenKind, 256> kinds{};
  for (const char c : std::string_view("=<>+%@:!|&^~?[]{}\\")) {
    kinds[static_cast<uint8_t>(c)] = TokenKind::kOperator;
  }
  kinds['('] = TokenKind::kOpen;
  kinds[')'] = TokenKind::kClose;
  kinds[','] = TokenKind::kComma;
  kinds[';'] = TokenKind::kSemicolon;
  return kinds;
}
inline constexpr std::array<TokenKind, 256> kSingleBytes = make_single_bytes();

class Tokens {
 public:
  Tokens(std::string_view text, const Dialect& dialect)
      : at_(text.data()), end_(text.data() + text.size()), dialect_(dialect) {}

  [[gnu::always_inline]] Token next() {
    bool space = false;
    if (at_ != end_ && *at_ == ' ') {
      ++at_;
      space = true;
    }
    while (at_ != end_ && class_of(*at_) == kIsSpace) {
      ++at_;
      space = true;
    }
    if (at_ == end_) {
      return {};
    }
    after_name_ = after_name_ && !space;
    const char* const begin = at_;
    if (class_of(*at_) != kIsNameStart) {
      if (const TokenKind kind = kSingleBytes[static_cast<uint8_t>(*at_)];
          kind != TokenKind::kEnd) {
        ++at_;
        after_name_ = false;
        return {kind, space, {begin, 1}};
      }
      if (*at_ == '.' && (after_name_ || end_ - at_ < 2 || class_of(at_[1]) != kIsDigit)) {
        ++at_;
        after_name_ = false;
        return {TokenKind::kDot, space, {begin, 1}};
      }
      Token token = next_other();
      token.space_before = space;
      return token;
    }
    skip_name();
    if (at_ - begin == 1 && at_ != end_ && *at_ == '\'' && is_string_prefix(*begin)) {
      Token token = prefixed_string(begin);
      token.space_before = space;
      return token;
    }
    if (dialect_.cql && is_cql_literal(begin)) [[unlikely]] {
      after_name_ = false;
      return {TokenKind::kLiteral, space, {begin, static_cast<size_t>(at_ - begin)}};
    }
    if (dialect_.clickhouse) [[unlikely]] {
      Token token = clickhouse_word(begin);
      token.space_before = space;
      return token;
    }
    after_name_ = true;
    return {TokenKind::kWord, space, {begin, static_cast<size_t>(at_ - begin)}};
  }

 private:
  static bool is_string_prefix(char c) {
    constexpr std::string_view kPrefixes = "eEbBxXnN";
    return kPrefixes.find(c) != std::string_view::npos;
  }
  // Names are short and their lengths differ: a loop over their bytes would be mispredicted once
  // for each.
  [[gnu::always_inline]] void skip_name() {
#if defined(__SSE2__)
    while (end_ - at_ >= 16) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at_));
      const auto between = [](__m128i value, char first, char last) {
        const __m128i from = _mm_sub_epi8(value, _mm_set1_epi8(first));
        const __m128i most = _mm_set1_epi8(static_cast<char>(last - first));
        return _mm_cmpeq_epi8(_mm_min_epu8(from, most), from);
      };
      const __m128i letters = between(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), 'a', 'z');
      const __m128i others = _mm_or_si128(between(bytes, '0', '9'),
                                          _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('_')),
                                                       _mm_cmpeq_epi8(bytes, _mm_set1_epi8('$'))));
      // The highest bit of a byte of another alphabet is set already.
      const auto in_name = static_cast<uint32_t>(
          _mm_movemask_epi8(_mm_or_si128(bytes, _mm_or_si128(letters, others))));
      if (in_name != 0xffffU) {
        at_ += std::countr_one(in_name);
        return;
      }
      at_ += 16;
    }
#endif
    while (at_ != end_ && (class_of(*at_) & kInName) != 0) {
      ++at_;
    }
  }
  Token prefixed_string(const char* begin);
  bool is_cql_literal(const char* begin);
  Token clickhouse_word(const char* begin);
  bool skip_uuid(const char* begin);
  Token next_other();
  bool skip_string(char quote, bool backslash);
  void skip_joined_strings(bool backslash);
  void skip_block_comment();
  void skip_line();
  void skip_number();
  bool skip_dollar_quoted();
  void skip_heredoc();

  const char* at_;
  const char* end_;
  const Dialect& dialect_;
  bool after_name_ = false;  // a dot now separates names
  bool in_executable_comment_ = false;
};

}  // namespace zerospan::sql
