// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What stands for atomic instructions with a result on old kernels, raced by threads.
#include "bpf/lib/without_result.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

namespace {

constexpr int kThreads = 4;
constexpr int kRounds = 200'000;

template <typename Body>
void race(const Body& body) {
  std::vector<std::jthread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back(body, i);
  }
}

TEST(WithoutResult, WhatIsToldWasTheSum) {
  __u64 sum = 0;
  // Each thread adds a number of its own, so that a sum that is told twice or wrongly shows as
  // stretches that overlap.
  std::array<std::vector<std::pair<__u64, __u64>>, kThreads> told;
  race([&](int self) {
    const __u64 count = static_cast<__u64>(self) + 1;
    for (int i = 0; i < kRounds; ++i) {
      __u64 before = 0;
      if (zs_add_alone(&sum, count, &before)) {
        told.at(static_cast<size_t>(self)).emplace_back(before, count);
      }
    }
  });
  EXPECT_EQ(sum, static_cast<__u64>(kRounds) * kThreads * (kThreads + 1) / 2);
  std::vector<uint8_t> taken(sum);
  size_t successes = 0;
  for (const auto& stretches : told) {
    successes += stretches.size();
    for (const auto& [before, count] : stretches) {
      ASSERT_LE(before + count, sum);
      for (__u64 at = before; at < before + count; ++at) {
        ASSERT_EQ(taken[at]++, 0) << "at " << at;
      }
    }
  }
  EXPECT_GT(successes, 0U);
}

TEST(WithoutResult, AloneItAlwaysTells) {
  __u64 sum = 5;
  __u64 before = 0;
  ASSERT_TRUE(zs_add_alone(&sum, 7, &before));
  EXPECT_EQ(before, 5U);
  EXPECT_EQ(sum, 12U);
}

TEST(WithoutResult, OneClaimsAtATime) {
  constexpr __u64 kFree = 1;
  constexpr __u64 kClaimed = ~0ULL;
  __u64 value = kFree;
  __u64 claims = 0;
  __u64 protected_count = 0;  // no atomic: it is only right if nobody else is there
  std::array<__u64, kThreads> successes{};
  race([&](int self) {
    for (int i = 0; i < kRounds; ++i) {
      if (zs_claim_alone(&value, kFree, kClaimed, &claims)) {
        volatile __u64* count = &protected_count;
        *count = *count + 1;
        zs_release_alone(&value, kFree, &claims);
        successes.at(static_cast<size_t>(self)) += 1;
      }
    }
  });
  __u64 sum = 0;
  for (const __u64 each : successes) {
    sum += each;
  }
  EXPECT_EQ(protected_count, sum);
  EXPECT_GT(sum, 0U);
  EXPECT_EQ(claims, 0U);
  EXPECT_EQ(value, kFree);
}

TEST(WithoutResult, WhatIsClaimedOrAnothersIsNotClaimed) {
  __u64 value = 1;
  __u64 claims = 0;
  EXPECT_FALSE(zs_claim_alone(&value, 2, 9, &claims));
  EXPECT_EQ(value, 1U);
  EXPECT_TRUE(zs_claim_alone(&value, 1, 9, &claims));
  EXPECT_FALSE(zs_claim_alone(&value, 9, 8, &claims));
  zs_release_alone(&value, 3, &claims);
  EXPECT_TRUE(zs_claim_alone(&value, 3, 9, &claims));
}

}  // namespace
