// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/propagation/harm_budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace zerospan::propagation {
namespace {

using std::chrono::seconds;

class Budget : public testing::Test {
 protected:
  void feed(uint64_t answered, uint64_t broken, uint64_t stalled = 0) {
    totals_.answered += answered;
    totals_.broken += broken;
    totals_.stalled += stalled;
  }
  std::string exceeded(int at) { return budget_.exceeded(start_ + seconds(at), totals_); }

  HarmBudget::Totals totals_;
  HarmBudget budget_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

TEST_F(Budget, NothingIsNothing) {
  EXPECT_EQ(exceeded(0), "");
  EXPECT_EQ(exceeded(1000), "");
}

TEST_F(Budget, FewBrokenAreChance) {
  EXPECT_EQ(exceeded(0), "");
  feed(0, 19);  // a peer that went away
  EXPECT_EQ(exceeded(1), "");
  feed(0, 1);
  EXPECT_THAT(exceeded(2), testing::StartsWith("20 of 20 requests"));
}

TEST_F(Budget, ASmallShareIsChance) {
  EXPECT_EQ(exceeded(0), "");
  feed(1000, 249);
  EXPECT_EQ(exceeded(1), "");
  feed(0, 2);
  EXPECT_THAT(exceeded(2), testing::StartsWith("251 of 1251"));
}

TEST_F(Budget, Stalls) {
  EXPECT_EQ(exceeded(0), "");
  feed(100000, 0, 2);
  EXPECT_EQ(exceeded(1), "");
  feed(0, 0, 1);
  EXPECT_THAT(exceeded(2), testing::HasSubstr("3 connections stood still"));
}

TEST_F(Budget, WindowsAreCountedApart) {
  EXPECT_EQ(exceeded(0), "");
  feed(0, 19, 2);
  EXPECT_EQ(exceeded(61), "");
  feed(0, 19, 2);
  EXPECT_EQ(exceeded(62), "");
  feed(0, 1);
  EXPECT_NE(exceeded(63), "");
}

}  // namespace
}  // namespace zerospan::propagation
