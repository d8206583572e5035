// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/k8s/api/decode.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace zerospan::k8s {
namespace {

constexpr size_t kMuch = 1U << 20U;

TEST(Decode, AsTheLibraryDoes) {
  for (const char* text :
       {"null", "true", "-1", "18446744073709551615", "1.5", R"("a\u00e9")", "[]", "{}",
        R"([1,[2,{"a":[{}]}],"x"])", R"({"a":{"b":{"c":[1,2]},"d":null},"e":[[],[[]]]})",
        R"({"twice":1,"twice":{"a":2}})"}) {
    const auto decoded = decode(text, kMuch);
    ASSERT_TRUE(decoded) << text;
    EXPECT_EQ(*decoded, nlohmann::json::parse(text)) << text;
  }
}

TEST(Decode, WithoutManagedFields) {
  const auto decoded =
      decode(R"({"object":{"metadata":{"managedFields":[{"f":{"managedFields":1}},[2]],"name":"n",)"
             R"("managedFields":7},"x":1}})",
             kMuch);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, nlohmann::json::parse(R"({"object":{"metadata":{"name":"n"},"x":1}})"));
}

TEST(Decode, NotJson) {
  for (const char* text : {"", "{", "{\"a\"}", "[1,]", "1 2", "nul", "\"\xff\"", "1e999"}) {
    const auto decoded = decode(text, kMuch);
    ASSERT_FALSE(decoded) << text;
    EXPECT_EQ(decoded.error().code, ErrorCode::kMalformed) << text;
  }
}

TEST(Decode, Bounded) {
  const auto code = [](const std::string& text, size_t max_bytes) {
    const auto decoded = decode(text, max_bytes);
    return decoded                                           ? std::string("decoded")
           : decoded.error().code == ErrorCode::kUnsupported ? "too large"
                                                             : "malformed";
  };
  EXPECT_EQ(code(std::string(64, '[') + std::string(64, ']'), kMuch), "decoded");
  EXPECT_EQ(code(std::string(65, '[') + std::string(65, ']'), kMuch), "too large");
  EXPECT_EQ(code(std::string(1'000'000, '['), kMuch), "too large");
  EXPECT_EQ(code("\"" + std::string(1000, 'x') + "\"", 2000), "decoded");
  EXPECT_EQ(code("\"" + std::string(3000, 'x') + "\"", 2000), "too large");
  // Small as text, large in memory.
  std::string small = "[";
  for (int i = 0; i < 10'000; ++i) {
    small += "{},";
  }
  EXPECT_EQ(code(small + "0]", small.size() * 2), "too large");
}

TEST(Decode, Strings) {
  const auto object = nlohmann::json::parse(R"({"a":"x","b":{"c":"y","d":1},"e":["f"]})");
  EXPECT_EQ(string_at(object, "a"), "x");
  EXPECT_EQ(string_at(object, "b"), "");
  EXPECT_EQ(string_at(object, "b", "c"), "y");
  EXPECT_EQ(string_at(object, "b", "d"), "");
  EXPECT_EQ(string_at(object, "e", "f"), "");
  EXPECT_EQ(string_at(object, "none", "f"), "");
  EXPECT_EQ(string_at(nlohmann::json(1), "a"), "");
}

}  // namespace
}  // namespace zerospan::k8s
