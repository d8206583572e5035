// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Where the bytes of a file come from. A file is read by pread(2) into the reader's own buffers and
// never mapped: a program's file may be truncated while it is read, which is a short read here and
// would be SIGBUS in a mapping.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "agent/core/result.h"
#include "agent/core/unique_fd.h"

namespace zerospan::symbols::elf {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills `out` from `offset`; false if not all of it is there.
  [[nodiscard]] virtual bool read(uint64_t offset, std::span<std::byte> out) const = 0;
  // As it was when the source was opened.
  [[nodiscard]] virtual uint64_t size() const = 0;
};

// Owns the descriptor. Any thread may read.
class FileSource final : public ByteSource {
 public:
  [[nodiscard]] static Result<FileSource> open(const std::string& path);
  // Of a descriptor; kUnsupported if it is no regular file.
  [[nodiscard]] static Result<FileSource> adopt(UniqueFd fd);

  [[nodiscard]] bool read(uint64_t offset, std::span<std::byte> out) const override;
  [[nodiscard]] uint64_t size() const override { return size_; }

 private:
  FileSource(UniqueFd fd, uint64_t size) : fd_(std::move(fd)), size_(size) {}

  UniqueFd fd_;
  uint64_t size_;
};

// Bytes that outlive it.
class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::span<const std::byte> bytes) : bytes_(bytes) {}
  [[nodiscard]] bool read(uint64_t offset, std::span<std::byte> out) const override;
  [[nodiscard]] uint64_t size() const override { return bytes_.size(); }

 private:
  std::span<const std::byte> bytes_;
};

// `length` bytes from `offset`. Nothing is allocated for what is longer than `limit` or than the
// source: that is kMalformed, as is a short read.
[[nodiscard]] Result<std::vector<std::byte>> read_bytes(const ByteSource& source, uint64_t offset,
                                                        uint64_t length, uint64_t limit);

// A buffer that slides over a part of a source, so that look-ups which go mostly forward cost one
// system call per buffer. One thread.
class Window {
 public:
  static constexpr size_t kCapacity = 256 * 1024;

  Window(const ByteSource& source, uint64_t begin, uint64_t size);

  // `length` bytes at `offset` from the part's beginning, valid until the next call; empty if they
  // are not all there or more than kCapacity.
  [[nodiscard]] std::span<const std::byte> at(uint64_t offset, size_t length);
  [[nodiscard]] uint64_t size() const { return size_; }

 private:
  const ByteSource& source_;
  uint64_t begin_;
  uint64_t size_;
  uint64_t buffer_offset_ = 0;
  size_t buffer_size_ = 0;
  std::vector<std::byte> buffer_;
};

}  // namespace zerospan::symbols::elf
