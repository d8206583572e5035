// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/kernel/ring_reader.h"

#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

namespace zerospan::kernel {

namespace {

constexpr uint64_t kAlignment = 8;

Result<std::shared_ptr<void>> map_pages(int fd, size_t length, int protection, size_t offset) {
  void* pages = ::mmap(nullptr, length, protection, MAP_SHARED, fd, static_cast<off_t>(offset));
  if (pages == MAP_FAILED) {
    return tl::unexpected(error_from_errno(errno, "mapping a ring buffer"));
  }
  return std::shared_ptr<void>(pages, [length](void* mapped) { ::munmap(mapped, length); });
}

}  // namespace

Result<RingReader> RingReader::map(int map_fd, size_t ring_bytes) {
  // One page with the consumer's position, one with the producer's, then the data.
  const auto page = static_cast<size_t>(::getpagesize());
  auto consumer = map_pages(map_fd, page, PROT_READ | PROT_WRITE, 0);
  if (!consumer) {
    return tl::unexpected(consumer.error());
  }
  auto producer = map_pages(map_fd, page + ring_bytes, PROT_READ, page);
  if (!producer) {
    return tl::unexpected(producer.error());
  }
  const auto* pages = static_cast<const std::byte*>(producer->get());
  RingReader reader({.consumer_position = static_cast<uint64_t*>(consumer->get()),
                     .producer_position = static_cast<const uint64_t*>(producer->get()),
                     .data = {pages + page, ring_bytes}});
  reader.consumer_page_ = std::move(*consumer);
  reader.producer_pages_ = std::move(*producer);
  return reader;
}

std::span<const std::byte> RingReader::record(uint64_t position, size_t length) {
  const size_t start = position & (memory_.data.size() - 1);
  const size_t until_end = memory_.data.size() - start;
  if (length <= until_end) {
    return memory_.data.subspan(start, length);
  }
  wrapped_.resize(length);
  std::memcpy(wrapped_.data(), memory_.data.data() + start, until_end);
  std::memcpy(wrapped_.data() + until_end, memory_.data.data(), length - until_end);
  return wrapped_;
}

size_t RingReader::consume(const Handler& handler) {
  const std::atomic_ref<uint64_t> published(*memory_.consumer_position);
  // Only read: atomic_ref has no form for const objects before C++26.
  const std::atomic_ref<uint64_t> producer(*const_cast<uint64_t*>(memory_.producer_position));
  const uint64_t end = producer.load(std::memory_order_acquire);
  uint64_t position = published.load(std::memory_order_relaxed);
  uint64_t told = position;
  size_t count = 0;
  while (position < end) {
    // Its first word is the length with two flags; aligned, and never over the data's end.
    const std::byte* header = &memory_.data[position & (memory_.data.size() - 1)];
    const std::atomic_ref<uint32_t> first(
        *reinterpret_cast<uint32_t*>(const_cast<std::byte*>(header)));
    const uint32_t word = first.load(std::memory_order_acquire);
    if ((word & BPF_RINGBUF_BUSY_BIT) != 0) {
      break;
    }
    const uint32_t length = word & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
    const uint64_t next =
        position + (BPF_RINGBUF_HDR_SZ + length + kAlignment - 1) / kAlignment * kAlignment;
    if ((word & BPF_RINGBUF_DISCARD_BIT) == 0) {
      handler(record(position + BPF_RINGBUF_HDR_SZ, length));
      ++count;
    }
    position = next;
    if (position - told >= kPublishBytes) {
      published.store(position, std::memory_order_release);
      told = position;
    }
  }
  if (position != told) {
    published.store(position, std::memory_order_release);
  }
  return count;
}

}  // namespace zerospan::kernel
