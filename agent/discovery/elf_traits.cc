// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/elf_traits.h"

#include <elf.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

namespace zerospan::discovery {

bool FileSource::read(uint64_t offset, std::span<std::byte> out) {
  while (!out.empty()) {
    if (offset > INT64_MAX) {
      return false;
    }
    const ssize_t got = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      return false;
    }
    offset += static_cast<uint64_t>(got);
    out = out.subspan(static_cast<size_t>(got));
  }
  return true;
}

namespace {

// Programs have some forty sections and a dozen segments; a Rust debug build a few hundred.
constexpr size_t kMaxHeaders = 2048;
constexpr size_t kMaxNoteBytes = 4096;
constexpr std::string_view kGoNoteName{"Go\0", 3};
constexpr uint32_t kGoBuildIdType = 4;  // ELF_NOTE_GOBUILDID_TAG of Go's linker

template <typename T>
std::optional<T> read_struct(ByteSource& source, uint64_t offset) {
  T value;
  std::array<std::byte, sizeof(T)> bytes;
  if (!source.read(offset, bytes)) {
    return std::nullopt;
  }
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

tl::unexpected<Error> malformed() {
  return fail(ErrorCode::kMalformed, "The executable is not a little-endian ELF file.");
}

// Looks for the note (gABI "Note Section") that Go's linker writes, in one PT_NOTE segment.
bool has_go_note(ByteSource& source, uint64_t offset, uint64_t size) {
  std::vector<std::byte> bytes(std::min<uint64_t>(size, kMaxNoteBytes));
  if (!source.read(offset, bytes)) {
    return false;
  }
  size_t at = 0;
  while (bytes.size() - at >= sizeof(Elf64_Nhdr)) {
    Elf64_Nhdr note;
    std::memcpy(&note, bytes.data() + at, sizeof note);
    at += sizeof note;
    const uint64_t name_size = (uint64_t{note.n_namesz} + 3) & ~uint64_t{3};
    const uint64_t desc_size = (uint64_t{note.n_descsz} + 3) & ~uint64_t{3};
    if (name_size > bytes.size() - at) {
      return false;
    }
    const std::string_view name(reinterpret_cast<const char*>(bytes.data() + at),
                                std::min<uint64_t>(note.n_namesz, name_size));
    if (note.n_type == kGoBuildIdType && name.starts_with(kGoNoteName)) {
      return true;
    }
    at += name_size;
    if (desc_size > bytes.size() - at) {
      return false;
    }
    at += desc_size;
  }
  return false;
}

template <typename Ehdr, typename Phdr, typename Shdr>
Result<ElfTraits> read_traits(ByteSource& source) {
  const std::optional<Ehdr> header = read_struct<Ehdr>(source, 0);
  if (!header) {
    return malformed();
  }
  ElfTraits traits;
  if (header->e_phentsize == sizeof(Phdr)) {
    const size_t count = std::min<size_t>(header->e_phnum, kMaxHeaders);
    for (size_t i = 0; i < count && !traits.is_go; ++i) {
      const auto segment = read_struct<Phdr>(source, uint64_t{header->e_phoff} + i * sizeof(Phdr));
      if (!segment) {
        break;
      }
      if (segment->p_type == PT_NOTE) {
        traits.is_go = has_go_note(source, segment->p_offset, segment->p_filesz);
      }
    }
  }
  if (traits.is_go || header->e_shentsize != sizeof(Shdr) || header->e_shstrndx == SHN_UNDEF) {
    return traits;
  }
  const auto strings = read_struct<Shdr>(
      source, uint64_t{header->e_shoff} + uint64_t{header->e_shstrndx} * uint64_t{sizeof(Shdr)});
  if (!strings) {
    return traits;
  }
  const size_t count = std::min<size_t>(header->e_shnum, kMaxHeaders);
  for (size_t i = 0; i < count; ++i) {
    const auto section = read_struct<Shdr>(source, uint64_t{header->e_shoff} + i * sizeof(Shdr));
    if (!section) {
      break;
    }
    std::array<std::byte, 16> bytes{};
    // A name near the end of the table may be shorter than what is asked for; then it is not ours.
    if (section->sh_name >= strings->sh_size ||
        !source.read(uint64_t{strings->sh_offset} + section->sh_name, bytes)) {
      continue;
    }
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const std::string_view name = text.substr(0, text.find('\0'));
    if (name == ".go.buildinfo" || name == ".gopclntab") {
      traits.is_go = true;
      return traits;
    }
  }
  return traits;
}

}  // namespace

Result<ElfTraits> read_elf_traits(ByteSource& source) {
  std::array<std::byte, EI_NIDENT> ident;
  if (!source.read(0, ident) || std::memcmp(ident.data(), ELFMAG, SELFMAG) != 0 ||
      ident[EI_DATA] != std::byte{ELFDATA2LSB}) {
    return malformed();
  }
  if (ident[EI_CLASS] == std::byte{ELFCLASS64}) {
    return read_traits<Elf64_Ehdr, Elf64_Phdr, Elf64_Shdr>(source);
  }
  if (ident[EI_CLASS] == std::byte{ELFCLASS32}) {
    return read_traits<Elf32_Ehdr, Elf32_Phdr, Elf32_Shdr>(source);
  }
  return malformed();
}

}  // namespace zerospan::discovery
