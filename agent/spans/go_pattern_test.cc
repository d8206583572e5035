// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/go_pattern.h"

#include <gtest/gtest.h>

namespace zerospan::spans {
namespace {

TEST(GoPattern, LosesItsMethodAndHost) {
  EXPECT_EQ(route_of_pattern("/a", "/a"), "/a");
  EXPECT_EQ(route_of_pattern("GET /a", "/a?q=/b"), "/a");
  EXPECT_EQ(route_of_pattern("GET \t example.com/a", "/a"), "/a");
  EXPECT_EQ(route_of_pattern("example.com/", "/a/b"), "/");
}

TEST(GoPattern, WildcardsTakeASegment) {
  EXPECT_EQ(route_of_pattern("GET /items/{id}", "/items/17"), "/items/{id}");
  EXPECT_EQ(route_of_pattern("/items/{id}/parts", "/items/a%2Fb/parts"), "/items/{id}/parts");
  EXPECT_EQ(route_of_pattern("/items/{id:[0-9/]+}", "/items/17"), "/items/{id:[0-9/]+}");
  EXPECT_EQ(route_of_pattern("/{a}-{b}/x", "/1-2/x"), "/{a}-{b}/x");
  EXPECT_EQ(route_of_pattern("/items/{id}", "/items/17/parts"), "");
  EXPECT_EQ(route_of_pattern("/items/{id}", "/items"), "");
  EXPECT_EQ(route_of_pattern("/items/{id}", "/other/17"), "");
}

TEST(GoPattern, SomeTakeTheRest) {
  EXPECT_EQ(route_of_pattern("/", "/what/ever"), "/");
  EXPECT_EQ(route_of_pattern("/files/", "/files/a/b"), "/files/");
  EXPECT_EQ(route_of_pattern("/files/{path...}", "/files/a/b"), "/files/{path...}");
  EXPECT_EQ(route_of_pattern("/files/*", "/files/a/b"), "/files/*");
  EXPECT_EQ(route_of_pattern("/{$}", "/"), "/{$}");
  EXPECT_EQ(route_of_pattern("/{$}", "/a"), "");
  EXPECT_EQ(route_of_pattern("/files/", "/file"), "");
}

TEST(GoPattern, LiteralsAreComparedDecoded) {
  EXPECT_EQ(route_of_pattern("/a b", "/a%20b"), "/a b");
  EXPECT_EQ(route_of_pattern("/a", "/%61"), "/a");
  EXPECT_EQ(route_of_pattern("/a%", "/a%"), "/a%");
  EXPECT_EQ(route_of_pattern("/ab", "/a"), "");
  EXPECT_EQ(route_of_pattern("/a", "/ab"), "");
}

TEST(GoPattern, AnythingElseIsNone) {
  EXPECT_EQ(route_of_pattern("", "/a"), "");
  EXPECT_EQ(route_of_pattern("GET", "/a"), "");
  EXPECT_EQ(route_of_pattern("/a", "http://h/a"), "");
  EXPECT_EQ(route_of_pattern("/a", "*"), "");
  EXPECT_EQ(route_of_pattern("/a", ""), "");
  EXPECT_EQ(route_of_pattern("/\x01", "/\x01"), "");
  EXPECT_EQ(route_of_pattern("/{", "/{"), "/{");
}

}  // namespace
}  // namespace zerospan::spans
