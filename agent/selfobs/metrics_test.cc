// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/selfobs/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace zerospan::selfobs {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Metrics, RendersFamiliesWithHelpTypeAndLabels) {
  Metrics metrics;
  uint64_t lost = 7;
  metrics.add([&lost](Samples& samples) {
    samples.counter("zerospan_records_lost_total", "Records lost.", static_cast<double>(lost),
                    {{"reason", "ring_full"}, {"worker", "0"}});
    samples.gauge("zerospan_ring_used_ratio", "Use of the ring.", 0.5);
  });
  metrics.add([](Samples& samples) {
    samples.counter("zerospan_records_lost_total", "Records lost.", 2, {{"reason", "gap \"x\"\n"}});
  });
  const std::string text = metrics.render();
  EXPECT_THAT(text, HasSubstr("# HELP zerospan_records_lost_total Records lost.\n"
                              "# TYPE zerospan_records_lost_total counter\n"
                              "zerospan_records_lost_total{reason=\"ring_full\",worker=\"0\"} 7\n"
                              "zerospan_records_lost_total{reason=\"gap \\\"x\\\"\\n\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("zerospan_ring_used_ratio 0.5\n"));
  lost = 8;
  EXPECT_THAT(metrics.render(), HasSubstr("worker=\"0\"} 8\n"));
}

TEST(Metrics, HistogramBucketsAreCumulative) {
  const std::array<double, 2> bounds = {0.001, 0.01};
  Histogram histogram(bounds);
  histogram.observe(0.0005);
  histogram.observe(0.001);
  histogram.observe(0.005);
  histogram.observe(3);
  Metrics metrics;
  metrics.add([&histogram](Samples& samples) {
    samples.histogram("zerospan_stage_seconds", "Time in a stage.", histogram.value(),
                      {{"stage", "decode"}});
  });
  const std::string text = metrics.render();
  EXPECT_THAT(text, HasSubstr("zerospan_stage_seconds_count{stage=\"decode\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("{stage=\"decode\",le=\"0.001\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("{stage=\"decode\",le=\"0.01\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("{stage=\"decode\",le=\"+Inf\"} 4\n"));
  EXPECT_NEAR(histogram.value().sum, 3.0065, 1e-9);
}

TEST(Metrics, WrongSamplesAreLeftOutAndCounted) {
  Metrics metrics;
  metrics.add([](Samples& samples) {
    samples.counter("zerospan_spans", "A counter without _total.", 1);
    samples.gauge("zerospan_spans_total", "A gauge with it.", 1);
    samples.gauge("spans", "No prefix.", 1);
    samples.gauge("zerospan_a-b", "No name.", 1);
    samples.gauge("zerospan_ok", "Fine.", 1);
    samples.gauge("zerospan_ok", "Bad label.", 1, {{"a b", "c"}});
    samples.histogram("zerospan_ok", "Another kind.", {{}, {1}, 1});
    samples.histogram("zerospan_h", "Counts missing.", {{1.0}, {1}, 1});
  });
  const std::string text = metrics.render();
  EXPECT_THAT(text, HasSubstr("zerospan_metrics_rejected_total 7\n"));
  EXPECT_THAT(text, HasSubstr("zerospan_ok 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("zerospan_spans")));
}

TEST(Metrics, ProcessMetricsAreOfThisProcess) {
  Metrics metrics;
  metrics.add(collect_process);
  const std::string text = metrics.render();
  const auto value = [&text](const std::string& name) {
    const size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? NAN : std::stod(text.substr(at + name.size() + 2));
  };
  EXPECT_GT(value("zerospan_process_resident_memory_bytes"), 100'000);
  EXPECT_GE(value("zerospan_process_cpu_seconds_total"), 0);
  EXPECT_GE(value("zerospan_process_open_fds"), 3);
  EXPECT_GE(value("zerospan_process_threads"), 1);
}

}  // namespace
}  // namespace zerospan::selfobs
