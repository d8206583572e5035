// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/json_members.h"

#include <gtest/gtest.h>

#include <string>

namespace zerospan::spans {
namespace {

// Every member, and how it ended: "." whole, "~" cut, "!" invalid.
std::string told(std::string_view text) {
  std::string out;
  JsonMembers members(text);
  for (JsonMember member; members.next(member);) {
    out += std::string(member.key) + "=" + std::string(member.raw) + (member.whole ? " " : "~ ");
  }
  return out + (!members.valid() ? "!" : members.whole() ? "." : "~");
}

TEST(JsonMembers, Members) {
  EXPECT_EQ(told(R"({"a":"x","b" : -1.5e+3 , "c":[1,{"d":"}]"}],"e":{"f":{}},"g":null})"),
            R"(a=x b=-1.5e+3 c=[1,{"d":"}]"}] e={"f":{}} g=null .)");
  EXPECT_EQ(told(" \r\n\t{ } "), ".");
  EXPECT_EQ(told(R"({"quote\"d":"a\\","b":true})"), R"(quote\"d=a\\ b=true .)");
}

TEST(JsonMembers, CutAnywhere) {
  constexpr std::string_view kWhole = R"({"a":"x\"y","b":[1,"]"],"c":12,"d":false})";
  for (size_t size = 0; size < kWhole.size(); ++size) {
    JsonMembers members(kWhole.substr(0, size));
    JsonMembers reference(kWhole);
    JsonMember expected;
    for (JsonMember member; members.next(member);) {
      ASSERT_TRUE(reference.next(expected)) << size;
      EXPECT_EQ(member.key, expected.key) << size;
      EXPECT_EQ(member.kind, expected.kind) << size;
      EXPECT_TRUE(expected.raw.starts_with(member.raw)) << size;
      EXPECT_TRUE(!member.whole || member.raw == expected.raw) << size;
    }
    EXPECT_FALSE(members.whole()) << size;
    EXPECT_EQ(members.valid(), size > 0) << size;
  }
}

TEST(JsonMembers, OthersAreNone) {
  for (const std::string_view text :
       {"", "[{}]", "x", R"({"a":1 "b":2})", R"({a:1})", R"({"a":01})", R"({"a":1.})",
        R"({"a":,"b":1})", R"({"a":nul})", R"({"a":[1}})", R"({"a":1,})", "{\"a\":\"\n\"}",
        R"({"a"=1})", R"({"a":]})"}) {
    EXPECT_TRUE(told(text).ends_with("!")) << text << " " << told(text);
  }
  EXPECT_EQ(told(R"({"a":)" + std::string(100, '[') + std::string(100, ']') + "}"), "!");
}

TEST(JsonText, Escapes) {
  EXPECT_EQ(json_text(R"(a\n\t\"\\\/\u00e9\u20ac\ud83d\ude00)"),
            "a\n\t\"\\/\u00e9\u20ac\U0001f600");
  EXPECT_EQ(json_text(R"(lone \ud83d!)"), "lone \ufffd!");
  EXPECT_EQ(json_text(R"(\q)"), std::nullopt);
  EXPECT_EQ(json_text(R"(\u12g4)"), std::nullopt);
  // Cut inside of an escape.
  for (const std::string_view cut :
       {R"(a\)", R"(a\u)", R"(a\u00)", R"(a\ud83d)", R"(a\ud83d\ud)"}) {
    EXPECT_EQ(json_text(cut), "a") << cut;
  }
}

}  // namespace
}  // namespace zerospan::spans
