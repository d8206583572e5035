// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Over plain memory that is written as kernel/bpf/ringbuf.c does. tests/integration reads the
// kernel's own.

#include "agent/kernel/ring_reader.h"

#include <gtest/gtest.h>
#include <linux/bpf.h>

#include <atomic>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>

namespace zerospan::kernel {
namespace {

struct Ring {
  explicit Ring(size_t bytes) : data(bytes) {}

  [[nodiscard]] RingMemory memory() { return {&consumer, &producer, data}; }
  [[nodiscard]] size_t room() {
    return data.size() - (producer - std::atomic_ref(consumer).load(std::memory_order_acquire));
  }
  static size_t size_of(std::string_view text) { return (8 + text.size() + 7) / 8 * 8; }

  // Where the record begins, until commit() busy.
  size_t reserve(std::string_view text) {
    const size_t start = producer % data.size();
    for (size_t i = 0; i < text.size(); ++i) {
      data[(start + 8 + i) % data.size()] = static_cast<std::byte>(text[i]);
    }
    set(start, BPF_RINGBUF_BUSY_BIT | text.size());
    std::atomic_ref(producer).store(producer + size_of(text), std::memory_order_release);
    return start;
  }
  void commit(size_t start, size_t length, uint32_t flags = 0) {
    set(start, static_cast<uint32_t>(length) | flags);
  }
  void write(std::string_view text) { commit(reserve(text), text.size()); }
  void set(size_t start, uint64_t word) {
    std::atomic_ref(*reinterpret_cast<uint32_t*>(&data[start]))
        .store(static_cast<uint32_t>(word), std::memory_order_release);
  }

  alignas(8) uint64_t consumer = 0;
  alignas(8) uint64_t producer = 0;
  std::vector<std::byte> data;
};

std::vector<std::string> read(RingReader& reader) {
  std::vector<std::string> texts;
  reader.consume([&](std::span<const std::byte> record) {
    texts.emplace_back(reinterpret_cast<const char*>(record.data()), record.size());
  });
  return texts;
}

TEST(RingReader, HandsOutRecordsInOrder) {
  Ring ring(4096);
  RingReader reader(ring.memory());
  EXPECT_TRUE(read(reader).empty());
  ring.write("one");
  ring.write("");
  ring.write("three of them");
  EXPECT_EQ(read(reader), (std::vector<std::string>{"one", "", "three of them"}));
  EXPECT_EQ(ring.consumer, ring.producer);
  EXPECT_TRUE(read(reader).empty());
}

TEST(RingReader, PutsARecordTogetherThatGoesOverTheEnd) {
  Ring ring(4096);
  RingReader reader(ring.memory());
  for (size_t lap = 0; lap < 50; ++lap) {
    for (size_t i = 0; i < 7; ++i) {
      const std::string text(300 + lap * 3 + i, static_cast<char>('a' + (lap + i) % 26));
      ring.write(text);
      ASSERT_EQ(read(reader), std::vector<std::string>{text}) << "lap " << lap;
    }
  }
}

TEST(RingReader, StopsAtARecordThatIsBeingWritten) {
  Ring ring(4096);
  RingReader reader(ring.memory());
  ring.write("done");
  const size_t busy = ring.reserve("busy");
  ring.write("behind it");
  EXPECT_EQ(read(reader), std::vector<std::string>{"done"});
  EXPECT_TRUE(read(reader).empty());
  ring.commit(busy, 4);
  EXPECT_EQ(read(reader), (std::vector<std::string>{"busy", "behind it"}));
}

TEST(RingReader, LeavesOutDiscardedRecords) {
  Ring ring(4096);
  RingReader reader(ring.memory());
  ring.commit(ring.reserve("not wanted"), 10, BPF_RINGBUF_DISCARD_BIT);
  ring.write("wanted");
  EXPECT_EQ(read(reader), std::vector<std::string>{"wanted"});
  ring.commit(ring.reserve("not wanted"), 10, BPF_RINGBUF_DISCARD_BIT);
  EXPECT_TRUE(read(reader).empty());
  EXPECT_EQ(ring.consumer, ring.producer);
}

// A writer that fills the ring depends on being told within a batch, not at its end.
TEST(RingReader, TellsHowFarItIsWithinABatch) {
  Ring ring(4 * RingReader::kPublishBytes);
  RingReader reader(ring.memory());
  const std::string text(1000, 'x');
  while (ring.room() >= Ring::size_of(text)) {
    ring.write(text);
  }
  uint64_t position = 0;
  reader.consume([&](std::span<const std::byte>) {
    position += Ring::size_of(text);
    EXPECT_LE(position - ring.consumer, RingReader::kPublishBytes + 2 * Ring::size_of(text));
  });
  EXPECT_EQ(ring.consumer, ring.producer);
}

TEST(RingReader, FollowsAWriterOnAnotherThread) {
  Ring ring(4096);
  RingReader reader(ring.memory());
  constexpr size_t kRecords = 20'000;
  const auto text = [](size_t i) { return std::string(i % 300, static_cast<char>(i % 251)); };
  std::thread writer([&] {
    for (size_t i = 0; i < kRecords; ++i) {
      while (ring.room() < Ring::size_of(text(i))) {
        std::this_thread::yield();
      }
      ring.write(text(i));
    }
  });
  size_t next = 0;
  while (next < kRecords) {
    for (const std::string& record : read(reader)) {
      ASSERT_EQ(record, text(next)) << next;
      ++next;
    }
  }
  writer.join();
}

}  // namespace
}  // namespace zerospan::kernel
