// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/bson/command.h"

#include <gtest/gtest.h>

#include <random>

#include "agent/bson/testing.h"

namespace zerospan::bson {
namespace {

std::string told(std::string_view sections, std::string_view collection = "users", bool raw = false,
                 size_t most = 4096, bool cut = false) {
  std::string out;
  describe(sections, cut, collection, raw, most, out);
  return out;
}

const std::string kFind =
    text("find", "users") +
    sub("filter", text("name", "secret") + sub("age", number("$gt", 18)) +
                      array("tags", text("0", "secret") + text("1", "secret"))) +
    number("limit", 1) + sub("lsid", element(5, "id", le(16) + "\4" + std::string(16, 's'))) +
    text("$db", "shop");

TEST(Describe, NamesStayValuesGo) {
  EXPECT_EQ(
      told(body(kFind)),
      R"({"find": "users", "filter": {"name": "?", "age": {"$gt": "?"}, "tags": ["?"]}, "limit": "?"})");
  EXPECT_EQ(
      told(body(kFind), "users", true),
      R"({"find": "users", "filter": {"name": "secret", "age": {"$gt": 18}, "tags": ["secret", "secret"]}, "limit": 1})");
  EXPECT_EQ(
      told(body(kFind), ""),
      R"({"find": "?", "filter": {"name": "?", "age": {"$gt": "?"}, "tags": ["?"]}, "limit": "?"})");
  EXPECT_EQ(told(body(number64("getMore", 77) + text("collection", "users") + text("$db", "a"))),
            R"({"getMore": "?", "collection": "users"})");
  // A value is no name, whatever it is called.
  EXPECT_EQ(told(body(text("find", "users") + sub("filter", text("collection", "users")))),
            R"({"find": "users", "filter": {"collection": "?"}})");
}

TEST(Describe, DocumentsOfASection) {
  const std::string one = document(text("name", "secret") + number("n", 1));
  const std::string other = document(number("n", 1));
  EXPECT_EQ(
      told(body(text("insert", "users")) + sequence("documents", one + one + other + one)),
      R"({"insert": "users", "documents": [{"name": "?", "n": "?"}, {"n": "?"}, {"name": "?", "n": "?"}]})");
  EXPECT_EQ(
      told(body(text("aggregate", "users") +
                array("pipeline", sub("0", sub("$match", text("a", "secret"))) +
                                      sub("1", sub("$group", text("_id", "$a")))))),
      R"({"aggregate": "users", "pipeline": [{"$match": {"a": "?"}}, {"$group": {"_id": "?"}}]})");
}

TEST(Describe, KindsOfValues) {
  using namespace std::string_literals;
  const std::string all =
      real("a", 1.5) + element(7, "b", "0123456789ab") + element(8, "c", "\1") +
      element(9, "d", le(int64_t{12})) + element(10, "e", "") + element(11, "f", "secret\0i\0"s) +
      element(0x13, "g", std::string(16, '\0')) + element(0x0f, "h", le(int32_t{9}) + "secre") +
      element(0xff, "i", "") + element(5, "j", le(int32_t{0}) + "\0"s) + number64("k", -1) +
      text("l\"\n", "x\\");
  EXPECT_EQ(
      told(body(all)),
      R"({"a": "?", "b": "?", "c": "?", "d": "?", "e": "?", "f": "?", "g": "?", "h": "?", "i": "?", "j": "?", "k": "?", "l\"\u000a": "?"})");
  EXPECT_EQ(
      told(body(all), "", true),
      R"({"a": 1.5, "b": {"$oid": "303132333435363738396162"}, "c": true, "d": {"$date": 12}, "e": null, "f": "?", "g": "?", "h": "?", "i": "?", "j": "?", "k": -1, "l\"\u000a": "x\\"})");
}

// However much of it there is, the text is the beginning of the whole one, and has no value.
TEST(Describe, CutAnywhere) {
  const std::string whole =
      body(kFind) + sequence("documents", document(text("name", "secret") + number("n", 1)));
  const std::string text = told(whole);
  for (size_t size = 0; size <= whole.size(); ++size) {
    const std::string cut = told(whole.substr(0, size), "users", false, 4096, size < whole.size());
    EXPECT_EQ(cut, text.substr(0, cut.size())) << size;
    EXPECT_EQ(cut.find("secret"), std::string::npos);
  }
  for (size_t most = 0; most <= text.size(); ++most) {
    EXPECT_EQ(told(whole, "users", false, most),
              text.substr(0, told(whole, "users", false, most).size()));
    EXPECT_LE(told(whole, "users", false, most).size(), most);
  }
}

TEST(Describe, Nonsense) {
  std::mt19937_64 random(1);
  const std::string whole = body(kFind) + sequence("documents", document(number("n", 1)));
  for (int i = 0; i < 100'000; ++i) {
    std::string bytes = whole;
    for (size_t changes = 1 + random() % 3; changes > 0; --changes) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    EXPECT_LE(told(bytes).size(), 4096U);
  }
  std::string deep = number("n", 1);
  for (int i = 0; i < 200; ++i) {
    deep = sub("d", deep);
  }
  EXPECT_NE(told(body(deep)).find("\"?\""), std::string::npos);
}

TEST(Names, Commands) {
  EXPECT_TRUE(is_for_collection("findAndModify"));
  EXPECT_FALSE(is_for_collection("dropUser"));
  EXPECT_TRUE(is_secret("saslStart"));
  EXPECT_FALSE(is_secret("find"));
}

}  // namespace
}  // namespace zerospan::bson
