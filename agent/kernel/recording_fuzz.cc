// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Any bytes as a recording: it is refused, or read entry by entry to its end, and every entry is a
// part of the file.

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "agent/core/unique_fd.h"
#include "agent/kernel/recording.h"

namespace {

void require(bool holds, const char* what) {
  if (!holds) {
    std::fprintf(stderr, "broken: %s\n", what);
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace zerospan;  // NOLINT(google-build-using-namespace)
  const UniqueFd file(::memfd_create("recording", MFD_CLOEXEC));
  require(file.valid() && ::write(file.get(), data, size) == static_cast<ssize_t>(size),
          "a file in memory");
  auto reader = kernel::RecordingReader::open("/proc/self/fd/" + std::to_string(file.get()));
  if (!reader) {
    return 0;
  }
  kernel::Entry entry;
  size_t read = 0;
  while (true) {
    const Result<bool> more = (*reader)->next(entry);
    if (!more || !*more) {
      break;
    }
    read += 8 + entry.bytes.size();
    require(read <= size, "no entry that the file does not hold");
    require(entry.type >= kernel::EntryType::kRecord && entry.type <= kernel::EntryType::kEnd,
            "a known type");
    uint64_t sum = 0;
    for (const std::byte byte : entry.bytes) {
      sum += static_cast<uint64_t>(byte);
    }
    volatile uint64_t use = sum;
    static_cast<void>(use);
  }
  return 0;
}
