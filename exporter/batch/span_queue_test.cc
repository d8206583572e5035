// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "exporter/batch/span_queue.h"

#include <gtest/gtest.h>

namespace zerospan::batch {
namespace {

std::vector<model::Span> spans(uint64_t first, uint64_t count) {
  std::vector<model::Span> made(count);
  for (uint64_t i = 0; i < count; ++i) {
    made[i].start_unix_ns = first + i;
  }
  return made;
}

std::vector<uint64_t> numbers(const std::vector<std::vector<model::Span>>& chunks) {
  std::vector<uint64_t> all;
  for (const auto& chunk : chunks) {
    for (const model::Span& span : chunk) {
      all.push_back(span.start_unix_ns);
    }
  }
  return all;
}

TEST(SpanQueueTest, KeepsTheOldestWhenFull) {
  SpanQueue queue(5);
  auto first = spans(0, 3);
  auto second = spans(3, 4);
  auto third = spans(7, 1);
  queue.push(first);
  queue.push(second);
  queue.push(third);
  EXPECT_TRUE(first.empty());
  ASSERT_EQ(second.size(), 2U);
  EXPECT_EQ(second[0].start_unix_ns, 5U);
  EXPECT_EQ(third.size(), 1U);
  EXPECT_EQ(queue.size(), 5U);
  EXPECT_EQ(numbers(queue.take(100)), (std::vector<uint64_t>{0, 1, 2, 3, 4}));
  EXPECT_TRUE(queue.empty());
}

TEST(SpanQueueTest, GivesWholeChunksAndTakesTheExcessBack) {
  SpanQueue queue(100);
  for (uint64_t i = 0; i < 4; ++i) {
    auto chunk = spans(i * 3, 3);
    queue.push(chunk);
  }
  auto taken = queue.take(4);
  EXPECT_EQ(numbers(taken), (std::vector<uint64_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(queue.size(), 6U);
  queue.put_back(spans(4, 2));
  EXPECT_EQ(queue.size(), 8U);
  EXPECT_EQ(numbers(queue.take(2)), (std::vector<uint64_t>{4, 5}));
  EXPECT_TRUE(queue.take(0).empty());
}

TEST(SpanQueueTest, NothingIsNothing) {
  SpanQueue queue(1);
  std::vector<model::Span> none;
  queue.push(none);
  EXPECT_TRUE(queue.take(5).empty());
}

}  // namespace
}  // namespace zerospan::batch
