// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The headers of one ELF file (System V gABI chapters 4 and 5): 64 bit, little endian, x86-64 or
// AArch64. All numbers are as the file tells them; whoever follows one reads through ByteSource,
// which knows where the file ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/result.h"
#include "symbols/elf/byte_source.h"

namespace zerospan::symbols::elf {

enum class Machine : uint8_t { kX86_64, kAarch64 };
[[nodiscard]] std::string_view to_string(Machine machine);

struct Segment {
  uint32_t type = 0;   // PT_...
  uint32_t flags = 0;  // PF_...
  uint64_t offset = 0;
  uint64_t address = 0;
  uint64_t file_size = 0;
  uint64_t memory_size = 0;
};

struct Section {
  std::string name;    // cut after 64 bytes
  uint32_t type = 0;   // SHT_...
  uint64_t flags = 0;  // SHF_...
  uint64_t address = 0;
  uint64_t offset = 0;
  uint64_t size = 0;
  uint32_t link = 0;
  [[nodiscard]] bool in_file() const;  // has bytes there: not .bss
};

// Immutable, so that any thread may use it; owns its source.
class File {
 public:
  // kMalformed for what is no ELF file, kUnsupported for one of another machine or width. Holds at
  // most 2,048 segments and 16,384 sections; a file with more is malformed.
  [[nodiscard]] static Result<File> open(std::unique_ptr<ByteSource> source);
  [[nodiscard]] static Result<File> open(const std::string& path);

  [[nodiscard]] Machine machine() const { return machine_; }
  [[nodiscard]] bool position_independent() const { return position_independent_; }
  [[nodiscard]] uint64_t entry() const { return entry_; }  // of the program, virtual
  [[nodiscard]] const std::vector<Segment>& segments() const { return segments_; }
  [[nodiscard]] const std::vector<Section>& sections() const { return sections_; }
  [[nodiscard]] const ByteSource& source() const { return *source_; }

  // The first section of that name; null if there is none.
  [[nodiscard]] const Section* section(std::string_view name) const;
  // The loaded segment that has this address in its file part; null if none has.
  [[nodiscard]] const Segment* segment_of(uint64_t address) const;
  // What a uprobe takes for an address of this file.
  [[nodiscard]] std::optional<uint64_t> file_offset(uint64_t address) const;
  [[nodiscard]] bool executable(uint64_t address) const;
  // Fills `out` from the file's bytes for these addresses, before relocation; false if not all of
  // them are in one segment's file part.
  [[nodiscard]] bool read_address(uint64_t address, std::span<std::byte> out) const;

 private:
  explicit File(std::unique_ptr<ByteSource> source) : source_(std::move(source)) {}

  std::unique_ptr<ByteSource> source_;
  Machine machine_ = Machine::kX86_64;
  bool position_independent_ = false;
  uint64_t entry_ = 0;
  std::vector<Segment> segments_;
  std::vector<Section> sections_;
};

}  // namespace zerospan::symbols::elf
