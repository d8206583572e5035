// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "exporter/otlp/export_response.h"

#include <gtest/gtest.h>

#include "opentelemetry/proto/collector/trace/v1/trace_service.pb.h"
#include "zerospan/rpc_status.pb.h"

namespace zerospan::otlp {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(ExportResponseTest, NoBytesAreFullSuccess) {
  for (const Encoding encoding : {Encoding::kProtobuf, Encoding::kJson}) {
    const auto answer = decode_export_response(encoding, "");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->rejected_spans, 0U);
    EXPECT_EQ(answer->message, "");
  }
}

TEST(ExportResponseTest, PartialSuccessInProtobuf) {
  opentelemetry::proto::collector::trace::v1::ExportTraceServiceResponse response;
  response.mutable_partial_success()->set_rejected_spans(7);
  response.mutable_partial_success()->set_error_message("too\nold");
  const auto answer = decode_export_response(Encoding::kProtobuf, response.SerializeAsString());
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->rejected_spans, 7U);
  EXPECT_EQ(answer->message, "too old");
}

TEST(ExportResponseTest, PartialSuccessInJson) {
  for (const char* text : {R"({"partialSuccess":{"rejectedSpans":"3","errorMessage":"e"}})",
                           R"({"partialSuccess":{"rejectedSpans":3,"errorMessage":"e"}})"}) {
    const auto answer = decode_export_response(Encoding::kJson, text);
    ASSERT_TRUE(answer) << text;
    EXPECT_EQ(answer->rejected_spans, 3U);
    EXPECT_EQ(answer->message, "e");
  }
  EXPECT_EQ(decode_export_response(Encoding::kJson, "{}")->rejected_spans, 0U);
  EXPECT_EQ(decode_export_response(Encoding::kJson, R"({"partialSuccess":null})")->rejected_spans,
            0U);
}

TEST(ExportResponseTest, NegativeCountsAreNone) {
  opentelemetry::proto::collector::trace::v1::ExportTraceServiceResponse response;
  response.mutable_partial_success()->set_rejected_spans(-5);
  EXPECT_EQ(
      decode_export_response(Encoding::kProtobuf, response.SerializeAsString())->rejected_spans,
      0U);
  EXPECT_EQ(decode_export_response(Encoding::kJson, R"({"partialSuccess":{"rejectedSpans":"-5"}})")
                ->rejected_spans,
            0U);
}

TEST(ExportResponseTest, GarbageIsNotDecodable) {
  EXPECT_FALSE(decode_export_response(Encoding::kProtobuf, "\x0A\xFF<html>"));
  for (const char* text : {"<html>", "[]", "3", R"({"partialSuccess":1})",
                           R"({"partialSuccess":{"rejectedSpans":"x"}})",
                           R"({"partialSuccess":{"rejectedSpans":[]}})"}) {
    EXPECT_FALSE(decode_export_response(Encoding::kJson, text)) << text;
  }
  EXPECT_FALSE(decode_export_response(Encoding::kJson, std::string(60000, '[')));
}

TEST(ExportResponseTest, LongMessagesAreCut) {
  const std::string text =
      R"({"partialSuccess":{"errorMessage":")" + std::string(5000, 'm') + "\"}}";
  EXPECT_EQ(decode_export_response(Encoding::kJson, text)->message.size(), 1024U);
}

std::string status_with_delay(int64_t whole, int32_t nanos) {
  rpc::RetryInfo info;
  info.mutable_retry_delay()->set_seconds(whole);
  info.mutable_retry_delay()->set_nanos(nanos);
  rpc::Status status;
  status.set_code(14);
  status.add_details()->set_type_url("type.googleapis.com/google.rpc.DebugInfo");
  auto& detail = *status.add_details();
  detail.set_type_url("type.googleapis.com/google.rpc.RetryInfo");
  detail.set_value(info.SerializeAsString());
  return status.SerializeAsString();
}

TEST(RetryInfoTest, IsFoundAmongTheDetails) {
  EXPECT_EQ(retry_delay_from_status(status_with_delay(2, 500'000'000)), milliseconds(2500));
  EXPECT_EQ(retry_delay_from_status(status_with_delay(0, 0)), milliseconds(0));
}

TEST(RetryInfoTest, HostileDelaysAreBounded) {
  EXPECT_EQ(retry_delay_from_status(status_with_delay(INT64_MAX, INT32_MAX)),
            std::chrono::hours(24));
  EXPECT_EQ(retry_delay_from_status(status_with_delay(INT64_MIN, INT32_MIN)), milliseconds(0));
}

TEST(RetryInfoTest, AbsentOrUndecodable) {
  EXPECT_FALSE(retry_delay_from_status(""));
  EXPECT_FALSE(retry_delay_from_status("\xFF\xFF\xFF"));
  rpc::Status status;
  status.set_code(8);
  EXPECT_FALSE(retry_delay_from_status(status.SerializeAsString()));
}

TEST(RetryAfterTest, Seconds) {
  const auto now = std::chrono::system_clock::now();
  EXPECT_EQ(retry_delay_from_header("7", now), seconds(7));
  EXPECT_EQ(retry_delay_from_header("  0\t", now), seconds(0));
  EXPECT_EQ(retry_delay_from_header("99999999999999999999999", now), std::chrono::hours(24));
  for (const char* bad : {"", " ", "-1", "1.5", "soon", "7 s"}) {
    EXPECT_FALSE(retry_delay_from_header(bad, now)) << bad;
  }
}

TEST(RetryAfterTest, Dates) {
  const auto now = std::chrono::system_clock::from_time_t(784111777);  // RFC 9110's example date
  EXPECT_EQ(retry_delay_from_header("Sun, 06 Nov 1994 08:49:47 GMT", now), seconds(10));
  EXPECT_EQ(retry_delay_from_header("Sun, 06 Nov 1994 08:49:27 GMT", now), seconds(0));
  EXPECT_EQ(retry_delay_from_header("Fri, 31 Dec 9999 23:59:59 GMT", now), std::chrono::hours(24));
  EXPECT_FALSE(retry_delay_from_header("Sun, 06 Nov 1994 08:49:47 GMT!", now));
}

}  // namespace
}  // namespace zerospan::otlp
