// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/route.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace zerospan::spans {
namespace {

TEST(RouteTable, FirstMatchWins) {
  const auto table =
      RouteTable::make({"/users/me", "/users/{id}", "/users/{id}/{rest...}", "/users/7", "/",
                        "/static/*", "/{any}/posts", "/a/{x}/c", "/a/b/{y}", "/slash/"});
  ASSERT_TRUE(table) << table.error().message;
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"/", "/"},
      {"/users/me", "/users/me"},
      {"/users/7", "/users/{id}"},
      {"/users/", ""},
      {"/users", ""},
      {"/users/7/", "/users/{id}/{rest...}"},
      {"/users/7/posts", "/users/{id}/{rest...}"},
      {"/users/posts", "/users/{id}"},
      {"/tags/posts", "/{any}/posts"},
      {"/static/", "/static/*"},
      {"/static", ""},
      {"/static/a/b.css", "/static/*"},
      {"/a/b/c", "/a/{x}/c"},
      {"/a/b/d", "/a/b/{y}"},
      {"/slash/", "/slash/"},
      {"/slash", ""},
      {"", ""},
      {"*", ""},
      {"//", ""},
  };
  for (const auto& [path, expected] : cases) {
    EXPECT_EQ(table->match(path), expected) << path;
  }
  EXPECT_EQ(RouteTable().match("/users/me"), "");
}

TEST(RouteTable, MalformedTemplatesAreNamed) {
  for (const char* text : {"", "users", "/a/*/b", "/a/{x...}/b", "/a{b}", "/a/{}", "/a?b"}) {
    const auto table = RouteTable::make({"/fine", text});
    ASSERT_FALSE(table) << text;
    EXPECT_EQ(table.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(table.error().message, ::testing::HasSubstr(std::string("\"") + text + "\""));
  }
}

TEST(GuessRoute, ReplacesIdentifiersAndKeepsWords) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"/", "/"},
      {"/users/123", "/users/{id}"},
      {"/users/123/", "/users/{id}/"},
      {"/v1/users/-/posts", "/v1/users/-/posts"},
      {"/o/550e8400-e29b-41d4-a716-446655440000", "/o/{uuid}"},
      {"/o/550E8400-E29B-41D4-A716-446655440000/x", "/o/{uuid}/x"},
      {"/c/3f2a9bcd", "/c/{id}"},
      {"/c/deadbeef", "/c/deadbeef"},
      {"/c/3f2a9bc", "/c/3f2a9bc"},
      {"/d/2024-01-02", "/d/{id}"},
      {"/ip/10.1.2.3", "/ip/{id}"},
      {"/m/ann@example.org", "/m/{email}"},
      {"/m/ann%40example.org", "/m/{email}"},
      {"/t/dQw4w9WgXcQ_1a2B3c", "/t/{token}"},
      {"/t/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/t/{token}"},
      {"/blog/my-10-favourite-things-of-2024", "/blog/my-10-favourite-things-of-2024"},
      {"/s/jquery-3.7.1.min.js", "/s/jquery-3.7.1.min.js"},
      {"", ""},
      {"x", ""},
      {"/a b", ""},
      {"/a\xff", ""},
      {"/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", ""},
  };
  for (const auto& [path, expected] : cases) {
    EXPECT_EQ(guess_route(path), expected) << path;
  }
  EXPECT_EQ(guess_route("/" + std::string(256, 'a')), "");
}

TEST(RouteBudget, BoundsEachResourceOnItsOwn) {
  RouteBudget budget(2);
  EXPECT_TRUE(budget.admit(1, "/a", true));
  EXPECT_TRUE(budget.admit(1, "/b", true));
  EXPECT_FALSE(budget.admit(1, "/c", true));
  EXPECT_TRUE(budget.admit(1, "/a", false));
  EXPECT_TRUE(budget.admit(2, "/c", true));
  EXPECT_FALSE(budget.admit(2, "/d", false));
  EXPECT_FALSE(RouteBudget(0).admit(1, "/a", true));
  // More processes than are remembered: what was learnt is forgotten, and room is there again.
  for (uint64_t resource = 10; resource < 1100; ++resource) {
    EXPECT_TRUE(budget.admit(resource, "/x", true));
  }
  EXPECT_FALSE(budget.admit(1, "/a", false));
  EXPECT_TRUE(budget.admit(1, "/c", true));
}

}  // namespace
}  // namespace zerospan::spans
