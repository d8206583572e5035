// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "exporter/otlp/utf8.h"

#include <gtest/gtest.h>

namespace zerospan::otlp {
namespace {

std::string fixed(std::string_view bytes) {
  std::string out;
  append_as_utf8(bytes, out);
  EXPECT_TRUE(is_valid_utf8(out));
  return out;
}

TEST(Utf8Test, WellFormedTextIsKept) {
  for (const std::string_view text :
       {"", "plain ascii, longer than one word", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80",
        "\xED\x9F\xBF", "\xEE\x80\x80", "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF",
        "12345678\xC3\xA9", "1234567\xE2\x82\xAC"}) {
    EXPECT_TRUE(is_valid_utf8(text)) << text;
    EXPECT_EQ(fixed(text), text);
  }
}

TEST(Utf8Test, IllFormedTextIsFound) {
  for (const std::string_view text :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF",
        "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xC3", "\xE2\x82",
        "\xF0\x9F\x98", "12345678\xC3", "\xC3 "}) {
    EXPECT_FALSE(is_valid_utf8(text)) << text;
    EXPECT_NE(fixed(text), text);
  }
}

// The example of the Unicode standard, section 3.9, table 3-8.
TEST(Utf8Test, ReplacesMaximalSubparts) {
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(fixed("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64"),
            "a" + r + r + r + "b" + r + "c" + r + r + "d");
  EXPECT_EQ(fixed("\xED\xA0\x80"), r + r + r);
  EXPECT_EQ(fixed("\xE2\x82"), r);
}

}  // namespace
}  // namespace zerospan::otlp
