// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/elf/notes.h"

#include <elf.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "symbols/elf/cursor.h"

namespace zerospan::symbols::elf {
namespace {

constexpr uint64_t kMaxNoteBytes = 4096;
constexpr size_t kMaxPlaces = 64;  // segments and sections with notes that are looked at
constexpr uint32_t kGoBuildIdType = 4;

uint64_t aligned(uint32_t size) {
  return (uint64_t{size} + 3) & ~uint64_t{3};
}

// Looks in one run of notes; `found` becomes the descriptor.
bool find_in(std::span<const std::byte> bytes, std::string_view name, uint32_t type,
             std::string& found) {
  Cursor cursor(bytes);
  while (!cursor.at_end()) {
    const auto note = cursor.fixed<Elf64_Nhdr>();
    const std::string_view owner = as_text(cursor.take(aligned(note.n_namesz)));
    const std::string_view value = as_text(cursor.take(aligned(note.n_descsz)));
    if (cursor.failed()) {
      return false;
    }
    if (note.n_type == type && owner.substr(0, note.n_namesz) == name) {
      found = value.substr(0, note.n_descsz);
      return true;
    }
  }
  return false;
}

std::string find_note(const File& file, std::string_view name, uint32_t type) {
  size_t looked_at = 0;
  std::string found;
  const auto look = [&](uint64_t offset, uint64_t size) {
    const auto bytes =
        read_bytes(file.source(), offset, std::min(size, kMaxNoteBytes), kMaxNoteBytes);
    return ++looked_at <= kMaxPlaces && bytes && find_in(*bytes, name, type, found);
  };
  for (const Segment& segment : file.segments()) {
    if (segment.type == PT_NOTE && look(segment.offset, segment.file_size)) {
      return found;
    }
  }
  // A separate debug file keeps the segments of its program, but not their bytes.
  for (const Section& section : file.sections()) {
    if (section.type == SHT_NOTE && look(section.offset, section.size)) {
      return found;
    }
  }
  return {};
}

}  // namespace

std::string build_id(const File& file) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : find_note(file, {"GNU\0", 4}, NT_GNU_BUILD_ID)) {
    text += kDigits[static_cast<unsigned char>(c) >> 4U];
    text += kDigits[static_cast<unsigned char>(c) & 15U];
  }
  return text;
}

std::string go_build_id(const File& file) {
  return find_note(file, {"Go\0\0", 4}, kGoBuildIdType);
}

}  // namespace zerospan::symbols::elf
