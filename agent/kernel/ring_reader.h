// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reads a BPF ring buffer (Documentation/bpf/ringbuf.rst, kernel/bpf/ringbuf.c). Apart from
// libbpf's reader in two ways:
// - It maps the data once, and copies the one record in a lap that goes over the end. libbpf maps
//   them twice in a row, and each page counts twice as resident memory.
// - It tells the kernel side how far it is once per kPublishBytes and not once per record. The
//   program that writes the next record reads that word, and would find it in the other CPU's cache
//   each time.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "agent/core/result.h"

namespace zerospan::kernel {

// The memory that kernel side and reader share. Positions count bytes since the ring was made.
struct RingMemory {
  uint64_t* consumer_position = nullptr;        // ours to write
  const uint64_t* producer_position = nullptr;  // the kernel's, as the data
  std::span<const std::byte> data;              // its size is a power of two
};

// Not thread-safe: one reader for a ring, used by one thread at a time.
class RingReader {
 public:
  using Handler = std::function<void(std::span<const std::byte>)>;

  // Maps the ring buffer of `map_fd`, whose max_entries are `ring_bytes`; borrows the descriptor
  // until it returns.
  static Result<RingReader> map(int map_fd, size_t ring_bytes);
  // Memory that the caller keeps.
  explicit RingReader(const RingMemory& memory) : memory_(memory) {}

  // Hands out the records that were committed before the call, in order, up to the first one that
  // is still being written; returns their number. The bytes are valid during the handler's call.
  size_t consume(const Handler& handler);

  static constexpr uint64_t kPublishBytes = 64U << 10U;

 private:
  std::span<const std::byte> record(uint64_t position, size_t length);

  RingMemory memory_;
  std::vector<std::byte> wrapped_;
  std::shared_ptr<void> consumer_page_;
  std::shared_ptr<void> producer_pages_;
};

}  // namespace zerospan::kernel
