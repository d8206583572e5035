// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The stream of .debug_info: numbers and short strings, in order, through a buffer of 256 KiB.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "symbols/elf/section_stream.h"

namespace zerospan::symbols::dwarf {

// After the first read beyond the end, or beyond the limit, it has failed for good and gives zeros.
// One thread.
class Reader {
 public:
  static constexpr size_t kMaxString = 1024;

  explicit Reader(elf::SectionStream stream)
      : stream_(std::move(stream)),
        buffer_(std::clamp<uint64_t>(stream_.size(), 2 * kMaxString, 256 * 1024)) {}

  [[nodiscard]] bool failed() const { return failed_; }
  // Bytes from the section's beginning.
  [[nodiscard]] uint64_t position() const { return before_ + at_; }
  [[nodiscard]] uint64_t size() const { return stream_.size(); }
  // For what cannot be stepped over.
  void fail() { failed_ = true; }
  // No byte at or behind this position is given out any more; `end` is not before position().
  void set_limit(uint64_t end) { limit_ = end; }

  // A little-endian number of 1, 2, 3, 4 or 8 bytes.
  [[nodiscard]] uint64_t number(size_t bytes);
  [[nodiscard]] uint64_t uleb();
  void skip(uint64_t count);
  // A string up to its zero byte, which is taken too. Valid until the next call; empty for a string
  // that is longer than kMaxString.
  [[nodiscard]] std::string_view string();

 private:
  // Makes `count` bytes available in the buffer; fewer at the end.
  size_t available(size_t count);

  elf::SectionStream stream_;
  std::vector<std::byte> buffer_;
  size_t at_ = 0;
  size_t filled_ = 0;
  uint64_t before_ = 0;  // bytes of the section before the buffer's first
  uint64_t limit_ = UINT64_MAX;
  bool failed_ = false;
};

}  // namespace zerospan::symbols::dwarf
