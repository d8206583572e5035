// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/propagation/trace_headers.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace zerospan::propagation {
namespace {

constexpr const char* kInvalid = "invalid";

// "trace-span-sampled", with "?" for a deferred decision.
std::string show(const std::optional<model::RemoteContext>& context) {
  if (!context) {
    return kInvalid;
  }
  const char* sampled = !context->sampled ? "?" : *context->sampled ? "1" : "0";
  return to_hex(context->trace_id) + "-" + to_hex(context->span_id) + "-" + sampled;
}

struct Case {
  std::string what;
  std::string input;
  std::string expected;
};

const std::string kTrace = "4bf92f3577b34da6a3ce929d0e0e4736";
const std::string kSpan = "00f067aa0ba902b7";
const std::string kIds = kTrace + "-" + kSpan;

TEST(Traceparent, FollowsTheRecommendation) {
  const std::vector<Case> cases = {
      {"sampled", "00-" + kIds + "-01", kIds + "-1"},
      {"not sampled", "00-" + kIds + "-00", kIds + "-0"},
      {"unknown flags are ignored", "00-" + kIds + "-fe", kIds + "-0"},
      {"all flags", "00-" + kIds + "-ff", kIds + "-1"},
      {"white space around", " \t00-" + kIds + "-01\t ", kIds + "-1"},
      {"empty", "", kInvalid},
      {"too short", "00-" + kIds + "-0", kInvalid},
      {"version 00 with a dash behind", "00-" + kIds + "-01-", kInvalid},
      {"version 00 with data behind", "00-" + kIds + "-01-what", kInvalid},
      {"version 00 with a letter behind", "00-" + kIds + "-012", kInvalid},
      {"version ff", "ff-" + kIds + "-01", kInvalid},
      {"version FF", "FF-" + kIds + "-01", kInvalid},
      {"later version", "cc-" + kIds + "-01", kIds + "-1"},
      {"later version with data", "cc-" + kIds + "-01-what-the-future", kIds + "-1"},
      {"later version with a bare dash", "01-" + kIds + "-01-", kIds + "-1"},
      {"later version with other data", "cc-" + kIds + "-01.what", kInvalid},
      {"later version, flags too long", "cc-" + kIds + "-011", kInvalid},
      {"version not hex", "0x-" + kIds + "-01", kInvalid},
      {"version of one digit", "0-" + kIds + "-01-", kInvalid},
      {"trace id of zeros", "00-" + std::string(32, '0') + "-" + kSpan + "-01", kInvalid},
      {"span id of zeros", "00-" + kTrace + "-0000000000000000-01", kInvalid},
      {"upper-case trace id", "00-4BF92F3577B34DA6A3CE929D0E0E4736-" + kSpan + "-01", kInvalid},
      {"upper-case span id", "00-" + kTrace + "-00F067AA0BA902B7-01", kInvalid},
      {"upper-case flags", "00-" + kIds + "-0A", kInvalid},
      {"trace id not hex", "00-.bf92f3577b34da6a3ce929d0e0e4736-" + kSpan + "-01", kInvalid},
      {"span id too short", "00-" + kTrace + "-00f067aa0ba902b-01-", kInvalid},
      {"flags not hex", "00-" + kIds + "-.0", kInvalid},
      {"underscores", "00_" + kTrace + "_" + kSpan + "_01", kInvalid},
      {"two in one", "00-" + kIds + "-01,00-" + kIds + "-01", kInvalid},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(show(parse_traceparent(c.input)), c.expected) << c.what;
  }
}

std::string members(size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) {
    out += (i > 0 ? "," : "") + ("k" + std::to_string(i)) + "=" + std::to_string(i);
  }
  return out;
}

