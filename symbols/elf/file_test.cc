// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/elf/file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>

#include "symbols/elf/cursor.h"
#include "symbols/elf/debug_file.h"
#include "symbols/elf/notes.h"
#include "symbols/elf/relocations.h"
#include "symbols/elf/symbol_table.h"
#include "symbols/elf/testing.h"

namespace zerospan::symbols::elf {
namespace {

std::string note(const std::string& owner, uint32_t type, const std::string& value) {
  const auto padded = [](std::string text) {
    text.resize((text.size() + 3) / 4 * 4);
    return text;
  };
  std::string bytes;
  append(bytes, Elf64_Nhdr{static_cast<uint32_t>(owner.size()), static_cast<uint32_t>(value.size()),
                           type});
  return bytes + padded(owner) + padded(value);
}

std::string example() {
  std::string relocations;
  append(relocations, Elf64_Rela{0x3008, ELF64_R_INFO(0, R_X86_64_RELATIVE), 0x1010});
  append(relocations, Elf64_Rela{0x3000, ELF64_R_INFO(1, R_X86_64_64), 0x9999});
  std::string symbols(sizeof(Elf64_Sym), '\0');
  append(symbols, Elf64_Sym{.st_name = 1,
                            .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
                            .st_other = 0,
                            .st_shndx = 1,
                            .st_value = 0x1010,
                            .st_size = 4});
  append(symbols, Elf64_Sym{.st_name = 5,  // the tail of the other's name
                            .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
                            .st_other = 0,
                            .st_shndx = SHN_UNDEF,
                            .st_value = 0,
                            .st_size = 0});
  std::string link("a.debug\0", 8);
  append(link, uint32_t{0x12345678});
  return make_elf(
      {{.name = ".text",
        .bytes = std::string(64, '\xc3'),
        .address = 0x1000,
        .segment_flags = PF_R | PF_X},
       {.name = ".note.gnu.build-id",
        .bytes = note({"Go\0\0", 4}, 4, "a/b/c/d") + note({"GNU\0", 4}, 3, "\x01\xab"),
        .type = SHT_NOTE},
       {.name = ".data",
        .bytes = std::string(32, '\0'),
        .address = 0x3000,
        .segment_flags = PF_R | PF_W},
       {.name = ".rela.dyn", .bytes = relocations, .type = SHT_RELA, .flags = SHF_ALLOC},
       {.name = ".symtab", .bytes = symbols, .type = SHT_SYMTAB, .link = 6},
       {.name = ".strtab", .bytes = std::string("\0the_function\0", 14), .type = SHT_STRTAB},
       {.name = ".gnu_debuglink", .bytes = link}},
      EM_X86_64, ET_DYN);
}

// All that can be asked of a file.
void use(const File& file) {
  static_cast<void>(build_id(file));
  static_cast<void>(go_build_id(file));
  static_cast<void>(debug_link(file));
  static_cast<void>(relocated_places(file, 0x1010));
  const std::array<uint64_t, 2> addresses = {0x3000, 0x3008};
  static_cast<void>(read_pointers(file, addresses));
  const std::array<std::string_view, 1> names = {"the_function"};
  static_cast<void>(find_symbols(file, names));
}

TEST(ElfFile, HeadersAndAddresses) {
  const auto file = File::open(source_of(example()));
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->machine(), Machine::kX86_64);
  EXPECT_TRUE(file->position_independent());
  EXPECT_EQ(file->segments().size(), 2U);
  ASSERT_NE(file->section(".data"), nullptr);
  EXPECT_EQ(file->section(".dat"), nullptr);
  const uint64_t text = file->section(".text")->offset;
  EXPECT_EQ(file->file_offset(0x1010), text + 0x10);
  EXPECT_EQ(file->file_offset(0x1040), std::nullopt);
  EXPECT_EQ(file->file_offset(0xfff), std::nullopt);
  EXPECT_TRUE(file->executable(0x1000));
  EXPECT_FALSE(file->executable(0x3000));
  std::array<std::byte, 4> bytes;
  EXPECT_TRUE(file->read_address(0x103c, bytes));
  EXPECT_FALSE(file->read_address(0x103d, bytes));
}

TEST(ElfFile, NotesLinksSymbolsAndRelocations) {
  const auto file = File::open(source_of(example()));
  ASSERT_TRUE(file);
  EXPECT_EQ(build_id(*file), "01ab");
  EXPECT_EQ(go_build_id(*file), "a/b/c/d");
  const auto link = debug_link(*file);
  ASSERT_TRUE(link);
  EXPECT_EQ(link->name, "a.debug");
  EXPECT_EQ(link->crc, 0x12345678U);
  const std::array<std::string_view, 2> names = {"the_function", "function"};
  const auto symbols = find_symbols(*file, names);
  ASSERT_TRUE(symbols);
  ASSERT_TRUE((*symbols)[0]);
  EXPECT_EQ((*symbols)[0]->address, 0x1010U);
  EXPECT_EQ((*symbols)[0]->size, 4U);
  EXPECT_FALSE((*symbols)[1]) << "an undefined symbol is none";
  const std::array<uint64_t, 3> addresses = {0x3000, 0x3008, 0x5000};
  const auto pointers = read_pointers(*file, addresses);
  EXPECT_EQ(pointers[0], 0U);
  EXPECT_EQ(pointers[1], 0x1010U);
  EXPECT_EQ(pointers[2], std::nullopt);
  EXPECT_EQ(relocated_places(*file, 0x1010), std::vector<uint64_t>{0x3008});
}

TEST(ElfFile, ADebugLinkIsAFileName) {
  for (const std::string& name : {std::string("../a"), std::string(".."), std::string("/etc/x")}) {
    std::string link = name + '\0';
    link.resize((link.size() + 3) / 4 * 4);
    append(link, uint32_t{1});
    const auto file = File::open(source_of(make_elf({{.name = ".gnu_debuglink", .bytes = link}})));
    ASSERT_TRUE(file);
    EXPECT_FALSE(debug_link(*file)) << name;
  }
}

TEST(ElfFile, WhatIsNotForUsIsAnError) {
  EXPECT_EQ(File::open(source_of("#!/bin/sh\n")).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(File::open(source_of("")).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(File::open(source_of(make_elf({}, EM_ARM))).error().code, ErrorCode::kUnsupported);
  std::string big_endian = make_elf({});
  big_endian[EI_DATA] = ELFDATA2MSB;
  EXPECT_EQ(File::open(source_of(big_endian)).error().code, ErrorCode::kUnsupported);
  EXPECT_TRUE(File::open(source_of(make_elf({}, EM_AARCH64))));
  EXPECT_EQ(File::open("/nonexistent").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(File::open("/").error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(File::open("/dev/null").error().code, ErrorCode::kUnsupported);
}

TEST(ElfFile, ManySectionsAreCountedInTheFirstHeader) {
  std::string bytes = make_elf({{.name = ".text", .bytes = "x"}});
  Elf64_Ehdr header;
  std::memcpy(&header, bytes.data(), sizeof header);
  Elf64_Shdr first{};
  first.sh_size = header.e_shnum;
  first.sh_link = header.e_shstrndx;
  header.e_shnum = 0;
  header.e_shstrndx = SHN_XINDEX;
  std::memcpy(bytes.data(), &header, sizeof header);
  std::memcpy(bytes.data() + header.e_shoff, &first, sizeof first);
  const auto file = File::open(source_of(bytes));
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_NE(file->section(".text"), nullptr);
  first.sh_size = 1U << 20U;
  std::memcpy(bytes.data() + header.e_shoff, &first, sizeof first);
  EXPECT_FALSE(File::open(source_of(bytes)));
}

TEST(ElfFile, EveryTruncationAndEveryFlippedByteIsSurvived) {
  const std::string whole = example();
  for (size_t i = 0; i < whole.size(); ++i) {
    if (const auto file = File::open(source_of(whole.substr(0, i)))) {
      use(*file);
    }
    std::string flipped = whole;
    flipped[i] = static_cast<char>(~flipped[i]);
    if (const auto file = File::open(source_of(flipped))) {
      use(*file);
    }
  }
}

TEST(ElfFile, AFileThatShrinksWhileItIsReadIsAShortRead) {
  const TemporaryFolder folder;
  const std::string path = folder.write("program", example());
  const auto file = File::open(path);
  ASSERT_TRUE(file);
  ASSERT_EQ(::truncate(path.c_str(), 64), 0);
  use(*file);
  std::array<std::byte, 4> bytes;
  EXPECT_FALSE(file->read_address(0x1000, bytes));
}

// readelf and nm are the oracle, this test's own binary the example.
TEST(ElfFile, AgreesWithReadelf) {
  if (!has_program("readelf")) {
    FAIL() << "readelf is not installed (scripts/install-test-deps.sh)";
  }
  const auto file = File::open("/proc/self/exe");
  ASSERT_TRUE(file) << file.error().message;
  const std::string self = output_of("readlink /proc/" + std::to_string(::getpid()) + "/exe");
  const std::string path = self.substr(0, self.find('\n'));
  size_t sections = 0;
  for (const std::string& line : lines_of(output_of("readelf -SW " + path))) {
    // [ 1] .interp PROGBITS 0000000000000318 000318 00001c ...
    const size_t bracket = line.find("] ");
    std::istringstream fields(bracket == std::string::npos ? "" : line.substr(bracket + 2));
    std::string name;
    std::string type;
    uint64_t address = 0;
    uint64_t offset = 0;
    uint64_t size = 0;
    fields >> name >> type >> std::hex >> address >> offset >> size;
    if (bracket == std::string::npos || !fields || name == "NULL") {
      continue;
    }
    const Section* section = file->section(name);
    ASSERT_NE(section, nullptr) << line;
    EXPECT_EQ(section->address, address) << line;
    EXPECT_EQ(section->offset, offset) << line;
    EXPECT_EQ(section->size, size) << line;
    ++sections;
  }
  EXPECT_EQ(sections + 1, file->sections().size());
  const std::string notes = output_of("readelf -n " + path);
  const std::string id = build_id(*file);
  if (notes.find("Build ID: ") != std::string::npos) {
    EXPECT_NE(notes.find("Build ID: " + id), std::string::npos) << id;
  }
  size_t compared = 0;
  for (const std::string& line : lines_of(output_of("nm " + path))) {
    std::istringstream fields(line);
    uint64_t address = 0;
    char kind = ' ';
    std::string name;
    if (!(fields >> std::hex >> address >> kind >> name) || kind != 'T' || ++compared > 50) {
      continue;
    }
    const std::array<std::string_view, 1> names = {name};
    const auto symbols = find_symbols(*file, names);
    ASSERT_TRUE(symbols && (*symbols)[0]) << line;
    EXPECT_EQ((*symbols)[0]->address, address) << line;
  }
  EXPECT_GT(compared, 10U);
}

}  // namespace
}  // namespace zerospan::symbols::elf
