// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What an executable file tells about its program, from its section headers and notes. Pure over a
// source of bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "agent/core/result.h"

namespace zerospan::discovery {

// Where the bytes of a file come from.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills `out` from `offset`; false if not all of it is there.
  [[nodiscard]] virtual bool read(uint64_t offset, std::span<std::byte> out) = 0;
};

// Reads a file by pread(2). Does not own the descriptor.
class FileSource final : public ByteSource {
 public:
  explicit FileSource(int fd) : fd_(fd) {}
  [[nodiscard]] bool read(uint64_t offset, std::span<std::byte> out) override;

 private:
  int fd_;
};

struct ElfTraits {
  bool is_go = false;  // built by the Go toolchain: .go.buildinfo, .gopclntab or Go's build id note
};

// ELF (System V gABI, chapters 4 and 5), 32 and 64 bit, little endian. Reads at most about 1 MiB in
// a bounded number of steps, whatever the file says; kMalformed for what is no such file.
[[nodiscard]] Result<ElfTraits> read_elf_traits(ByteSource& source);

}  // namespace zerospan::discovery