TEST(Tracestate, FollowsTheRecommendation) {
  struct ListCase {
    std::string what;
    std::vector<std::string> fields;
    std::string expected;
  };
  const std::string long_key(256, 'z');
  const std::string long_value(256, 'v');
  const std::string tenant(241, 't');
  const std::vector<ListCase> cases = {
      {"one member", {"foo=1"}, "foo=1"},
      {"several", {"foo=1,bar=2"}, "foo=1,bar=2"},
      {"several fields are one list", {"foo=1", "bar=2,baz=3"}, "foo=1,bar=2,baz=3"},
      {"white space around members", {"foo=1 \t , \t bar=2, \t baz=3"}, "foo=1,bar=2,baz=3"},
      {"empty members", {"foo=1,,,bar=2,", "", ","}, "foo=1,bar=2"},
      {"nothing", {""}, ""},
      {"space inside a value", {"foo= 1 2"}, "foo= 1 2"},
      {"space in a key", {"foo =1"}, ""},
      {"no value", {"foo="}, ""},
      {"no equals sign", {"foo"}, ""},
      {"no key", {"=1"}, ""},
      {"two equals signs", {"foo=bar=baz"}, ""},
      {"upper-case key", {"FOO=1"}, ""},
      {"key with a dot", {"foo.bar=1"}, ""},
      {"key that begins with a digit", {"1foo=1"}, ""},
      {"key with all marks", {"a_-*/0=1"}, "a_-*/0=1"},
      {"tenant", {"fw529a3039@dt=1"}, "fw529a3039@dt=1"},
      {"tenant that begins with a digit", {"0t@v=1"}, "0t@v=1"},
      {"no tenant", {"@v=1"}, ""},
      {"no system", {"t@=1"}, ""},
      {"two at signs", {"a@b@c=1"}, ""},
      {"system that begins with a digit", {"t@0v=1"}, ""},
      {"system of 14", {"t@" + std::string(14, 'v') + "=1"}, "t@" + std::string(14, 'v') + "=1"},
      {"system of 15", {"t@" + std::string(15, 'v') + "=1"}, ""},
      {"tenant of 241", {tenant + "@v=1"}, tenant + "@v=1"},
      {"tenant of 242", {"t" + tenant + "@v=1"}, ""},
      {"key of 256", {long_key + "=1"}, long_key + "=1"},
      {"key of 257", {"z" + long_key + "=1"}, ""},
      {"value of 256 is valid", {"a=1,foo=" + long_value}, "a=1,foo=" + long_value},
      {"value of 257", {"a=1,foo=v" + long_value}, ""},
      {"control character", {std::string("foo=\x01") + "x"}, ""},
      {"not ASCII", {"foo=\xc3\xa9"}, ""},
      {"one bad member spoils the list", {"foo=1,BAR=2"}, ""},
      {"a key twice: the first stays", {"foo=1,bar=2,foo=3"}, "foo=1,bar=2"},
      {"32 members", {members(32)}, members(32)},
      {"33 members", {members(33)}, ""},
      {"33 members over two fields", {members(32), "z=1"}, ""},
  };
  for (const ListCase& c : cases) {
    const std::vector<std::string_view> views(c.fields.begin(), c.fields.end());
    EXPECT_EQ(join_tracestate(views), c.expected) << c.what;
  }
}

TEST(Tracestate, OverFiveHundredAndTwelveCharactersIsShortenedByWholeMembers) {
  const std::string mid = "m=" + std::string(98, '1');     // 100 characters
  const std::string large = "l=" + std::string(198, '1');  // 200 characters
  const auto numbered = [](const std::string& member, int n) {
    return std::to_string(n) + "@" + member;  // 2 more characters
  };
  std::vector<std::string> fields;
  for (int i = 0; i < 3; ++i) {
    fields.push_back(numbered(large, i));
    fields.push_back(numbered(mid, i));
  }
  std::vector<std::string_view> views(fields.begin(), fields.end());
  // 3 * 202 + 3 * 102 + 5 = 917: the last two of the long ones go, 512 is reached exactly.
  const std::string kept = fields[0] + "," + fields[1] + "," + fields[3] + "," + fields[5];
  EXPECT_EQ(kept.size(), 511U);
  EXPECT_EQ(join_tracestate(views), kept);

  fields.clear();
  for (int i = 0; i < 6; ++i) {
    fields.push_back(numbered(mid, i));
  }
  views.assign(fields.begin(), fields.end());
  // None is long: the end goes.
  EXPECT_EQ(join_tracestate(views),
            fields[0] + "," + fields[1] + "," + fields[2] + "," + fields[3]);
}

