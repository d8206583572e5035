// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/viewer/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "agent/viewer/test_spans.h"

namespace zerospan::viewer {
namespace {

using ::testing::HasSubstr;
using testing::make_span;
using ::testing::Not;
using testing::SpanSpec;

constexpr auto kServer = model::SpanKind::kServer;
constexpr auto kClient = model::SpanKind::kClient;

TEST(DurationHistogram, QuantilesAreWithinTwoPercent) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> durations(13.0, 3.0);  // median 0.4 ms, a long tail
  DurationHistogram histogram;
  std::vector<uint64_t> exact;
  for (int i = 0; i < 20'000; ++i) {
    exact.push_back(static_cast<uint64_t>(durations(random)));
    histogram.record(exact.back());
  }
  std::sort(exact.begin(), exact.end());
  for (double q : {0.0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0}) {
    const auto rank =
        std::max<size_t>(static_cast<size_t>(std::ceil(q * static_cast<double>(exact.size()))), 1);
    const auto truth = static_cast<double>(exact[rank - 1]);
    EXPECT_NEAR(static_cast<double>(histogram.quantile(q)), truth, truth * 0.02 + 0.5) << q;
  }
  EXPECT_EQ(histogram.max(), exact.back());
}

TEST(DurationHistogram, Extremes) {
  DurationHistogram histogram;
  EXPECT_EQ(histogram.quantile(0.5), 0U);
  histogram.record(0);
  EXPECT_EQ(histogram.quantile(0.5), 0U);
  histogram.record(UINT64_MAX);
  EXPECT_EQ(histogram.quantile(1.0), UINT64_MAX);
  EXPECT_EQ(histogram.max(), UINT64_MAX);
  for (uint64_t value = 1; value != 0; value <<= 1U) {
    for (uint64_t near : {value - 1, value, value + 1}) {
      DurationHistogram one;
      one.record(near);
      EXPECT_EQ(one.quantile(0.5), near);  // one value is its own quantile
    }
  }
}

Terminal plain(size_t columns) {
  return {columns, false, true};
}

Summary make_summary() {
  Summary summary;
  SpanSpec spec;
  spec.service = "nginx";
  for (uint64_t i = 1; i <= 1200; ++i) {
    spec.duration_us = i;
    spec.status = i % 100 == 0 ? 502 : 200;
    summary.add(make_span(spec));
  }
  summary.add(make_span(
      {1, 1, 0, "shop-api", kClient, "POST", "events.internal/ingest", 503, 0, 14200, false, ""}));
  return summary;
}

TEST(Summary, IsAnAlignedTable) {
  EXPECT_EQ(
      make_summary().render(plain(120), {{"ring_full", 0}, {"gap", 0}}),
      R"(SERVICE   KIND    OPERATION              COUNT     ERRORS      P50      P95      P99      MAX
nginx     server  GET                    1,200  12 (1.0%)   598 µs  1.13 ms  1.20 ms  1.20 ms
shop-api  client  POST @events.internal      1   1 (100%)  14.2 ms  14.2 ms  14.2 ms  14.2 ms

1,201 spans; lost: nothing
)");
}

TEST(Summary, NarrowTerminalsCutTextsAndNoNumbers) {
  const std::string shown = make_summary().render(plain(86), {});
  EXPECT_THAT(shown, HasSubstr("POST @ev…nternal      1   1 (100%)  14.2 ms"));
  EXPECT_THAT(make_summary().render(plain(60), {}), HasSubstr("1,200  12 (1.0%)   598 µs"));
}

TEST(Summary, EveryLossIsNamed) {
  EXPECT_THAT(make_summary().render(plain(120), {{"ring_full", 1234}, {"gap", 0}, {"parse", 2}}),
              HasSubstr("1,201 spans; lost: 1,234 ring_full, 2 parse\n"));
  EXPECT_EQ(Summary().render(plain(120), {}), "0 spans; lost: nothing\n");
  EXPECT_EQ(Summary().render(plain(120), {}, 1234),
            "0 spans; lost: nothing; without 1,234 of health checks\n");
}

TEST(Summary, OperationsAreBounded) {
  Summary summary(2);
  for (const char* service : {"a", "b", "c", "d", "a"}) {
    SpanSpec spec;
    spec.service = service;
    summary.add(make_span(spec));
  }
  const std::string shown = summary.render(plain(120), {});
  EXPECT_THAT(shown, HasSubstr("\na        server  GET            2"));
  EXPECT_THAT(shown, HasSubstr("\nb        server  GET            1"));
  EXPECT_THAT(shown, HasSubstr("\n(other)                         2"));
  EXPECT_EQ(summary.spans(), 5U);
}

TEST(Summary, ColoursErrorsAndEscapesNames) {
  Summary summary;
  summary.add(make_span({1, 1, 0, "x\x1b[2J", kServer, "GET", "/", 500, 0, 1, false, ""}));
  Terminal terminal = plain(120);
  EXPECT_THAT(summary.render(terminal, {}), Not(HasSubstr("\x1b")));
  EXPECT_THAT(summary.render(terminal, {}), HasSubstr("x\\x1b[2J"));
  terminal.colour = true;
  EXPECT_THAT(summary.render(terminal, {}), HasSubstr("\x1b[31m1 (100%)\x1b[0m"));
  EXPECT_THAT(summary.render(terminal, {}), HasSubstr("\x1b[32mlost: nothing\x1b[0m"));
}

}  // namespace
}  // namespace zerospan::viewer
