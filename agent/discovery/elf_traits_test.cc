// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/elf_traits.h"

#include <elf.h>
#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "agent/core/unique_fd.h"

namespace zerospan::discovery {
namespace {

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::string bytes) : bytes_(std::move(bytes)) {}
  bool read(uint64_t offset, std::span<std::byte> out) override {
    ++reads;
    if (offset > bytes_.size() || out.size() > bytes_.size() - offset) {
      return false;
    }
    std::memcpy(out.data(), bytes_.data() + offset, out.size());
    return true;
  }
  int reads = 0;

 private:
  std::string bytes_;
};

template <typename T>
void append(std::string& out, const T& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// An ELF file with one section of that name (and the string table), no program headers.
template <typename Ehdr, typename Shdr>
std::string elf_with_section(unsigned char elf_class, const std::string& name) {
  const std::string strings = std::string("\0.shstrtab\0", 11) + name + std::string(32, '\0');
  Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = elf_class;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_shentsize = sizeof(Shdr);
  header.e_shnum = 3;
  header.e_shstrndx = 1;
  header.e_shoff = sizeof(Ehdr);
  Shdr sections[3]{};
  sections[1].sh_name = 1;
  sections[1].sh_offset = sizeof(Ehdr) + sizeof sections;
  sections[1].sh_size = static_cast<decltype(Shdr::sh_size)>(strings.size());
  sections[2].sh_name = 11;
  std::string out;
  append(out, header);
  append(out, sections);
  return out + strings;
}

std::string elf_with_note(const std::string& name, uint32_t type) {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 1;
  header.e_phoff = sizeof header;
  Elf64_Phdr segment{};
  segment.p_type = PT_NOTE;
  segment.p_offset = sizeof header + sizeof segment;
  std::string notes;
  append(notes, Elf64_Nhdr{4, 8, NT_GNU_BUILD_ID});
  notes += std::string("GNU\0", 4) + "12345678";
  append(notes, Elf64_Nhdr{static_cast<uint32_t>(name.size()), 4, type});
  notes += name + std::string((4 - name.size() % 4) % 4, '\0') + "abcd";
  segment.p_filesz = notes.size();
  std::string out;
  append(out, header);
  append(out, segment);
  return out + notes;
}

bool is_go(std::string bytes) {
  MemorySource source(std::move(bytes));
  const auto traits = read_elf_traits(source);
  EXPECT_TRUE(traits);
  return traits && traits->is_go;
}

TEST(ElfTraits, GoIsKnownByItsSections) {
  using E64 = Elf64_Ehdr;
  using E32 = Elf32_Ehdr;
  EXPECT_TRUE(is_go(elf_with_section<E64, Elf64_Shdr>(ELFCLASS64, ".go.buildinfo")));
  EXPECT_TRUE(is_go(elf_with_section<E32, Elf32_Shdr>(ELFCLASS32, ".gopclntab")));
  EXPECT_FALSE(is_go(elf_with_section<E64, Elf64_Shdr>(ELFCLASS64, ".gopclntabs")));
  EXPECT_FALSE(is_go(elf_with_section<E64, Elf64_Shdr>(ELFCLASS64, ".text")));
}

TEST(ElfTraits, GoIsKnownByItsNoteWhenSectionsAreStripped) {
  EXPECT_TRUE(is_go(elf_with_note(std::string("Go\0", 3), 4)));
  EXPECT_FALSE(is_go(elf_with_note(std::string("Go\0", 3), 5)));
  EXPECT_FALSE(is_go(elf_with_note(std::string("Gox", 3), 4)));
}

TEST(ElfTraits, AProgramInCIsNotGo) {
  const UniqueFd fd(::open("/bin/sleep", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(fd.valid());
  FileSource source(fd.get());
  const auto traits = read_elf_traits(source);
  ASSERT_TRUE(traits) << traits.error().message;
  EXPECT_FALSE(traits->is_go);
}

TEST(ElfTraits, WhatIsNoElfIsAnError) {
  for (const std::string& bytes : {std::string(), std::string("#!/bin/sh\n"),
                                   std::string("\x7f"
                                               "ELF"),
                                   std::string("\x7f"
                                               "ELF\x02\x01") +
                                       std::string(20, '\0'),
                                   std::string("\x7f"
                                               "ELF\x02\x02") +
                                       std::string(100, '\0'),
                                   std::string("\x7f"
                                               "ELF\x07\x01") +
                                       std::string(100, '\0')}) {
    MemorySource source(bytes);
    const auto traits = read_elf_traits(source);
    ASSERT_FALSE(traits);
    EXPECT_EQ(traits.error().code, ErrorCode::kMalformed);
  }
}

TEST(ElfTraits, EveryTruncationAndEveryFlippedByteIsSurvivedInFewReads) {
  for (const std::string& whole : {elf_with_section<Elf64_Ehdr, Elf64_Shdr>(ELFCLASS64, ".x"),
                                   elf_with_note(std::string("Go\0", 3), 9)}) {
    for (size_t i = 0; i < whole.size(); ++i) {
      MemorySource cut(whole.substr(0, i));
      static_cast<void>(read_elf_traits(cut));
      std::string flipped = whole;
      flipped[i] = static_cast<char>(~flipped[i]);
      MemorySource source(flipped);
      static_cast<void>(read_elf_traits(source));
      EXPECT_LT(source.reads, 10'000);
    }
  }
}

}  // namespace
}  // namespace zerospan::discovery
