// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/viewer/terminal.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "agent/core/unique_fd.h"
#include "agent/viewer/json_lines.h"
#include "agent/viewer/test_spans.h"

namespace zerospan::viewer {
namespace {

TEST(Terminal, AFileHasADefaultWidthAndNoColour) {
  const UniqueFd file(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  setenv("LC_ALL", "", 1);
  setenv("LC_CTYPE", "de_DE.UTF-8", 1);
  const Terminal terminal = detect_terminal(file.get());
  EXPECT_EQ(terminal.columns, 120U);
  EXPECT_FALSE(terminal.colour);
  EXPECT_TRUE(terminal.unicode);
  setenv("LC_ALL", "C", 1);
  EXPECT_FALSE(detect_terminal(file.get()).unicode);
}

TEST(Terminal, APseudoTerminalHasColourUnlessRefused) {
  const UniqueFd leader(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  ASSERT_TRUE(leader.valid() && ::grantpt(leader.get()) == 0 && ::unlockpt(leader.get()) == 0);
  const UniqueFd terminal(::open(::ptsname(leader.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
  ASSERT_TRUE(terminal.valid());
  setenv("TERM", "xterm", 1);
  unsetenv("NO_COLOR");
  EXPECT_TRUE(detect_terminal(terminal.get()).colour);
  setenv("NO_COLOR", "1", 1);
  EXPECT_FALSE(detect_terminal(terminal.get()).colour);
  unsetenv("NO_COLOR");
  setenv("TERM", "dumb", 1);
  EXPECT_FALSE(detect_terminal(terminal.get()).colour);
}

TEST(Escape, MakesEverythingThatIsNotPrintableVisible) {
  EXPECT_EQ(escape("plain /path?é", true), "plain /path?é");
  EXPECT_EQ(escape("é", false), "\\u{e9}");
  EXPECT_EQ(escape(std::string("\0\t\n\x1b\x7f", 5), true), "\\x00\\x09\\x0a\\x1b\\x7f");
  EXPECT_EQ(escape("\xc2\x9b\xe2\x80\x8b\xef\xbb\xbf", true), "\\u{9b}\\u{200b}\\u{feff}");
  EXPECT_EQ(escape("\xff\xc3(\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80", true),
            "\\xff\\xc3(\\xc0\\xaf\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80");
}

TEST(Width, CountsCells) {
  EXPECT_EQ(display_width("abc"), 3U);
  EXPECT_EQ(display_width("é…━"), 3U);
  EXPECT_EQ(display_width("日本"), 4U);
  EXPECT_EQ(display_width("e\xcc\x81"), 1U);
}

TEST(Elide, KeepsBothEnds) {
  EXPECT_EQ(elide_middle("/short", 6, true), "/short");
  EXPECT_EQ(elide_middle("/a/long/path/end", 9, true), "/a/l…/end");
  EXPECT_EQ(elide_middle("/a/long/path/end", 9, false), "/a/l..end");
  EXPECT_EQ(elide_middle("abcdef", 2, true), "ab");
  EXPECT_EQ(elide_middle("日本語日本語", 7, true), "日…語");
  EXPECT_EQ(fit("日本語日本語", 8, true), "日本…語 ");
  EXPECT_EQ(fit("ab", 4, true, Align::kRight), "  ab");
}

TEST(Format, DurationsHaveThreeDigits) {
  const std::vector<std::pair<uint64_t, std::string>> cases = {
      {0, "0 ns"},
      {999, "999 ns"},
      {1'000, "1.00 µs"},
      {9'994, "9.99 µs"},
      {9'996, "10.0 µs"},
      {99'960, "100 µs"},
      {999'499, "999 µs"},
      {999'500, "1.00 ms"},
      {48'210'000, "48.2 ms"},
      {1'234'000'000, "1.23 s"},
      {59'949'000'000, "59.9 s"},
      {99'949'000'000, "99.9 s"},
      {99'950'000'000, "1m40s"},
      {3'599'400'000'000, "59m59s"},
      {3'599'600'000'000, "1h00m"},
  };
  for (const auto& [ns, expected] : cases) {
    EXPECT_EQ(format_duration(ns, true), expected);
  }
  EXPECT_EQ(format_duration(1'500, false), "1.50 us");
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1'000), "1,000");
  EXPECT_EQ(format_count(1'234'567), "1,234,567");
}

TEST(JsonLine, HasTheDocumentedKeys) {
  model::Span span = testing::make_span(
      {1, 2, 3, "api", model::SpanKind::kServer, "GET", "/a\x1b\xff", 500, 0, 1500, true, "500"});
  span.attributes.add("http.request.header.accept", std::vector<std::string>{"a", "b"});
  EXPECT_EQ(
      json_line(span),
      R"({"time":"2023-11-15T12:00:00.000000000Z","service":"api","kind":"server","name":"GET",)"
      R"("duration_ns":1500000,"status":"error","trace_id":"01000000000000000000000000000000",)"
      R"("span_id":"0000000000000002","parent_span_id":"0000000000000003","parent_is_remote":true,)"
      R"("attributes":{"http.request.method":"GET","url.path":"/a\u001b\ufffd",)"
      R"("http.response.status_code":500,"error.type":"500","http.request.header.accept":["a","b"]},)"
      R"("resource":{"service.name":"api"}})"
      "\n");
  span.parent_span_id = {};
  EXPECT_FALSE(nlohmann::json::parse(json_line(span)).contains("parent_span_id"));
}

}  // namespace
}  // namespace zerospan::viewer
