// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Reads everything that can be asked of a file: headers, notes, links, symbols, relocations, and
// each section decompressed.

#include <array>
#include <cstdlib>
#include <memory>

#include "symbols/elf/debug_file.h"
#include "symbols/elf/notes.h"
#include "symbols/elf/relocations.h"
#include "symbols/elf/section_stream.h"
#include "symbols/elf/symbol_table.h"

namespace elf = zerospan::symbols::elf;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr uint64_t kLimit = 1024 * 1024;
  const auto file =
      elf::File::open(std::make_unique<elf::MemorySource>(std::as_bytes(std::span(data, size))));
  if (!file) {
    return 0;
  }
  static_cast<void>(elf::build_id(*file));
  static_cast<void>(elf::go_build_id(*file));
  static_cast<void>(elf::debug_link(*file));
  static_cast<void>(elf::crc32_of(file->source()));
  const std::array<std::string_view, 4> names = {"main", "a", "the_function", "function"};
  const auto symbols = elf::find_symbols(*file, names);
  if (symbols && symbols->size() != names.size()) {
    std::abort();
  }
  for (const elf::Section& section : file->sections()) {
    const auto bytes = elf::read_section(*file, section, kLimit);
    if (bytes && bytes->size() > kLimit) {
      std::abort();
    }
    const std::array<uint64_t, 2> addresses = {section.address, section.address + 8};
    static_cast<void>(elf::read_pointers(*file, addresses));
    if (const auto offset = file->file_offset(section.address); offset && *offset >= size) {
      std::abort();
    }
    if (&section - file->sections().data() > 64) {
      break;
    }
  }
  if (elf::relocated_places(*file, 0x1010).size() > 16) {
    std::abort();
  }
  return 0;
}
