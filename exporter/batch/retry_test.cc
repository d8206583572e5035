// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "exporter/batch/retry.h"

#include <gtest/gtest.h>

namespace zerospan::batch {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using TimePoint = RetrySchedule::TimePoint;

const TimePoint kStart{seconds(1000)};

RetryOptions exact() {
  RetryOptions options;
  options.initial_interval = milliseconds(100);
  options.max_interval = milliseconds(500);
  options.multiplier = 2;
  options.jitter = 0;
  options.max_elapsed = seconds(10);
  return options;
}

TEST(RetryScheduleTest, IntervalsGrowToTheLongest) {
  RetrySchedule schedule(exact(), 1);
  schedule.begin_request(kStart);
  EXPECT_LE(schedule.not_before(), kStart);
  TimePoint now = kStart;
  for (const int expected : {100, 200, 400, 500, 500}) {
    ASSERT_TRUE(schedule.on_failure(now, std::nullopt));
    EXPECT_EQ(schedule.not_before() - now, milliseconds(expected));
    now = schedule.not_before();
  }
}

TEST(RetryScheduleTest, AnAnswerStartsOver) {
  RetrySchedule schedule(exact(), 1);
  schedule.begin_request(kStart);
  ASSERT_TRUE(schedule.on_failure(kStart, std::nullopt));
  ASSERT_TRUE(schedule.on_failure(kStart, std::nullopt));
  schedule.on_answer();
  EXPECT_LE(schedule.not_before(), kStart);
  ASSERT_TRUE(schedule.on_failure(kStart, std::nullopt));
  EXPECT_EQ(schedule.not_before() - kStart, milliseconds(100));
}

TEST(RetryScheduleTest, JitterSpreadsWithinItsBounds) {
  RetryOptions options = exact();
  options.jitter = 0.2;
  milliseconds least{1000};
  milliseconds most{0};
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    RetrySchedule schedule(options, seed * 7919);
    schedule.begin_request(kStart);
    ASSERT_TRUE(schedule.on_failure(kStart, std::nullopt));
    const auto wait = std::chrono::duration_cast<milliseconds>(schedule.not_before() - kStart);
    least = std::min(least, wait);
    most = std::max(most, wait);
  }
  EXPECT_GE(least, milliseconds(80));
  EXPECT_LT(least, milliseconds(90));
  EXPECT_LE(most, milliseconds(120));
  EXPECT_GT(most, milliseconds(110));
}

TEST(RetryScheduleTest, TheReceiversWishIsALowerBound) {
  RetrySchedule schedule(exact(), 1);
  schedule.begin_request(kStart);
  ASSERT_TRUE(schedule.on_failure(kStart, seconds(3)));
  EXPECT_EQ(schedule.not_before() - kStart, seconds(3));
  ASSERT_TRUE(schedule.on_failure(kStart, milliseconds(1)));
  EXPECT_EQ(schedule.not_before() - kStart, milliseconds(200));
}

TEST(RetryScheduleTest, ARequestExpiresButTheWaitHoldsForTheNext) {
  RetrySchedule schedule(exact(), 1);
  schedule.begin_request(kStart);
  EXPECT_FALSE(schedule.on_failure(kStart, seconds(60)));
  schedule.begin_request(kStart + seconds(1));
  EXPECT_EQ(schedule.not_before(), kStart + seconds(60));
  EXPECT_EQ(schedule.expires(), kStart + seconds(11));
}

}  // namespace
}  // namespace zerospan::batch
