// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/elf/file.h"

#include <elf.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "symbols/elf/cursor.h"

namespace zerospan::symbols::elf {
namespace {

constexpr size_t kMaxSegments = 2048;
constexpr size_t kMaxSections = 16384;
constexpr size_t kMaxNameBytes = 64;
// A debug build in C++ with a section per function, linked without merging, has half a megabyte.
constexpr size_t kMaxNameTable = 4 * 1024 * 1024;

template <typename T>
std::optional<T> read_struct(const ByteSource& source, uint64_t offset) {
  std::array<std::byte, sizeof(T)> bytes;
  if (!source.read(offset, bytes)) {
    return std::nullopt;
  }
  return load<T>(bytes);
}

tl::unexpected<Error> malformed(std::string_view what) {
  return fail(ErrorCode::kMalformed, "The ELF file's " + std::string(what) + ".");
}

Result<std::vector<Segment>> read_segments(const ByteSource& source, const Elf64_Ehdr& header) {
  std::vector<Segment> segments;
  if (header.e_phnum == 0) {
    return segments;
  }
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum > kMaxSegments) {
    return malformed("program headers have a wrong size or number");
  }
  const auto bytes = read_bytes(source, header.e_phoff, header.e_phnum * sizeof(Elf64_Phdr),
                                kMaxSegments * sizeof(Elf64_Phdr));
  if (!bytes) {
    return malformed("program headers are outside of the file");
  }
  Cursor cursor(*bytes);
  while (!cursor.at_end()) {
    const auto raw = cursor.fixed<Elf64_Phdr>();
    segments.push_back(
        {raw.p_type, raw.p_flags, raw.p_offset, raw.p_vaddr, raw.p_filesz, raw.p_memsz});
  }
  return segments;
}

// The real number of sections and the index of their names, which are in the first section header
// when they do not fit into the file header (gABI, "Section Header Table").
Result<std::vector<Section>> read_sections(const ByteSource& source, const Elf64_Ehdr& header) {
  std::vector<Section> sections;
  if (header.e_shoff == 0) {
    return sections;
  }
  const auto first = read_struct<Elf64_Shdr>(source, header.e_shoff);
  if (header.e_shentsize != sizeof(Elf64_Shdr) || !first) {
    return malformed("section headers have a wrong size, or are outside of the file");
  }
  const uint64_t count = header.e_shnum == 0 ? first->sh_size : header.e_shnum;
  const uint64_t names_index = header.e_shstrndx == SHN_XINDEX ? first->sh_link : header.e_shstrndx;
  if (count > kMaxSections) {
    return malformed("section headers are too many");
  }
  const auto bytes = read_bytes(source, header.e_shoff, count * sizeof(Elf64_Shdr),
                                kMaxSections * sizeof(Elf64_Shdr));
  if (!bytes) {
    return malformed("section headers are outside of the file");
  }
  std::vector<std::byte> names;
  if (names_index != SHN_UNDEF && names_index < count) {
    const auto raw = load<Elf64_Shdr>(std::span(*bytes).subspan(names_index * sizeof(Elf64_Shdr)));
    if (auto table = read_bytes(source, raw.sh_offset, raw.sh_size, kMaxNameTable)) {
      names = std::move(*table);
    }
  }
  sections.reserve(count);
  Cursor cursor(*bytes);
  while (!cursor.at_end()) {
    const auto raw = cursor.fixed<Elf64_Shdr>();
    Section section{.name = {},
                    .type = raw.sh_type,
                    .flags = raw.sh_flags,
                    .address = raw.sh_addr,
                    .offset = raw.sh_offset,
                    .size = raw.sh_size,
                    .link = raw.sh_link};
    if (raw.sh_name < names.size()) {
      const std::string_view text =
          as_text(std::span(names).subspan(raw.sh_name)).substr(0, kMaxNameBytes);
      section.name = text.substr(0, text.find('\0'));
    }
    sections.push_back(std::move(section));
  }
  return sections;
}

}  // namespace

std::string_view to_string(Machine machine) {
  return machine == Machine::kX86_64 ? "x86-64" : "AArch64";
}

bool Section::in_file() const {
  return type != SHT_NOBITS && type != SHT_NULL;
}

Result<File> File::open(std::unique_ptr<ByteSource> source) {
  const auto header = read_struct<Elf64_Ehdr>(*source, 0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) {
    return fail(ErrorCode::kMalformed, "This is not an ELF file.");
  }
  if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
      (header->e_machine != EM_X86_64 && header->e_machine != EM_AARCH64)) {
    return fail(ErrorCode::kUnsupported,
                "This ELF file is not for x86-64 or AArch64 in little endian.");
  }
  File file(std::move(source));
  file.machine_ = header->e_machine == EM_X86_64 ? Machine::kX86_64 : Machine::kAarch64;
  file.position_independent_ = header->e_type == ET_DYN;
  auto segments = read_segments(file.source(), *header);
  if (!segments) {
    return tl::unexpected(segments.error());
  }
  auto sections = read_sections(file.source(), *header);
  if (!sections) {
    return tl::unexpected(sections.error());
  }
  file.entry_ = header->e_entry;
  file.segments_ = std::move(*segments);
  file.sections_ = std::move(*sections);
  return file;
}

Result<File> File::open(const std::string& path) {
  auto source = FileSource::open(path);
  if (!source) {
    return tl::unexpected(source.error());
  }
  return open(std::make_unique<FileSource>(std::move(*source))).map_error([&](const Error& error) {
    return error.with_context(path);
  });
}

const Section* File::section(std::string_view name) const {
  const auto found = std::find_if(sections_.begin(), sections_.end(),
                                  [&](const Section& section) { return section.name == name; });
  return found == sections_.end() ? nullptr : &*found;
}

const Segment* File::segment_of(uint64_t address) const {
  for (const Segment& segment : segments_) {
    if (segment.type == PT_LOAD && address >= segment.address &&
        address - segment.address < segment.file_size) {
      return &segment;
    }
  }
  return nullptr;
}

std::optional<uint64_t> File::file_offset(uint64_t address) const {
  const Segment* segment = segment_of(address);
  if (segment == nullptr || segment->offset > source_->size() ||
      address - segment->address >= source_->size() - segment->offset) {
    return std::nullopt;
  }
  return segment->offset + (address - segment->address);
}

bool File::executable(uint64_t address) const {
  const Segment* segment = segment_of(address);
  return segment != nullptr && (segment->flags & PF_X) != 0;
}

bool File::read_address(uint64_t address, std::span<std::byte> out) const {
  const Segment* segment = segment_of(address);
  const std::optional<uint64_t> offset = file_offset(address);
  return offset && out.size() <= segment->file_size - (address - segment->address) &&
         source_->read(*offset, out);
}

}  // namespace zerospan::symbols::elf
