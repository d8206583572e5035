// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/viewer/tree_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include "agent/viewer/test_spans.h"

namespace zerospan::viewer {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using testing::kMillisecond;
using testing::make_span;
using ::testing::Not;
using testing::SpanSpec;

constexpr auto kServer = model::SpanKind::kServer;
constexpr auto kClient = model::SpanKind::kClient;

class TreeViewTest : public ::testing::Test {
 protected:
  void SetUp() override {
    setenv("TZ", "UTC", 1);
    tzset();
    options_.terminal.columns = 100;
    options_.terminal.unicode = true;
  }

  TreeView make_view() {
    return {options_, [this](std::string_view text) { out_ += text; }};
  }

  // Everything of `specs`, flushed.
  std::string show(const std::vector<SpanSpec>& specs) {
    out_.clear();
    TreeView view = make_view();
    for (const SpanSpec& spec : specs) {
      view.add(make_span(spec), 0);
    }
    view.flush();
    return out_;
  }

  TreeViewOptions options_;
  std::string out_;
};

// The spans of one trace in the order in which they end.
const std::vector<SpanSpec> kProxied = {
    {1, 5, 4, "auth", kServer, "GET", "/v1/session", 200, 2300, 5210, true, ""},
    {1, 4, 3, "shop-api", kClient, "GET", "auth.internal:9000/v1/session", 200, 1800, 6120, false,
     ""},
    {1, 6, 3, "shop-api", kClient, "POST", "events.internal/ingest", 503, 31000, 14200, false, ""},
    {1, 3, 2, "shop-api", kServer, "GET", "/api/orders/8412345", 200, 900, 45980, true, ""},
    {1, 2, 1, "nginx", kClient, "GET", "127.0.0.1:8000/api/orders/8412345", 200, 400, 47100, false,
     ""},
    {1, 1, 0, "nginx", kServer, "GET", "/api/orders/8412345", 200, 0, 48210, false, ""},
};

TEST_F(TreeViewTest, ATraceIsATree) {
  EXPECT_EQ(
      show(kProxied),
      R"(12:00:00.000 ▶ nginx            GET /api/orders/8412345            200  48.2 ms ━━━━━━━━━━━━━━━━━━━━
     +400 µs └─◀ nginx          GET 127.0.0.1:800…i/orders/8412345 200  47.1 ms ━━━━━━━━━━━━━━━━━━━━
     +900 µs   └─▶ shop-api     GET /api/orders/8412345            200  46.0 ms ━━━━━━━━━━━━━━━━━━━╸
    +1.80 ms     ├─◀ shop-api   GET auth.internal:9000/v1/session  200  6.12 ms ╺━━╸
    +2.30 ms     │ └─▶ auth     GET /v1/session                    200  5.21 ms ╺━━╸
    +31.0 ms     └─◀ shop-api   POST events.internal/ingest        503  14.2 ms             ╺━━━━━━
)");
}

TEST_F(TreeViewTest, WithoutUnicodeAllIsAscii) {
  options_.terminal.unicode = false;
  const std::string shown = show(kProxied);
  EXPECT_EQ(
      shown,
      R"(12:00:00.000 > nginx            GET /api/orders/8412345            200  48.2 ms ====================
     +400 us `-< nginx          GET 127.0.0.1:80..i/orders/8412345 200  47.1 ms ====================
     +900 us   `-> shop-api     GET /api/orders/8412345            200  46.0 ms ====================
    +1.80 ms     |-< shop-api   GET auth.internal:9000/v1/session  200  6.12 ms ====
    +2.30 ms     | `-> auth     GET /v1/session                    200  5.21 ms ====
    +31.0 ms     `-< shop-api   POST events.internal/ingest        503  14.2 ms             =======
)");
  EXPECT_TRUE(std::all_of(shown.begin(), shown.end(),
                          [](char c) { return c == '\n' || (c >= 0x20 && c < 0x7f); }));
}

TEST_F(TreeViewTest, LinesFillTheWidthAndNoMore) {
  for (size_t columns : {60, 80, 97, 120, 200}) {
    options_.terminal.columns = columns;
    std::string shown = show(kProxied);
    size_t widest = 0;
    for (size_t end = shown.find('\n'); end != std::string::npos; end = shown.find('\n')) {
      widest = std::max(widest, display_width(std::string_view(shown).substr(0, end)));
      shown.erase(0, end + 1);
    }
    EXPECT_EQ(widest, columns);
  }
}

TEST_F(TreeViewTest, ColoursOnlyWhenAskedFor) {
  EXPECT_THAT(show(kProxied), Not(HasSubstr("\x1b")));
  options_.terminal.colour = true;
  EXPECT_EQ(show({{1, 1, 0, "nginx", kServer, "GET", "/missing", 404, 0, 340, false, ""}}),
            "\x1b[2m12:00:00.000\x1b[0m \x1b[34m▶\x1b[0m "
            "\x1b[1mnginx           \x1b[0m "
            "GET /missing                       \x1b[33m404\x1b[0m   340 µs "
            "\x1b[2m────────────────────\x1b[0m\n");
  const std::string failed = show({{1, 1, 0, "a", kClient, "GET", "h/", 502, 0, 10, false, ""},
                                   {1, 2, 1, "b", kServer, "GET", "/", 502, 0, 10, true, ""}});
  EXPECT_THAT(failed, HasSubstr("\x1b[31m502\x1b[0m"));
  EXPECT_THAT(failed, HasSubstr("\x1b[31m━━━━━━━━━━━━━━━━━━━━\x1b[0m"));
}

TEST_F(TreeViewTest, OrphansAreRootsWithAMark) {
  EXPECT_EQ(show({{1, 2, 0xabc, "api", kServer, "GET", "/a", 200, 0, 1000, true, ""},
                  {1, 3, 0xabc, "api", kServer, "GET", "/b", 200, 1000, 1000, true, ""}}),
            R"(             ↳ remote parent 0000000000000abc
12:00:00.000 ▶ api              GET /a                             200  1.00 ms ━━━━━━━━━━
12:00:00.001 ▶ api              GET /b                             200  1.00 ms           ━━━━━━━━━━
)");
  EXPECT_THAT(show({{1, 2, 0xabc, "api", kClient, "GET", "h/a", 200, 0, 1000, false, ""}}),
              HasSubstr("↳ parent not ended or not seen: 0000000000000abc\n"));
}

TEST_F(TreeViewTest, ErrorsAndIncompletenessAreSaid) {
  model::Span span =
      make_span({1, 1, 0, "w", kClient, "GET", "h/x", 0, 0, 100, false, "connection_reset"});
  span.attributes.add("zerospan.incomplete", std::vector<std::string>{"gap"});
  TreeView view = make_view();
  view.add(span, 0);
  view.flush();
  EXPECT_THAT(out_, HasSubstr("GET h/x connection_reset ~gap"));
  EXPECT_THAT(out_, HasSubstr(" ERR "));
  // A status code's own error type is not said twice.
  EXPECT_THAT(show({{1, 1, 0, "w", kServer, "GET", "/", 500, 0, 100, false, "500"}}),
              HasSubstr("GET /                              500"));
}

TEST_F(TreeViewTest, HostileTextCannotReachTheTerminal) {
  options_.terminal.columns = 200;
  const std::string shown = show({{1, 1, 0, "s\r\nfake", kServer, "GET\x07",
                                   "/\x1b]0;x\x07\xc2\x9b"
                                   "31m\xe2\x80\xae\xff",
                                   200, 0, 100, false, "e\x1b"}});
  EXPECT_THAT(shown, HasSubstr("s\\x0d\\x0afake"));
  EXPECT_THAT(shown, HasSubstr("GET\\x07 /\\x1b]0;x\\x07\\u{9b}31m\\u{202e}\\xff"));
  EXPECT_EQ(std::count(shown.begin(), shown.end(), '\n'), 1);
  EXPECT_THAT(shown, Not(HasSubstr("\x1b")));
}

TEST_F(TreeViewTest, EverySpanIsShownOnceWhateverTheParentsSay) {
  // Two that are each other's parent, one its own parent, one id used twice.
  const std::string shown = show({{1, 1, 2, "one", kServer, "GET", "/1", 200, 0, 1, false, ""},
                                  {1, 2, 1, "two", kServer, "GET", "/2", 200, 5, 1, false, ""},
                                  {1, 3, 3, "three", kServer, "GET", "/3", 200, 9, 1, false, ""},
                                  {1, 4, 0, "four", kServer, "GET", "/4", 200, 9, 1, false, ""},
                                  {1, 4, 0, "five", kServer, "GET", "/5", 200, 9, 1, false, ""},
                                  {1, 6, 4, "six", kServer, "GET", "/6", 200, 9, 1, false, ""}});
  for (const char* service : {"one", "two", "three", "four", "five", "six"}) {
    const size_t first = shown.find(service);
    ASSERT_NE(first, std::string::npos) << service;
    EXPECT_EQ(shown.find(service, first + 1), std::string::npos) << service;
  }
}

TEST_F(TreeViewTest, DeepTreesStayAligned) {
  std::vector<SpanSpec> chain;
  for (uint64_t id = 1; id <= 40; ++id) {
    chain.push_back(
        {1, id, id - 1, "service", kServer, "GET", "/deep/path/of/it", 200, id, 100, false, ""});
  }
  std::string shown = show(chain);
  EXPECT_EQ(std::count(shown.begin(), shown.end(), '\n'), 40);
  while (!shown.empty()) {
    const size_t end = shown.find('\n');
    const std::string_view line = std::string_view(shown).substr(0, end);
    EXPECT_EQ(display_width(line.substr(0, line.find(" 200 "))), 66U) << line;
    shown.erase(0, end + 1);
  }
}

TEST_F(TreeViewTest, ATraceIsShownWhenItIsQuiet) {
  TreeView view = make_view();
  SpanSpec spec;
  spec.service = "api";
  view.add(make_span(spec), 0);
  view.tick(200 * kMillisecond);
  spec.id = 2;
  view.add(make_span(spec), 200 * kMillisecond);
  view.tick(499 * kMillisecond);
  EXPECT_EQ(out_, "");
  view.tick(500 * kMillisecond);
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 2);
  out_.clear();
  view.tick(5000 * kMillisecond);
  EXPECT_EQ(out_, "");
}

