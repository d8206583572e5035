// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Programs of the Go toolchain that is installed, in all the ways in which programs are shipped.
#include <elf.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <fstream>
#include <string>
#include <vector>

#include "symbols/go/pclntab.h"
#include "symbols/go/test_programs.h"

namespace zerospan::symbols::go {
namespace {

const std::vector<Variant>& variants() {
  static const std::vector<Variant> all = {
      {"plain", "CGO_ENABLED=0", "", ""},
      {"trimmed", "CGO_ENABLED=0", "-trimpath", ""},
      {"pie", "CGO_ENABLED=0", "-buildmode=pie", ""},
      {"cgo", "CGO_ENABLED=1", "", "-linkmode=external"},
      {"cgo_pie", "CGO_ENABLED=1", "-buildmode=pie", "-linkmode=external"},
      {"uncompressed", "CGO_ENABLED=0", "", "-compressdwarf=false"},
  };
  return all;
}

TEST(GoPrograms, EveryVariantAndItsStrippedTwin) {
  if (!elf::has_program("go")) {
    FAIL() << "Go is not installed (scripts/install-test-deps.sh)";
  }
  const elf::TemporaryFolder folder;
  for (Variant variant : variants()) {
    SCOPED_TRACE(variant.name);
    const std::string path = build_go(folder, "local", variant);
    const auto binary = inspect(path);
    ASSERT_TRUE(binary) << binary.error().message;
    EXPECT_TRUE(binary->notices.empty()) << binary->notices[0];
    EXPECT_GE(binary->probes.size(), 5U);
    EXPECT_EQ(binary->position_independent, variant.flags == "-buildmode=pie");
    expect_truth(path, *binary, false);
    expect_table_agrees(*binary);

    variant.stripped = true;
    variant.name += "_stripped";
    const std::string stripped_path = build_go(folder, "local", variant);
    const auto stripped = inspect(stripped_path);
    ASSERT_TRUE(stripped) << stripped.error().message;
    EXPECT_TRUE(stripped->notices.empty()) << stripped->notices[0];
    EXPECT_EQ(stripped->offsets.source(), OffsetSource::kTable);
    EXPECT_EQ(stripped->offsets.get(Field::kGoid), binary->offsets.get(Field::kGoid));
    expect_truth(stripped_path, *stripped, true);
    // Its data is elsewhere, because what is in front of it says how it was built.
    ASSERT_TRUE(stripped->runtime.goidgen && stripped->runtime.allgs);
    EXPECT_EQ(*stripped->runtime.goidgen - *stripped->runtime.allgs,
              *binary->runtime.goidgen - *binary->runtime.allgs);
    EXPECT_EQ(stripped->runtime.maybe_allp.size(), binary->runtime.maybe_allp.size());
    EXPECT_EQ(stripped->runtime.tls, -8);
    expect_same_code(*stripped, *binary);
  }
}

TEST(GoPrograms, ForArm64) {
  if (!elf::has_program("go")) {
    FAIL() << "Go is not installed (scripts/install-test-deps.sh)";
  }
  const elf::TemporaryFolder folder;
  for (const std::string flags : {"", "-buildmode=pie"}) {
    SCOPED_TRACE(flags);
    Variant variant{"arm64" + flags, "CGO_ENABLED=0 GOARCH=arm64", flags, ""};
    const std::string path = build_go(folder, "local", variant);
    const auto binary = inspect(path);
    ASSERT_TRUE(binary) << binary.error().message;
    EXPECT_TRUE(binary->notices.empty()) << binary->notices[0];
    EXPECT_EQ(binary->machine, elf::Machine::kAarch64);
    EXPECT_GE(binary->probes.size(), 5U);
    expect_truth(path, *binary, false);
    EXPECT_EQ(binary->runtime.tls, std::nullopt);

    variant.stripped = true;
    variant.name += "_stripped";
    const auto stripped = inspect(build_go(folder, "local", variant));
    ASSERT_TRUE(stripped) << stripped.error().message;
    EXPECT_EQ(stripped->offsets.get(Field::kGoid), std::nullopt);  // the table is for x86-64
    ASSERT_EQ(stripped->notices.size(), 1U);
    EXPECT_EQ(stripped->runtime.maybe_allp.size(), binary->runtime.maybe_allp.size());
  }
}

TEST(GoPrograms, WithoutSectionHeadersEverythingIsFoundBySearch) {
  if (!elf::has_program("go")) {
    FAIL() << "Go is not installed (scripts/install-test-deps.sh)";
  }
  const elf::TemporaryFolder folder;
  const std::string path = build_go(folder, "local", {"plain", "CGO_ENABLED=0", "", "", true});
  const auto whole = inspect(path);
  ASSERT_TRUE(whole);
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    const std::string zeros(8, '\0');
    file.seekp(offsetof(Elf64_Ehdr, e_shoff)).write(zeros.data(), 8);
    file.seekp(offsetof(Elf64_Ehdr, e_shnum)).write(zeros.data(), 4);  // and e_shstrndx
  }
  const auto file = elf::File::open(path);
  ASSERT_TRUE(file);
  ASSERT_TRUE(file->sections().empty());
  const auto binary = inspect(path);
  ASSERT_TRUE(binary) << binary.error().message;
  expect_same_code(*binary, *whole);
  EXPECT_EQ(binary->build.go_version, whole->build.go_version);
}

}  // namespace
}  // namespace zerospan::symbols::go