TEST(B3Single, Forms) {
  const std::string short_trace = "a3ce929d0e0e4736";
  const std::string padded = "0000000000000000" + short_trace + "-" + kSpan;
  const std::vector<Case> cases = {
      {"sampled", kIds + "-1", kIds + "-1"},
      {"not sampled", kIds + "-0", kIds + "-0"},
      {"debug", kIds + "-d", kIds + "-1"},
      {"deferred", kIds, kIds + "-?"},
      {"with a parent", kIds + "-1-05e3ac9a4f6e3b90", kIds + "-1"},
      {"64-bit trace id", short_trace + "-" + kSpan + "-1", padded + "-1"},
      {"upper case", "4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-1", kIds + "-1"},
      {"white space", " " + kIds + "-1 ", kIds + "-1"},
      {"only not sampled", "0", kInvalid},
      {"only sampled", "1", kInvalid},
      {"only debug", "d", kInvalid},
      {"empty", "", kInvalid},
      {"unknown state", kIds + "-x", kInvalid},
      {"state by word", kIds + "-true", kInvalid},
      {"empty state", kIds + "-", kInvalid},
      {"bad parent", kIds + "-1-05e3", kInvalid},
      {"zero parent", kIds + "-1-0000000000000000", kInvalid},
      {"five parts", kIds + "-1-05e3ac9a4f6e3b90-1", kInvalid},
      {"zero trace id", std::string(32, '0') + "-" + kSpan, kInvalid},
      {"zero span id", kTrace + "-0000000000000000", kInvalid},
      {"trace id of 31", kIds.substr(1), kInvalid},
      {"span id of 15", kIds.substr(0, kIds.size() - 1), kInvalid},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(show(parse_b3_single(c.input)), c.expected) << c.what;
  }
}

TEST(B3Multi, Forms) {
  struct MultiCase {
    std::string what;
    B3Headers headers;
    std::string expected;
  };
  const std::vector<MultiCase> cases = {
      {"sampled", {kTrace, kSpan, "1", {}}, kIds + "-1"},
      {"not sampled", {kTrace, kSpan, "0", {}}, kIds + "-0"},
      {"by word", {kTrace, kSpan, "true", {}}, kIds + "-1"},
      {"by word, not", {kTrace, kSpan, "false", {}}, kIds + "-0"},
      {"deferred", {kTrace, kSpan, {}, {}}, kIds + "-?"},
      {"debug", {kTrace, kSpan, {}, "1"}, kIds + "-1"},
      {"debug beats sampled", {kTrace, kSpan, "0", "1"}, kIds + "-1"},
      {"flags 0", {kTrace, kSpan, "0", "0"}, kIds + "-0"},
      {"unknown state", {kTrace, kSpan, "yes", {}}, kInvalid},
      {"no span id", {kTrace, {}, "1", {}}, kInvalid},
      {"no trace id", {{}, kSpan, "1", {}}, kInvalid},
      {"only a decision", {{}, {}, "0", {}}, kInvalid},
      {"64-bit",
       {"a3ce929d0e0e4736", kSpan, "1", {}},
       "0000000000000000a3ce929d0e0e4736-" + kSpan + "-1"},
  };
  for (const MultiCase& c : cases) {
    EXPECT_EQ(show(parse_b3_multi(c.headers)), c.expected) << c.what;
  }
}

TEST(Jaeger, Forms) {
  const std::vector<Case> cases = {
      {"sampled", kTrace + ":" + kSpan + ":0:1", kIds + "-1"},
      {"not sampled", kTrace + ":" + kSpan + ":0:0", kIds + "-0"},
      {"debug and sampled", kTrace + ":" + kSpan + ":0:3", kIds + "-1"},
      {"debug alone", kTrace + ":" + kSpan + ":0:2", kIds + "-1"},
      {"firehose alone", kTrace + ":" + kSpan + ":0:08", kIds + "-0"},
      {"url-encoded", kTrace + "%3A" + kSpan + "%3a0%3A1", kIds + "-1"},
      {"padded with zeros", "abc:1f:0:01", "00000000000000000000000000000abc-000000000000001f-1"},
      {"parent", kTrace + ":" + kSpan + ":00f067aa0ba902b8:1", kIds + "-1"},
      {"empty parent", kTrace + ":" + kSpan + "::1", kIds + "-1"},
      {"upper case", "ABC:1F:0:1", "00000000000000000000000000000abc-000000000000001f-1"},
      {"empty", "", kInvalid},
      {"three parts", kTrace + ":" + kSpan + ":1", kInvalid},
      {"five parts", "abc:1f:0:1:1", kInvalid},
      {"zero trace id", "0:1f:0:1", kInvalid},
      {"zero span id", "abc:0:0:1", kInvalid},
      {"no trace id", ":1f:0:1", kInvalid},
      {"trace id of 33", "0" + kTrace + ":1f:0:1", kInvalid},
      {"span id of 17", "abc:0" + kSpan + ":0:1", kInvalid},
      {"parent not hex", "abc:1f:x:1", kInvalid},
      {"flags not hex", "abc:1f:0:g", kInvalid},
      {"flags of three digits", "abc:1f:0:001", kInvalid},
      {"no flags", "abc:1f:0:", kInvalid},
      {"another escape", "abc%3B1f:0:1", kInvalid},
      {"cut escape", "abc:1f:0%3", kInvalid},
      {"very long", std::string(4000, 'a') + ":1f:0:1", kInvalid},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(show(parse_jaeger(c.input)), c.expected) << c.what;
  }
}

