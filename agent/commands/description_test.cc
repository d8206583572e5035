// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/commands/description.h"

#include <gtest/gtest.h>

#include <initializer_list>

#include "agent/commands/arguments.h"

namespace zerospan::commands {
namespace {

std::string text(std::initializer_list<std::string_view> arguments, bool raw = false,
                 size_t most = 4096) {
  std::string packed;
  for (const std::string_view argument : arguments) {
    append_argument(packed, argument, false);
  }
  Description description;
  describe(packed, *find_redis(*arguments.begin()), raw, most, description);
  return description.text;
}

TEST(Description, NamesStayValuesGo) {
  EXPECT_EQ(text({"HMSET", "myhash", "field1", "Hello", "field2", "World"}),
            "HMSET myhash field1 ? field2 ?");
  EXPECT_EQ(text({"set", "a", "secret", "EX", "60"}), "set a ? ? ?");
  EXPECT_EQ(text({"MSET", "a", "1", "b", "2"}), "MSET a ? b ?");
  EXPECT_EQ(text({"MGET", "a", "b"}), "MGET a b");
  EXPECT_EQ(text({"hget", "a", "b"}), "hget a b");
  EXPECT_EQ(text({"EVAL", "return 'secret'", "0"}), "EVAL ? ?");
  EXPECT_EQ(text({"CONFIG", "SET", "requirepass", "secret"}), "CONFIG SET ? ?");
  EXPECT_EQ(text({"CONFIG", "SET", "requirepass", "secret"}, true), "CONFIG SET ? ?");
  EXPECT_EQ(text({"AUTH", "secret"}, true), "AUTH ?");
  EXPECT_EQ(text({"JSON.SET", "a", "secret"}), "JSON.SET ? ?");
  EXPECT_EQ(text({"JSON.SET", "a", "secret"}, true), "JSON.SET a secret");
  EXPECT_EQ(text({"GET", "a b\n\"c\""}), R"(GET "a b\x0a\"c\"")");
  EXPECT_EQ(text({"GET", ""}), R"(GET "")");
  EXPECT_EQ(text({"DEL", "one", "two", "three"}, false, 12), "DEL one two");
  EXPECT_EQ(text({"no command", "a"}), "");
}

TEST(Description, Procedures) {
  std::string packed;
  append_argument(packed, "EVALSHA", false);
  append_argument(packed, "5ca1ab1e", false);
  append_argument(packed, "0", false);
  Description description;
  describe(packed, *find_redis("evalsha"), false, 4096, description);
  EXPECT_EQ(description.text, "EVALSHA 5ca1ab1e ?");
  EXPECT_EQ(description.operation, "EVALSHA");
  EXPECT_EQ(description.procedure, "5ca1ab1e");
}

TEST(Description, NamesThatAreCutAreNotShown) {
  std::string packed;
  append_argument(packed, "GET", false);
  append_argument(packed, "begin", true);
  Description description;
  describe(packed, *find_redis("GET"), false, 4096, description);
  EXPECT_EQ(description.text, "GET ?");
  describe(packed, *find_redis("GET"), true, 4096, description);
  EXPECT_EQ(description.text, "GET begin...");
}

TEST(Arguments, AnyBytes) {
  Argument argument;
  std::string_view packed(
      "\xff\xff\xff\xff"
      "abc",
      7);
  ASSERT_TRUE(next_argument(packed, argument));
  EXPECT_EQ(argument.bytes, "abc");
  EXPECT_FALSE(next_argument(packed, argument));
  packed = "ab";
  EXPECT_FALSE(next_argument(packed, argument));
}

}  // namespace
}  // namespace zerospan::commands
