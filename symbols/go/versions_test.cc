// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Programs of other Go toolchains, which the go command fetches, and the largest program at hand.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "symbols/go/pclntab.h"
#include "symbols/go/test_programs.h"

namespace zerospan::symbols::go {
namespace {

class OtherGo : public testing::TestWithParam<const char*> {};

TEST_P(OtherGo, EveryVariantAndItsStrippedTwin) {
  if (!elf::has_program("go")) {
    FAIL() << "Go is not installed (scripts/install-test-deps.sh)";
  }
  const elf::TemporaryFolder folder;
  for (Variant variant : {Variant{"plain", "CGO_ENABLED=0", "", ""},
                          Variant{"pie", "CGO_ENABLED=0", "-buildmode=pie -trimpath", ""},
                          Variant{"cgo", "CGO_ENABLED=1", "", "-linkmode=external"}}) {
    SCOPED_TRACE(variant.name);
    const std::string path = build_go(folder, GetParam(), variant);
    const auto binary = inspect(path);
    ASSERT_TRUE(binary) << binary.error().message;
    EXPECT_EQ(binary->build.go_version, GetParam());
    EXPECT_TRUE(binary->notices.empty()) << binary->notices[0];
    EXPECT_GE(binary->probes.size(), 5U);
    expect_truth(path, *binary, false);
    expect_table_agrees(*binary);

    variant.stripped = true;
    variant.name += "_stripped";
    const auto stripped = inspect(build_go(folder, GetParam(), variant));
    ASSERT_TRUE(stripped) << stripped.error().message;
    EXPECT_TRUE(stripped->notices.empty()) << stripped->notices[0];
    expect_same_code(*stripped, *binary);
  }
}

// Older ones than 1.20.6 do not build from inside the module cache, where they would be.
INSTANTIATE_TEST_SUITE_P(Versions, OtherGo,
                         testing::Values("go1.20.14", "go1.21.0", "go1.22.0", "go1.23.12",
                                         "go1.24.13", "go1.25.0", "go1.26.0", "go1.27.4"),
                         [](const auto& version) {
                           std::string name = version.param;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

// The table's lines of a library were asked with one version of Go only. What older and newer ones
// make of the same library must agree with it.
TEST(Libraries, TheTableHoldsWhateverTheVersionOfGo) {
  if (!elf::has_program("go")) {
    FAIL() << "Go is not installed (scripts/install-test-deps.sh)";
  }
  constexpr std::string_view kProgram = R"(package main

import (
	"context"
	"net"
	"net/http"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
)

func main() {
	connection, _ := grpc.Dial("localhost", grpc.WithInsecure())
	_ = connection.Invoke(context.Background(), "/a.b/c", nil, nil)
	listener, _ := net.Listen("tcp", "")
	_ = grpc.NewServer().Serve(listener)
	client := http.Client{Transport: &http2.Transport{AllowHTTP: true}}
	_, _ = client.Get("http://localhost")
}
)";
  const elf::TemporaryFolder folder;
  static_cast<void>(folder.write("main.go", kProgram));
  static_cast<void>(folder.write(
      "go.mod", "module probe\n\ngo 1.19\n\nrequire google.golang.org/grpc v1.60.0\n"));
  const std::string go = "cd " + (folder / "") + " && CGO_ENABLED=0 GOWORK=off GOFLAGS=-mod=mod ";
  static_cast<void>(elf::output_of(go + "GOTOOLCHAIN=local go mod tidy -go=1.19", 600));
  for (const std::string& version : {std::string("go1.20.14"), std::string("go1.27.4")}) {
    static_cast<void>(
        elf::output_of(go + "GOTOOLCHAIN=" + version + " go build -o program .", 600));
    const auto binary = inspect(folder / "program");
    ASSERT_TRUE(binary) << binary.error().message;
    ASSERT_NE(binary->build.module("google.golang.org/grpc"), nullptr);
    const Offsets table = table_offsets(binary->build, binary->machine);
    size_t compared = 0;
    for (const FieldInfo& info : kFields) {
      const auto there = binary->offsets.get(info.id);
      if (info.module != "std" && there) {
        EXPECT_EQ(there, table.get(info.id)) << info.type << '.' << info.field;
        ++compared;
      }
    }
    EXPECT_GE(compared, 10U);
  }
}

}  // namespace
}  // namespace zerospan::symbols::go
