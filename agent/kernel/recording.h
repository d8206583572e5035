// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// A run's records in a file: everything that decides the spans, so that a replay needs no kernel,
// no privilege and no traced program. The file holds what the traced programs sent (message heads):
// treat it as secret.
//
// Format: the line "zerospan recording N\n" (N = ZS_ABI_VERSION), a 64-bit seed, then entries until
// the end of the file: type (u8), ring (u8), two zero bytes, length (u32), then that many bytes.
// All little-endian. A file that ends inside an entry was cut off: the whole entries are good.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "agent/core/result.h"

namespace zerospan::kernel {

enum class EntryType : uint8_t {
  kRecord = 1,   // a record of the kernel side; addresses of kernel objects are zeroed
  kProcess = 2,  // JSON: what was known of a process
  kClock = 3,    // two u64: the same instant in CLOCK_MONOTONIC and in Unix time, in nanoseconds
  kEnd = 4,      // one u64: the ring was drained for the last time at this CLOCK_MONOTONIC time
};

struct Entry {
  EntryType type = EntryType::kRecord;
  uint8_t ring = 0;
  std::span<const std::byte> bytes;
};

// Thread-safe: each worker writes its own ring's entries, in order.
class RecordingWriter {
 public:
  // Replaces the file; it is readable by its owner only.
  static Result<std::unique_ptr<RecordingWriter>> create(const std::string& path, uint64_t seed);
  ~RecordingWriter();
  RecordingWriter(const RecordingWriter&) = delete;
  RecordingWriter& operator=(const RecordingWriter&) = delete;

  void write(EntryType type, uint8_t ring, std::span<const std::byte> bytes);
  // Flushes; an error here or in an earlier write is told once.
  Status close();
  [[nodiscard]] uint64_t entries() const { return entries_; }

 private:
  explicit RecordingWriter(std::string path, std::FILE* file)
      : path_(std::move(path)), file_(file) {}

  std::string path_;
  std::FILE* file_;
  std::mutex mutex_;
  uint64_t entries_ = 0;
  int error_ = 0;
};

// Reads entry after entry. Single-threaded. Any bytes are read safely; an entry longer than any
// that is written ends the reading with an error.
class RecordingReader {
 public:
  static Result<std::unique_ptr<RecordingReader>> open(const std::string& path);
  ~RecordingReader();
  RecordingReader(const RecordingReader&) = delete;
  RecordingReader& operator=(const RecordingReader&) = delete;

  [[nodiscard]] uint64_t seed() const { return seed_; }
  // False at the end. The entry's bytes are valid until the next call.
  Result<bool> next(Entry& entry);
  [[nodiscard]] bool truncated() const { return truncated_; }

 private:
  RecordingReader(std::string path, std::FILE* file) : path_(std::move(path)), file_(file) {}

  std::string path_;
  std::FILE* file_;
  uint64_t seed_ = 0;
  bool truncated_ = false;
  std::unique_ptr<std::byte[]> buffer_;
};

}  // namespace zerospan::kernel
