// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "exporter/otlp/protobuf_encoder.h"

#include <gtest/gtest.h>

#include "exporter/otlp/test_spans.h"
#include "exporter/otlp/utf8.h"

namespace zerospan::otlp {
namespace {

using opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;

TEST(ProtobufEncoderTest, WritesTheBytesThatLibprotobufWrites) {
  ProtobufEncoder encoder(Scope{"zerospan", "1.2.3"});
  std::minstd_rand random(20240601);
  for (int round = 0; round < 3000; ++round) {
    const auto spans = testing::random_spans(random, false);
    const auto expected = testing::to_message(spans, "1.2.3");
    ASSERT_EQ(encoder.encode(spans), expected.SerializeAsString()) << "round " << round << ":\n"
                                                                   << expected.DebugString();
  }
}

TEST(ProtobufEncoderTest, TypicalSpanComesBackFieldByField) {
  ProtobufEncoder encoder(Scope{"zerospan", "0.1.0"});
  const std::vector<model::Span> spans = {testing::typical_span(5)};
  ExportTraceServiceRequest request;
  ASSERT_TRUE(request.ParseFromString(std::string(encoder.encode(spans))));
  ASSERT_EQ(request.resource_spans_size(), 1);
  ASSERT_EQ(request.resource_spans(0).scope_spans_size(), 1);
  EXPECT_EQ(request.resource_spans(0).scope_spans(0).scope().name(), "zerospan");
  const auto& span = request.resource_spans(0).scope_spans(0).spans(0);
  EXPECT_EQ(span.name(), "GET /orders/{id}");
  EXPECT_EQ(span.span_id(), std::string("\0\0\0\0\0\0\0\x06", 8));
  EXPECT_EQ(span.flags(), 0x301U);
  EXPECT_EQ(span.kind(), opentelemetry::proto::trace::v1::Span::SPAN_KIND_SERVER);
  ASSERT_EQ(span.attributes_size(), 12);
  EXPECT_EQ(span.attributes(1).value().int_value(), 200);
}

TEST(ProtobufEncoderTest, ARootIsKnownNotToHaveARemoteParent) {
  ProtobufEncoder encoder(Scope{});
  std::vector<model::Span> spans = {testing::typical_span(1)};
  spans[0].parent_span_id = {};
  spans[0].sampled = false;
  ExportTraceServiceRequest request;
  ASSERT_TRUE(request.ParseFromString(std::string(encoder.encode(spans))));
  EXPECT_EQ(request.resource_spans(0).scope_spans(0).spans(0).flags(), 0x100U);
}

TEST(ProtobufEncoderTest, AnyBytesInStringsStillParse) {
  ProtobufEncoder encoder(Scope{});
  std::minstd_rand random(7);
  for (int round = 0; round < 500; ++round) {
    const auto spans = testing::random_spans(random, true);
    ExportTraceServiceRequest request;
    // Parsing refuses ill-formed UTF-8 in proto3's string fields.
    ASSERT_TRUE(request.ParseFromString(std::string(encoder.encode(spans)))) << round;
  }
}

TEST(ProtobufEncoderTest, IllFormedBytesAreReplaced) {
  ProtobufEncoder encoder(Scope{});
  std::vector<model::Span> spans = {testing::typical_span(1)};
  spans[0].name = "GET /\xFF";
  ExportTraceServiceRequest request;
  ASSERT_TRUE(request.ParseFromString(std::string(encoder.encode(spans))));
  EXPECT_EQ(request.resource_spans(0).scope_spans(0).spans(0).name(), "GET /\xEF\xBF\xBD");
}

TEST(ProtobufEncoderTest, ResourcesWithTheSameIdAreOneGroupInOrderOfFirstUse) {
  ProtobufEncoder encoder(Scope{});
  std::vector<model::Span> spans;
  for (uint64_t i = 0; i < 6; ++i) {
    spans.push_back(testing::typical_span(i));
    spans.back().resource = std::make_shared<const model::Resource>(
        model::Resource{9 - i % 2, {{"n", static_cast<int64_t>(i % 2)}}});
  }
  ExportTraceServiceRequest request;
  ASSERT_TRUE(request.ParseFromString(std::string(encoder.encode(spans))));
  ASSERT_EQ(request.resource_spans_size(), 2);
  for (int group = 0; group < 2; ++group) {
    EXPECT_EQ(request.resource_spans(group).resource().attributes(0).value().int_value(), group);
    const auto& made = request.resource_spans(group).scope_spans(0).spans();
    ASSERT_EQ(made.size(), 3);
    EXPECT_LT(made[0].start_time_unix_nano(), made[1].start_time_unix_nano());
    EXPECT_LT(made[1].start_time_unix_nano(), made[2].start_time_unix_nano());
  }
}

TEST(ProtobufEncoderTest, NoSpansGiveNoBytes) {
  ProtobufEncoder encoder(Scope{});
  EXPECT_TRUE(encoder.encode({}).empty());
}

}  // namespace
}  // namespace zerospan::otlp
