// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/text.h"

#include <gtest/gtest.h>

#include "agent/spans/clock.h"

namespace zerospan::spans {
namespace {

const std::string kBad = "\xEF\xBF\xBD";

TEST(Text, EachMalformedByteBecomesOneReplacement) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"plain\ttext", "plain\ttext"},
      {std::string("a\0b", 3), "a" + kBad + "b"},
      {"\x7f\r\n", kBad + kBad + kBad},
      {"\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80", "\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80"},
      {"\xC3", kBad},
      {"\xC3(", kBad + "("},
      {"\xC0\xAF", kBad + kBad},                        // overlong
      {"\xED\xA0\x80", kBad + kBad + kBad},             // surrogate
      {"\xF4\x90\x80\x80", kBad + kBad + kBad + kBad},  // above U+10FFFF
      {"\xE2\x82", kBad + kBad},
      {"\x80", kBad},
  };
  for (const auto& [bytes, expected] : cases) {
    EXPECT_EQ(to_text(bytes, 100), expected);
  }
}

TEST(Text, LimitsFallBetweenCharacters) {
  EXPECT_EQ(to_text("abcdef", 3), "abc");
  EXPECT_EQ(to_text("ab\xE2\x82\xAC", 4), "ab");
  EXPECT_EQ(to_text("ab\xE2\x82\xAC", 5), "ab\xE2\x82\xAC");
  EXPECT_EQ(to_text("ab\xff", 4), "ab");
  std::string out = "abcd";
  append_text(out, "ef", 3);
  EXPECT_EQ(out, "abcd");
}

TEST(Clock, AnchorConvertsBothWaysAndIsMeasuredBetweenItsReadings) {
  constexpr ClockAnchor anchor{1000, 50'000};
  static_assert(anchor.to_unix_ns(1500) == 50'500);
  static_assert(anchor.to_unix_ns(400) == 49'400);
  const ClockAnchor first = measure_clock_anchor();
  const ClockAnchor second = measure_clock_anchor();
  EXPECT_GT(second.monotonic_ns, first.monotonic_ns);
  EXPECT_GT(first.unix_ns, 1'600'000'000'000'000'000U);
}

}  // namespace
}  // namespace zerospan::spans
