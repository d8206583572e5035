// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Sequential reading of one section's contents, decompressed on the way: SHF_COMPRESSED with zlib
// or zstd (gABI "Section Compression") and the older .zdebug_ form of GNU binutils. Memory is
// bounded whatever the section says: buffers of 64 KiB, and the decompressor's window (at most 16
// MiB).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "agent/core/result.h"
#include "symbols/elf/file.h"

namespace zerospan::symbols::elf {

// `.debug_NAME` or `.zdebug_NAME`, without the leading ".debug_"; null if neither has bytes.
[[nodiscard]] const Section* debug_section(const File& file, std::string_view name);

// Refers to its file. One thread.
class SectionStream {
 public:
  // kUnsupported for another compression, kMalformed for a broken header.
  [[nodiscard]] static Result<SectionStream> open(const File& file, const Section& section);
  SectionStream(SectionStream&&) noexcept;
  SectionStream& operator=(SectionStream&&) noexcept;
  ~SectionStream();

  // The size after decompression, as the section tells it; no more is ever given out.
  [[nodiscard]] uint64_t size() const { return size_; }
  // Fills `out` as far as there are bytes; less than asked only at the end, or where the contents
  // cannot be read or decompressed.
  [[nodiscard]] size_t read(std::span<std::byte> out);

 private:
  class Decompressor;
  class Zlib;
  class Zstd;

  SectionStream(const File& file, uint64_t offset, uint64_t stored, uint64_t size);
  [[nodiscard]] bool refill();

  const File* file_;
  uint64_t offset_;  // of the next bytes in the file
  uint64_t stored_;  // bytes in the file that are left
  uint64_t size_;
  uint64_t given_ = 0;
  std::unique_ptr<Decompressor> decompressor_;  // null for what is stored as it is
  std::vector<std::byte> buffer_;
  std::span<const std::byte> input_;  // of buffer_, not decompressed yet
};

// All of it. Nothing is allocated beyond what could be read; kMalformed if it is larger than
// `limit` or ends early.
[[nodiscard]] Result<std::vector<std::byte>> read_section(const File& file, const Section& section,
                                                          uint64_t limit);

}  // namespace zerospan::symbols::elf
