// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/elf/relocations.h"

#include <elf.h>

#include <algorithm>
#include <array>

#include "symbols/elf/cursor.h"

namespace zerospan::symbols::elf {
namespace {

constexpr size_t kMaxPlaces = 16;

// Calls visit(address, value) for the relative relocations, until it returns false.
template <typename Visit>
void visit_relative(const File& file, Visit visit) {
  const uint64_t relative =
      file.machine() == Machine::kX86_64 ? R_X86_64_RELATIVE : R_AARCH64_RELATIVE;
  for (const Section& section : file.sections()) {
    if (section.type != SHT_RELA || (section.flags & SHF_ALLOC) == 0) {
      continue;
    }
    Window window(file.source(), section.offset, section.size);
    for (uint64_t at = 0;; at += sizeof(Elf64_Rela)) {
      const std::span<const std::byte> bytes = window.at(at, sizeof(Elf64_Rela));
      if (bytes.empty()) {
        break;
      }
      const auto relocation = load<Elf64_Rela>(bytes);
      if (ELF64_R_TYPE(relocation.r_info) == relative &&
          !visit(relocation.r_offset, static_cast<uint64_t>(relocation.r_addend))) {
        return;
      }
    }
  }
}

}  // namespace

std::vector<std::optional<uint64_t>> read_pointers(const File& file,
                                                   std::span<const uint64_t> addresses) {
  std::vector<std::optional<uint64_t>> pointers(addresses.size());
  for (size_t i = 0; i < addresses.size(); ++i) {
    std::array<std::byte, sizeof(uint64_t)> bytes;
    if (file.read_address(addresses[i], bytes)) {
      pointers[i] = load<uint64_t>(bytes);
    }
  }
  if (file.position_independent()) {
    size_t left = addresses.size();
    visit_relative(file, [&](uint64_t address, uint64_t value) {
      for (size_t i = 0; i < addresses.size(); ++i) {
        if (addresses[i] == address) {
          pointers[i] = value;
          --left;
        }
      }
      return left != 0;
    });
  }
  return pointers;
}

std::vector<uint64_t> relocated_places(const File& file, uint64_t value) {
  std::vector<uint64_t> places;
  visit_relative(file, [&](uint64_t address, uint64_t stored) {
    if (stored == value) {
      places.push_back(address);
    }
    return places.size() < kMaxPlaces;
  });
  return places;
}

}  // namespace zerospan::symbols::elf
