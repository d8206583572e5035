// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/go/version.h"

#include <gtest/gtest.h>

namespace zerospan::symbols::go {
namespace {

TEST(ToolchainVersion, ReleasesAreKnownFromTheRest) {
  const auto is_release = [](std::string_view text, const Version& number) {
    const auto version = parse_toolchain_version(text);
    EXPECT_TRUE(version) << text;
    EXPECT_EQ(version->number, number) << text;
    return version->is_release;
  };
  EXPECT_TRUE(is_release("go1.26.8", {1, 26, 8}));
  EXPECT_TRUE(is_release("go1.20", {1, 20, 0}));
  EXPECT_TRUE(is_release("go1.22.3 X:boringcrypto", {1, 22, 3}));
  EXPECT_TRUE(is_release("go1.22.3 X:boringcrypto,nocoverageredesign", {1, 22, 3}));
  EXPECT_FALSE(is_release("go1.22.3 X:boringcrypto,arenas", {1, 22, 3}));
  EXPECT_FALSE(is_release("go1.27rc1", {1, 27, 0}));
  EXPECT_FALSE(is_release("go1.24.4 (vendor 1.24.4-2)", {1, 24, 4}));
  EXPECT_FALSE(is_release("devel go1.27-0a1b2c3d Mon Jan 1", {1, 27, 0}));
  for (const std::string_view text : {"", "go", "go1", "go1.", "go.1", "1.22", "devel +0a1b2c3d"}) {
    EXPECT_FALSE(parse_toolchain_version(text)) << text;
  }
}

TEST(ModuleVersion, OnlyReleases) {
  EXPECT_EQ(parse_module_version("v1.64.0"), (Version{1, 64, 0}));
  EXPECT_EQ(parse_module_version("v0.0.0"), (Version{0, 0, 0}));
  for (const std::string_view text :
       {"", "(devel)", "v1.64", "1.64.0", "v1.65.0-dev", "v99999999999.0.0",
        "v0.0.0-20240102030405-0a1b2c3d4e5f", "v2.0.0+incompatible"}) {
    EXPECT_FALSE(parse_module_version(text)) << text;
  }
}

}  // namespace
}  // namespace zerospan::symbols::go
