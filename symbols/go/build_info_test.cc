// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/go/build_info.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "symbols/go/inspect.h"
#include "symbols/go/testing.h"

namespace zerospan::symbols::go {
namespace {

using elf::append;

Result<BuildInfo> read(const std::vector<elf::Piece>& pieces, uint16_t type = ET_EXEC) {
  const auto file = elf::File::open(elf::source_of(elf::make_elf(pieces, EM_X86_64, type)));
  EXPECT_TRUE(file);
  return read_build_info(*file);
}

elf::Piece section(std::string bytes, const std::string& name = ".go.buildinfo") {
  return {.name = name,
          .bytes = std::move(bytes),
          .address = kInfoAddress,
          .segment_flags = PF_R | PF_W};
}

constexpr const char* kModules =
    "path\texample.com/cmd/a\n"
    "mod\texample.com\tv1.2.3\th1:abc=\n"
    "dep\tgithub.com/a/b\tv0.1.0\th1:x=\n"
    "dep\tgoogle.golang.org/grpc\tv1.60.0\n"
    "=>\tgithub.com/fork/grpc\tv1.60.1\th1:z=\n"
    "dep\texample.com/local\tv0.0.0\n"
    "=>\t../local\t\n"
    "build\t-buildmode=exe\n";

void expect_modules(const BuildInfo& info) {
  EXPECT_EQ(info.main_package, "example.com/cmd/a");
  EXPECT_EQ(info.main.path, "example.com");
  EXPECT_EQ(info.main.version, "v1.2.3");
  ASSERT_EQ(info.modules.size(), 3U);
  const Module* grpc = info.module("google.golang.org/grpc");
  ASSERT_NE(grpc, nullptr);
  EXPECT_EQ(grpc->path, "github.com/fork/grpc");
  EXPECT_EQ(grpc->version, "v1.60.1");
  EXPECT_EQ(info.module("github.com/fork/grpc"), nullptr);
  EXPECT_EQ(info.module("example.com/local")->path, "../local");
  EXPECT_EQ(info.module("example.com"), &info.main);
}

TEST(BuildInfo, StringsInline) {
  for (const std::string& name : {std::string(".go.buildinfo"), std::string(".data")}) {
    const auto info = read({section(make_build_info("go1.22.1", kModules), name)});
    ASSERT_TRUE(info) << info.error().message;
    EXPECT_EQ(info->go_version, "go1.22.1");
    expect_modules(*info);
  }
}

// Go 1.13 to 1.17: pointers to the headers of two strings, in place or in relocations.
TEST(BuildInfo, StringsByPointer) {
  const std::string version = "go1.17.13";
  const std::string text = std::string(16, '{') + kModules + std::string(16, '}');
  for (const bool relocated : {false, true}) {
    std::string info("\xff Go buildinf:\x08\0", 16);
    const uint64_t headers = kInfoAddress + 32;
    const uint64_t strings = headers + 32;
    std::string relocations;
    const auto pointer = [&](uint64_t value) {
      append(relocations, Elf64_Rela{kInfoAddress + info.size(), ELF64_R_INFO(0, R_X86_64_RELATIVE),
                                     static_cast<int64_t>(value)});
      append(info, relocated ? 0 : value);
    };
    pointer(headers);
    pointer(headers + 16);
    pointer(strings);
    append(info, uint64_t{version.size()});
    pointer(strings + version.size());
    append(info, uint64_t{text.size()});
    const auto read_back = read({section(info + version + text),
                                 {.name = ".rela.dyn",
                                  .bytes = relocated ? relocations : "",
                                  .type = SHT_RELA,
                                  .flags = SHF_ALLOC}},
                                relocated ? ET_DYN : ET_EXEC);
    ASSERT_TRUE(read_back) << read_back.error().message;
    EXPECT_EQ(read_back->go_version, version);
    expect_modules(*read_back);
  }
}

TEST(BuildInfo, WithoutModulesThereIsTheVersion) {
  const auto info = read({section(make_build_info("go1.22.1", ""))});
  ASSERT_TRUE(info);
  EXPECT_EQ(info->go_version, "go1.22.1");
  EXPECT_TRUE(info->modules.empty());
}

TEST(BuildInfo, HostileLengthsAreErrors) {
  std::string endless("\xff Go buildinf:\x08\x02", 16);
  endless.resize(32);
  EXPECT_EQ(read({section(endless + std::string(20, '\xff'))}).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(read({section(endless + "\xff\xff\xff\xff\x0f")}).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(read({section("short")}).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(read({section(std::string(100, 'x'), ".data")}).error().code, ErrorCode::kNotFound);
  const std::string whole = make_build_info("go1.22.1", kModules);
  for (size_t i = 0; i < whole.size(); ++i) {
    static_cast<void>(read({section(whole.substr(0, i))}));
  }
}

}  // namespace
}  // namespace zerospan::symbols::go
