// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/propagation/propagators.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "agent/propagation/headers_for_test.h"

namespace zerospan::propagation {
namespace {

constexpr std::string_view kTraceparent = "00-11111111111111111111111111111111-1111111111111111-01";
constexpr std::string_view kOtherTraceparent =
    "00-22222222222222222222222222222222-2222222222222222-01";
constexpr std::string_view kB3 = "33333333333333333333333333333333-3333333333333333-0";
constexpr std::string_view kJaeger = "44444444444444444444444444444444:4444444444444444:0:1";
constexpr std::string_view kXray =
    "Root=1-55555555-555555555555555555555555;Parent=5555555555555555;Sampled=?";

// The first digit of the trace id that was found, '-' for none: the constants above say which.
char which(std::vector<Format> formats, const HeaderFields& fields) {
  const auto context = Propagators({.formats = std::move(formats)}).extract(header_block(fields));
  return context ? to_hex(context->trace_id).front() : '-';
}

TEST(Propagators, TheFirstValidFormatInTheConfiguredOrderWins) {
  const HeaderFields all = {{"X-Amzn-Trace-Id", kXray},
                            {"uber-trace-id", kJaeger},
                            {"b3", kB3},
                            {"traceparent", kTraceparent}};
  EXPECT_EQ(which({Format::kTraceContext, Format::kB3, Format::kJaeger, Format::kXray}, all), '1');
  EXPECT_EQ(which({Format::kB3, Format::kTraceContext}, all), '3');
  EXPECT_EQ(which({Format::kB3Multi, Format::kTraceContext}, all), '3');
  EXPECT_EQ(which({Format::kJaeger, Format::kXray}, all), '4');
  EXPECT_EQ(which({Format::kXray, Format::kJaeger}, all), '5');
  EXPECT_EQ(which({Format::kBaggage}, all), '-');
  EXPECT_EQ(which({}, all), '-');
  // An invalid one is passed over.
  EXPECT_EQ(which({Format::kTraceContext, Format::kB3}, {{"traceparent", "nonsense"}, {"b3", kB3}}),
            '3');
}

TEST(Propagators, NamesAreComparedWithoutRegardToCase) {
  for (const char* name : {"traceparent", "Traceparent", "TRACEPARENT", "TraceParent"}) {
    EXPECT_EQ(which({Format::kTraceContext}, {{name, kTraceparent}}), '1') << name;
  }
  for (const char* name : {"trace-parent", "traceparen", "traceparents", "trace.paren", ""}) {
    EXPECT_EQ(which({Format::kTraceContext}, {{name, kTraceparent}}), '-') << name;
  }
  EXPECT_EQ(which({Format::kTraceContext}, {{std::string(5000, 't'), kTraceparent}}), '-');
}

TEST(Propagators, ARepeatedHeaderIsNotBelieved) {
  EXPECT_EQ(which({Format::kTraceContext},
                  {{"traceparent", kTraceparent}, {"traceparent", kOtherTraceparent}}),
            '-');
  EXPECT_EQ(which({Format::kTraceContext},
                  {{"traceparent", kTraceparent}, {"Traceparent", kTraceparent}}),
            '-');
  EXPECT_EQ(which({Format::kB3}, {{"b3", kB3}, {"b3", kB3}}), '-');
  EXPECT_EQ(which({Format::kJaeger}, {{"uber-trace-id", kJaeger}, {"uber-trace-id", kJaeger}}),
            '-');
  EXPECT_EQ(which({Format::kXray}, {{"x-amzn-trace-id", kXray}, {"x-amzn-trace-id", kXray}}), '-');
  EXPECT_EQ(which({Format::kB3}, {{"x-b3-traceid", "6666666666666666"},
                                  {"x-b3-spanid", "6666666666666666"},
                                  {"x-b3-sampled", "1"},
                                  {"x-b3-sampled", "0"}}),
            '-');
}

TEST(Propagators, B3SingleComesBeforeMulti) {
  const HeaderFields multi = {{"X-B3-TraceId", "66666666666666666666666666666666"},
                              {"X-B3-ParentSpanId", "7777777777777777"},
                              {"X-B3-SpanId", "6666666666666666"},
                              {"X-B3-Sampled", "1"},
                              {"X-B3-Flags", "0"}};
  HeaderFields both = multi;
  both.emplace_back("b3", kB3);
  for (const Format format : {Format::kB3, Format::kB3Multi}) {
    EXPECT_EQ(which({format}, multi), '6');
    EXPECT_EQ(which({format}, both), '3');
  }
}

TEST(Propagators, TracestateIsJoinedOverFieldsAndNeverSpoilsTheParent) {
  const Propagators propagators({});
  auto context = propagators.extract(header_block({{"tracestate", "foo=1"},
                                                   {"traceparent", kTraceparent},
                                                   {"host", "example.org"},
                                                   {"TraceState", "bar=2 , baz=3"}}));
  ASSERT_TRUE(context.has_value());
  EXPECT_EQ(context->trace_state, "foo=1,bar=2,baz=3");
  EXPECT_EQ(context->sampled, true);

  context =
      propagators.extract(header_block({{"traceparent", kTraceparent}, {"tracestate", "FOO=1"}}));
  ASSERT_TRUE(context.has_value());
  EXPECT_EQ(context->trace_state, "");

  HeaderFields many = {{"traceparent", kTraceparent}};
  for (int i = 0; i < 33; ++i) {
    many.emplace_back("tracestate", "foo=1");
  }
  context = propagators.extract(header_block(many));
  ASSERT_TRUE(context.has_value());
  EXPECT_EQ(context->trace_state, "");

  EXPECT_FALSE(propagators.extract(header_block({{"tracestate", "foo=1"}})).has_value());
}

TEST(Propagators, BaggageIsReadOverAllFieldsWithinItsLimits) {
  const Propagators propagators({});
  const model::Baggage expected = {{"a", "1"}, {"b", "2"}};
  EXPECT_EQ(propagators.extract_baggage(header_block({{"baggage", "a=1"}, {"Baggage", "b=2"}})),
            expected);
  EXPECT_TRUE(Propagators({.formats = {Format::kTraceContext}})
                  .extract_baggage(header_block({{"baggage", "a=1"}}))
                  .empty());

  std::string many;
  for (int i = 0; i < 70; ++i) {
    many += "k" + std::to_string(i) + "=v,";
  }
  EXPECT_EQ(propagators.extract_baggage(header_block({{"baggage", many}})).size(), 64U);

  const std::string half = "h=" + std::string(5000, 'x');
  const std::string rest = "r=" + std::string(5000, 'x');
  const auto baggage =
      propagators.extract_baggage(header_block({{"baggage", half}, {"baggage", rest}}));
  ASSERT_EQ(baggage.size(), 1U);
  EXPECT_EQ(baggage[0].first, "h");
}

TEST(ParseFormats, KnowsTheNames) {
  const std::vector<std::string> names = {"b3multi", "tracecontext", "b3multi"};
  const std::vector<Format> expected = {Format::kB3Multi, Format::kTraceContext};
  EXPECT_EQ(parse_formats(names).value(), expected);
  EXPECT_TRUE(parse_formats(std::vector<std::string>{"none"}).value().empty());
  const auto unknown = parse_formats(std::vector<std::string>{"tracecontext", "ottrace"});
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(
      unknown.error().message,
      "\"ottrace\" is not a propagator; known are tracecontext, baggage, b3, b3multi, jaeger, "
      "xray, and none, which must stand alone.");
  EXPECT_FALSE(parse_formats(std::vector<std::string>{"none", "b3"}).has_value());
}

}  // namespace
}  // namespace zerospan::propagation
