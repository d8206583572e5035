// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// For tests only: ELF files made by hand, and programs made by the compilers at hand.
#pragma once

#include <elf.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "symbols/elf/file.h"

namespace zerospan::symbols::elf {

struct Piece {
  std::string name;
  std::string bytes;
  uint64_t address = 0;  // not 0: a segment loads it there
  uint32_t type = SHT_PROGBITS;
  uint64_t flags = 0;
  uint32_t segment_flags = PF_R;
  uint32_t link = 0;
};

// A file with these sections, in order from number 1 on, and .shstrtab behind them.
[[nodiscard]] std::string make_elf(const std::vector<Piece>& pieces, uint16_t machine = EM_X86_64,
                                   uint16_t type = ET_EXEC);

template <typename T>
void append(std::string& out, const T& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// A source that owns its bytes.
[[nodiscard]] std::unique_ptr<ByteSource> source_of(std::string bytes);

// A new folder below TMPDIR, removed with all it has when this is destroyed.
class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();
  [[nodiscard]] std::string operator/(std::string_view name) const;
  // Gives the path.
  [[nodiscard]] std::string write(std::string_view name, std::string_view bytes) const;

 private:
  std::string path_;
};

// What a shell command prints; a failure of the test if it fails, with what it said. At most two
// minutes unless told otherwise.
[[nodiscard]] std::string output_of(const std::string& command, int seconds = 120);

[[nodiscard]] std::vector<std::string> lines_of(const std::string& text);

// "program" is on PATH.
[[nodiscard]] bool has_program(const std::string& program);

}  // namespace zerospan::symbols::elf
