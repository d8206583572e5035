// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/go/offsets.h"

#include <gtest/gtest.h>

namespace zerospan::symbols::go {
namespace {

TEST(Table, ChangesWhereTheVersionDoes) {
  EXPECT_EQ(table_offset(Field::kParentGoid, {1, 20, 14}), std::nullopt);
  EXPECT_EQ(table_offset(Field::kParentGoid, {1, 21, 0}), 272U);
  EXPECT_EQ(table_offset(Field::kGoid, {1, 24, 13}), 160U);
  EXPECT_EQ(table_offset(Field::kGoid, {1, 26, 8}), 152U);
  EXPECT_EQ(table_offset(Field::kRequestPattern, {1, 22, 12}), std::nullopt);
  EXPECT_EQ(table_offset(Field::kRequestPattern, {1, 23, 0}), 232U);
  EXPECT_EQ(table_offset(Field::kGrpcServerStreamSt, {1, 83, 0}), 328U);
  EXPECT_EQ(table_offset(Field::kGrpcServerStreamSt, {1, 83, 1}), 360U);
}

TEST(Table, IsNotStretched) {
  EXPECT_EQ(table_offset(Field::kGoid, {1, 18, 10}), std::nullopt);
  EXPECT_EQ(table_offset(Field::kGoid, {1, 99, 0}), std::nullopt);
  EXPECT_EQ(table_offset(Field::kGoid, {2, 20, 0}), std::nullopt);
  EXPECT_EQ(table_offset(Field::kGoid, {1, 26, 99}), 152U) << "a later patch release of Go";
  EXPECT_EQ(table_offset(Field::kGrpcStreamMethod, {1, 64, 1}), 80U);
  EXPECT_EQ(table_offset(Field::kGrpcStreamMethod, {1, 64, 2}), std::nullopt)
      << "a later patch release of a library";
}

BuildInfo build_with(const std::string& go_version, const Module& grpc) {
  BuildInfo build;
  build.go_version = go_version;
  build.modules = {grpc};
  return build;
}

TEST(Table, OfAProgram) {
  const std::string path = "google.golang.org/grpc";
  const auto offsets = [](const BuildInfo& build) {
    return table_offsets(build, elf::Machine::kX86_64);
  };
  const Offsets plain = offsets(build_with("go1.26.8", {path, "v1.60.0", {}}));
  EXPECT_EQ(plain.source(), OffsetSource::kTable);
  EXPECT_EQ(plain.get(Field::kGoid), 152U);
  EXPECT_EQ(plain.get(Field::kGrpcStreamMethod), 80U);
  EXPECT_EQ(plain.get(Field::kXHttp2StreamId), std::nullopt) << "the module is not in the program";

  EXPECT_EQ(offsets(build_with("go1.26.8", {"example.com/fork", "v1.60.0", path}))
                .get(Field::kGrpcStreamMethod),
            std::nullopt)
      << "a fork";
  EXPECT_EQ(offsets(build_with("go1.26.8", {path, "v1.60.1", path})).get(Field::kGrpcStreamMethod),
            80U)
      << "replaced by another version of itself";
  EXPECT_EQ(offsets(build_with("go1.26rc1", {})).source(), OffsetSource::kNone);
  EXPECT_EQ(table_offsets(build_with("go1.26.8", {}), elf::Machine::kAarch64).source(),
            OffsetSource::kNone);
}

}  // namespace
}  // namespace zerospan::symbols::go
