// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/go_pattern.h"

#include <gtest/gtest.h>

#include <string>

namespace zerospan::spans {
namespace {

using model::Router;

std::string_view route_of_pattern(std::string_view pattern, std::string_view target) {
  return spans::route_of_pattern(Router::kPattern, pattern, target);
}

bool fits(Router router, std::string_view pattern, std::string_view target) {
  const std::string_view route = spans::route_of_pattern(router, pattern, target);
  EXPECT_TRUE(route.empty() || route == pattern);
  return !route.empty();
}

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

TEST(GoPattern, OfGin) {
  EXPECT_TRUE(fits(Router::kGin, "/items/:id", "/items/17?q=/x"));
  EXPECT_TRUE(fits(Router::kGin, "/items/user_:id/parts", "/items/user_17/parts"));
  EXPECT_TRUE(fits(Router::kGin, "/files/*path", "/files/"));
  EXPECT_TRUE(fits(Router::kGin, "/files/*path", "/files/a/b"));
  EXPECT_TRUE(fits(Router::kGin, "/v1/items\\:sell", "/v1/items:sell"));
  EXPECT_TRUE(fits(Router::kGin, "/a b", "/a%20b"));
  EXPECT_FALSE(fits(Router::kGin, "/files/*path", "/files"));
  EXPECT_FALSE(fits(Router::kGin, "/items/:id", "/items/17/parts"));
  EXPECT_FALSE(fits(Router::kGin, "/items/:id", "/other/17"));
  EXPECT_FALSE(fits(Router::kGin, "/items", "/Items"));
  EXPECT_FALSE(fits(Router::kGin, "/items", "/items/"));
  EXPECT_FALSE(fits(Router::kGin, "", "/"));
}

TEST(GoPattern, OfEcho) {
  EXPECT_TRUE(fits(Router::kEcho, "/items/:id/parts/:part", "/items/17/parts/4"));
  EXPECT_TRUE(fits(Router::kEcho, "/files/*", "/files/a/b"));
  EXPECT_TRUE(fits(Router::kEcho, "/files/*", "/files"));
  EXPECT_TRUE(fits(Router::kEcho, "/*", "/"));
  EXPECT_FALSE(fits(Router::kEcho, "/files/*", "/filesystem"));
  EXPECT_FALSE(fits(Router::kEcho, "items", "/items"));
}

TEST(GoPattern, OfGorillasMux) {
  EXPECT_TRUE(fits(Router::kMux, "/items/{id}", "/items/17"));
  EXPECT_TRUE(fits(Router::kMux, "/items/{id:[0-9]{2}}/x", "/items/17/x"));
  EXPECT_TRUE(fits(Router::kMux, "/files/{path:.*}", "/files/a/b"));
  EXPECT_TRUE(fits(Router::kMux, "/{a}-{b}", "/1-2"));
  EXPECT_TRUE(fits(Router::kMux, "/static", "/static/a.css"));  // may be a prefix
  EXPECT_TRUE(fits(Router::kMux, "/items/", "/items"));         // redirected, with StrictSlash
  EXPECT_TRUE(fits(Router::kMux, "/{", "/x"));
  EXPECT_FALSE(fits(Router::kMux, "/items/{id}/parts", "/items/17"));
  EXPECT_FALSE(fits(Router::kMux, "/items/{id}/parts", "/items/1/2/parts"));
}

TEST(GoPattern, OfFiber) {
  EXPECT_TRUE(fits(Router::kFiber, "/items/:id", "/Items/17/"));
  EXPECT_TRUE(fits(Router::kFiber, "/flights/:from-:to.:format", "/flights/HAM-FRA.json"));
  EXPECT_TRUE(fits(Router::kFiber, "/items/:id<int;min(5)>/x", "/items/17/x"));
  EXPECT_TRUE(fits(Router::kFiber, "/items/:id?", "/items"));
  EXPECT_TRUE(fits(Router::kFiber, "/files/*", "/files"));
  EXPECT_TRUE(fits(Router::kFiber, "/files/+", "/files/a/b"));
  EXPECT_TRUE(fits(Router::kFiber, "/v1/items\\:sell", "/v1/items:sell"));
  EXPECT_TRUE(fits(Router::kFiber, "/", "/"));
  EXPECT_FALSE(fits(Router::kFiber, "/", "/x"));
  EXPECT_FALSE(fits(Router::kFiber, "/items/:id", "/items/17/parts"));
}

TEST(GoPattern, HasItsBounds) {
  const std::string path = "/" + std::string(4096, 'a');
  EXPECT_TRUE(fits(Router::kPattern, "/{a}", path));
  EXPECT_FALSE(fits(Router::kGin, "/:a", path));
  EXPECT_FALSE(fits(Router::kGin, path, path));
}

}  // namespace
}  // namespace zerospan::spans
