// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "exporter/otlp/json_encoder.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "exporter/otlp/test_spans.h"

namespace zerospan::otlp {
namespace {

using nlohmann::json;
using opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;

std::string base64(const std::string& hex) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bits = bits << 8U | static_cast<uint32_t>(std::stoul(hex.substr(i, 2), nullptr, 16));
    count += 8;
    while (count >= 6) {
      count -= 6;
      out += kDigits[bits >> static_cast<uint32_t>(count) & 63U];
    }
  }
  if (count > 0) {
    out += kDigits[bits << static_cast<uint32_t>(6 - count) & 63U];
  }
  out.append((4 - out.size() % 4) % 4, '=');
  return out;
}

// OTLP writes ids in hex where proto3's JSON mapping, which the oracle reads, has base64.
void ids_to_base64(json& value) {
  if (value.is_object()) {
    for (const char* key : {"traceId", "spanId", "parentSpanId"}) {
      if (value.contains(key)) {
        value[key] = base64(value[key].get<std::string>());
      }
    }
  }
  if (value.is_structured()) {
    for (json& element : value) {
      ids_to_base64(element);
    }
  }
}

TEST(JsonEncoderTest, TheOracleReadsTheSameMessage) {
  JsonEncoder encoder(Scope{"zerospan", "1.2.3"});
  std::minstd_rand random(99);
  for (int round = 0; round < 400; ++round) {
    const auto spans = testing::random_spans(random, false);
    const std::string line(encoder.encode(spans));
    ASSERT_EQ(line.find('\n'), std::string::npos);
    json document = json::parse(line, nullptr, false);
    ASSERT_FALSE(document.is_discarded()) << line;
    ids_to_base64(document);
    ExportTraceServiceRequest read;
    const auto status = google::protobuf::util::JsonStringToMessage(document.dump(), &read);
    ASSERT_TRUE(status.ok()) << status.ToString() << line;
    // A resource without attributes is written with its (empty) list; so it is present in both.
    const auto expected = testing::to_message(spans, "1.2.3");
    ASSERT_TRUE(google::protobuf::util::MessageDifferencer::Equals(read, expected))
        << expected.DebugString() << read.DebugString();
  }
}

TEST(JsonEncoderTest, FollowsTheMappingOfOtlp) {
  JsonEncoder encoder(Scope{"zerospan", "0.1.0"});
  std::vector<model::Span> spans = {testing::typical_span(0)};
  spans[0].attributes = {{"http.request.method", std::string("GET")},
                         {"http.response.status_code", int64_t{200}}};
  spans[0].resource = std::make_shared<const model::Resource>(
      model::Resource{3, {{"service.name", std::string("shop")}}});
  EXPECT_EQ(encoder.encode(spans),
            R"({"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":)"
            R"({"stringValue":"shop"}}]},"scopeSpans":[{"scope":{"name":"zerospan","version":)"
            R"("0.1.0"},"spans":[{"traceId":"01010101010101010101010101010101","spanId":)"
            R"("0000000000000001","parentSpanId":"0000000000000002","flags":769,"name":)"
            R"("GET /orders/{id}","kind":2,"startTimeUnixNano":"1700000000000000000",)"
            R"("endTimeUnixNano":"1700000000001500000","attributes":[{"key":)"
            R"("http.request.method","value":{"stringValue":"GET"}},{"key":)"
            R"("http.response.status_code","value":{"intValue":"200"}}]}]}]}]})");
}

TEST(JsonEncoderTest, AnyBytesInStringsGiveValidJson) {
  JsonEncoder encoder(Scope{});
  std::minstd_rand random(11);
  for (int round = 0; round < 400; ++round) {
    const auto spans = testing::random_spans(random, true);
    // The parser refuses ill-formed UTF-8.
    ASSERT_TRUE(json::accept(encoder.encode(spans))) << round;
  }
}

TEST(JsonEncoderTest, StringsAreEscaped) {
  std::string out;
  append_json_string(std::string_view("a\"\\\n\0\x1f\xC3\xA9\xFF", 9), out);
  EXPECT_EQ(out, "\"a\\\"\\\\\\u000a\\u0000\\u001f\xC3\xA9\xEF\xBF\xBD\"");
}

}  // namespace
}  // namespace zerospan::otlp
