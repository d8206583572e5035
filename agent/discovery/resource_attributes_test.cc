// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/resource_attributes.h"

#include <gtest/gtest.h>

namespace zerospan::discovery {
namespace {

using Pairs = ResourceAttributes;

TEST(ResourceAttributes, ListsPairs) {
  EXPECT_EQ(parse_resource_attributes("a=1,b.c=two"), (Pairs{{"a", "1"}, {"b.c", "two"}}));
  EXPECT_EQ(parse_resource_attributes(" a = 1 ,\tb= "), (Pairs{{"a", "1"}, {"b", ""}}));
  EXPECT_EQ(parse_resource_attributes("a=b=c"), (Pairs{{"a", "b=c"}}));
  EXPECT_EQ(parse_resource_attributes("a=1,a=2"), (Pairs{{"a", "2"}}));
  EXPECT_EQ(parse_resource_attributes(""), Pairs{});
  EXPECT_EQ(parse_resource_attributes("  "), Pairs{});
}

TEST(ResourceAttributes, PercentDecodesKeysAndValues) {
  EXPECT_EQ(parse_resource_attributes("k%3D=v%2Cw%20%c3%A9+"), (Pairs{{"k=", "v,w \xc3\xa9+"}}));
  EXPECT_EQ(parse_resource_attributes("k=%ff"), (Pairs{{"k", "\xef\xbf\xbd"}}));
}

TEST(ResourceAttributes, AnyErrorDiscardsTheWholeValue) {
  for (const char* value :
       {"a", "a=1,b", "a=1,", ",a=1", "=1", "a=%", "a=%2", "a=%zz", "%=1", "a=1,,b=2"}) {
    EXPECT_EQ(parse_resource_attributes(value), std::nullopt) << value;
  }
  std::string many;
  for (int i = 0; i < 1000; ++i) {
    many += (i == 0 ? "k" : ",k") + std::to_string(i) + "=v";
  }
  EXPECT_EQ(parse_resource_attributes(many), std::nullopt);
}

TEST(ToUtf8, ReplacesWhatIsNotUtf8) {
  EXPECT_EQ(to_utf8("plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
            "plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
  const std::string r = "\xef\xbf\xbd";
  EXPECT_EQ(to_utf8("\xff"), r);
  EXPECT_EQ(to_utf8("\xc0\x80"), r + r);          // overlong
  EXPECT_EQ(to_utf8("\xed\xa0\x80"), r + r + r);  // surrogate
  EXPECT_EQ(to_utf8("\xe2\x82"), r + r);          // cut
  EXPECT_EQ(to_utf8("\xf4\x90\x80\x80"), r + r + r + r);
}

}  // namespace
}  // namespace zerospan::discovery