TEST(Xray, Forms) {
  const std::string root = "Root=1-5759e988-bd862e3fe1be46a994272793";
  const std::string parent = "Parent=53995c3f42cd8ad8";
  const std::string ids = "5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8";
  const std::vector<Case> cases = {
      {"sampled", root + ";" + parent + ";Sampled=1", ids + "-1"},
      {"not sampled", root + ";" + parent + ";Sampled=0", ids + "-0"},
      {"requested", root + ";" + parent + ";Sampled=?", ids + "-?"},
      {"no decision", root + ";" + parent, ids + "-?"},
      {"another order", "Sampled=1;" + parent + ";" + root, ids + "-1"},
      {"white space", root + "; " + parent + " ; Sampled=1 ", ids + "-1"},
      {"more keys", "Self=1-a-b;" + root + ";" + parent + ";Lineage=a:0;junk;Sampled=1;",
       ids + "-1"},
      {"no parent", root + ";Sampled=1", kInvalid},
      {"no root", parent + ";Sampled=1", kInvalid},
      {"root twice", root + ";" + root + ";" + parent, kInvalid},
      {"parent twice", root + ";" + parent + ";" + parent, kInvalid},
      {"root of version 2", "Root=2-5759e988-bd862e3fe1be46a994272793;" + parent, kInvalid},
      {"root too short", "Root=1-5759e988-bd862e3fe1be46a99427279;" + parent, kInvalid},
      {"root not hex", "Root=1-5759e98x-bd862e3fe1be46a994272793;" + parent, kInvalid},
      {"dash at another place", "Root=1-5759e98-8bd862e3fe1be46a994272793;" + parent, kInvalid},
      {"zero root", "Root=1-00000000-000000000000000000000000;" + parent, kInvalid},
      {"zero parent", root + ";Parent=0000000000000000", kInvalid},
      {"empty", "", kInvalid},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(show(parse_xray(c.input)), c.expected) << c.what;
  }
}

std::string show_baggage(const std::string& value) {
  model::Baggage baggage;
  size_t budget = 8192;
  parse_baggage(value, budget, baggage);
  std::string out;
  for (const auto& [key, text] : baggage) {
    out += "[" + key + "|" + text + "]";
  }
  return out;
}

TEST(Baggage, Forms) {
  const std::vector<Case> cases = {
      {"one", "user=alice", "[user|alice]"},
      {"several with white space", " a = 1 ,\tb=2 , c=3", "[a|1][b|2][c|3]"},
      {"properties are left out", "a=1;ttl=3;x,b=2 ; p", "[a|1][b|2]"},
      {"percent", "city=M%C3%BCnchen%20%2C%3B", "[city|M\xc3\xbcnchen ,;]"},
      {"equals sign in a value", "q=a=b", "[q|a=b]"},
      {"empty value", "a=", "[a|]"},
      {"a lone percent sign stays", "a=100%,b=%4,c=%zz", "[a|100%][b|%4][c|%zz]"},
      {"not UTF-8", "a=%ff%C3x%E2%82", "[a|\xef\xbf\xbd\xef\xbf\xbdx\xef\xbf\xbd\xef\xbf\xbd]"},
      {"surrogate is not UTF-8", "a=%ED%A0%80", "[a|\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd]"},
      {"the last of a key stays", "a=1,b=2,a=3", "[a|3][b|2]"},
      {"malformed members are skipped", "a,=1,b c=2,d=\"q\",e=1 2,f=\xc3\xa9,g=7", "[g|7]"},
      {"nothing", "", ""},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(show_baggage(c.input), c.expected) << c.what;
  }
}

}  // namespace
}  // namespace zerospan::propagation