TEST_F(TreeViewTest, ATraceWaitsForALocalParent) {
  TreeView view = make_view();
  view.add(make_span({1, 2, 1, "api", kClient, "GET", "h/", 200, 0, 5, false, ""}), 0);
  view.tick(2999 * kMillisecond);
  EXPECT_EQ(out_, "");
  view.tick(3000 * kMillisecond);
  EXPECT_THAT(out_, HasSubstr("parent not ended"));
  out_.clear();
  view.add(make_span({2, 2, 1, "api", kClient, "GET", "h/", 200, 0, 5, false, ""}), 0);
  view.add(make_span({2, 1, 0, "api", kServer, "GET", "/", 200, 0, 5, false, ""}), 0);
  view.tick(300 * kMillisecond);
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 2);
}

TEST_F(TreeViewTest, BoundsPrintEarlyAndDropNothing) {
  const auto count_lines = [&] { return std::count(out_.begin(), out_.end(), '\n'); };
  options_.max_spans_per_trace = 3;
  options_.max_traces = 2;
  options_.max_spans = 4;
  TreeView view = make_view();
  SpanSpec spec;
  spec.service = "api";
  const auto add = [&](uint8_t trace) {
    spec.trace = trace;
    ++spec.id;
    view.add(make_span(spec), 0);
  };
  add(1);
  add(1);
  EXPECT_EQ(count_lines(), 0);
  add(1);  // the third of its trace
  EXPECT_EQ(count_lines(), 3);
  add(2);
  add(3);
  EXPECT_EQ(count_lines(), 3);
  add(4);  // a third trace: 2 goes
  EXPECT_EQ(count_lines(), 4);
  add(3);
  add(4);
  EXPECT_EQ(count_lines(), 4);
  options_.max_traces = 10;
  view.flush();
  EXPECT_EQ(count_lines(), 8);
}

}  // namespace
}  // namespace zerospan::viewer
