// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/go/pclntab.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "symbols/go/describe.h"
#include "symbols/go/inspect.h"
#include "symbols/go/testing.h"

namespace zerospan::symbols::go {
namespace {

const std::vector<std::string> kNames = {"main.main", "net/http.(*conn).serve",
                                         "net/http.serverHandler.ServeHTTP", "z.serve"};
constexpr std::array<TableFormat, 4> kFormats = {TableFormat::kGo116, TableFormat::kGo118,
                                                 TableFormat::kGo120, TableFormat::kGo126};

elf::File file_of(const std::vector<elf::Piece>& pieces, uint16_t type = ET_EXEC) {
  return std::move(*elf::File::open(elf::source_of(elf::make_elf(pieces, EM_X86_64, type))));
}

void expect_functions(const elf::File& file) {
  const auto table = FunctionTable::open(file);
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(table->function_count(), 4U);
  const std::array<std::string_view, 5> names = {"z.serve", "main.main", "serve", "absent",
                                                 "net/http.(*conn).serve"};
  const auto found = table->find(names);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ((*found)[0]->address, kTextAddress + 48);
  EXPECT_EQ((*found)[0]->size, 16U);
  EXPECT_EQ((*found)[1]->address, kTextAddress);
  EXPECT_FALSE((*found)[2]) << "the tail of a name is no name";
  EXPECT_FALSE((*found)[3]);
  EXPECT_EQ((*found)[4]->address, kTextAddress + 16);
}

TEST(FunctionTable, EveryFormat) {
  for (const TableFormat format : kFormats) {
    SCOPED_TRACE(static_cast<int>(format));
    expect_functions(file_of(make_program(format, kNames)));
  }
}

TEST(FunctionTable, IsFoundWithoutItsSectionsName) {
  for (const TableFormat format : kFormats) {
    SCOPED_TRACE(static_cast<int>(format));
    auto pieces = make_program(format, kNames);
    pieces[1].name = ".data.rel.ro";
    pieces[2].name = ".data";
    // Something in front that looks like it, but is not.
    pieces[1].bytes =
        std::string("\xf1\xff\xff\xff\0\0\x01\x08", 8) + std::string(56, '\x7f') + pieces[1].bytes;
    pieces[1].address -= 64;
    expect_functions(file_of(pieces));
  }
}

TEST(FunctionTable, TheModuleDataIsRelocated) {
  auto pieces = make_program(TableFormat::kGo126, kNames);
  pieces[2].name = ".data";
  std::string relocations;
  const auto relocate = [&](uint64_t at, uint64_t value) {
    elf::append(relocations, Elf64_Rela{kDataAddress + at, ELF64_R_INFO(0, R_X86_64_RELATIVE),
                                        static_cast<int64_t>(value)});
  };
  relocate(0, kTableAddress);
  relocate(pieces[2].bytes.size() - 8, kTextAddress);
  pieces[2].bytes.assign(pieces[2].bytes.size(), '\0');
  pieces.push_back(
      {.name = ".rela.dyn", .bytes = relocations, .type = SHT_RELA, .flags = SHF_ALLOC});
  expect_functions(file_of(pieces, ET_DYN));
}

TEST(FunctionTable, WithoutModuleDataNobodyKnowsWhereCodeBegins) {
  auto pieces = make_program(TableFormat::kGo126, kNames);
  pieces.erase(pieces.begin() + 2);
  EXPECT_EQ(FunctionTable::open(file_of(pieces)).error().code, ErrorCode::kUnsupported);
  pieces.erase(pieces.begin() + 1);
  EXPECT_EQ(FunctionTable::open(file_of(pieces)).error().code, ErrorCode::kNotFound);
}

TEST(FunctionTable, EveryFlippedByteAndEveryTruncationIsSurvived) {
  for (const TableFormat format : kFormats) {
    const auto pieces = make_program(format, kNames);
    const std::string& whole = pieces[1].bytes;
    for (size_t i = 0; i < whole.size(); ++i) {
      for (const bool cut : {false, true}) {
        auto broken = pieces;
        if (cut) {
          broken[1].bytes.resize(i);
        } else {
          broken[1].bytes[i] = static_cast<char>(~whole[i]);
        }
        static_cast<void>(inspect(file_of(broken)));
      }
    }
  }
}

TEST(Inspect, AProgramByHand) {
  const auto binary = inspect(file_of(make_program(TableFormat::kGo126, kNames)));
  ASSERT_TRUE(binary) << binary.error().message;
  EXPECT_EQ(binary->version.number, (Version{1, 26, 8}));
  EXPECT_TRUE(binary->otel.sdk);
  EXPECT_EQ(binary->function_count, 4U);
  ASSERT_EQ(binary->probes.size(), 1U);
  const ProbeSite& probe = binary->probes[0];
  EXPECT_EQ(probe.function, "net/http.serverHandler.ServeHTTP");
  EXPECT_EQ(probe.address, kTextAddress + 32 + 6);
  EXPECT_EQ(probe.site.kind, probe::Kind::kEmulated);
  EXPECT_EQ(binary->offsets.source(), OffsetSource::kTable);
  const std::string text = describe(*binary);
  EXPECT_NE(text.find("go1.26.8"), std::string::npos) << text;
  EXPECT_NE(text.find("emulated at `push %rbp`: net/http.serverHandler.ServeHTTP"),
            std::string::npos)
      << text;
}

TEST(Inspect, ADescriptionHasNoControlCharacters) {
  auto pieces = make_program(TableFormat::kGo126, kNames);
  pieces[3].bytes = make_build_info("go1.26.8", "mod\t\x1b[31mred\tv1.0.0\n");
  const auto binary = inspect(file_of(pieces));
  ASSERT_TRUE(binary);
  EXPECT_EQ(describe(*binary).find('\x1b'), std::string::npos);
}

TEST(Inspect, WhatIsNotGoIsNotFound) {
  EXPECT_EQ(inspect("/bin/sh").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(inspect("/nonexistent").error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace zerospan::symbols::go
