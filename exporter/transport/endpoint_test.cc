// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "exporter/transport/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace zerospan::transport {
namespace {

TEST(EndpointTest, IsTakenApart) {
  const auto full = parse_endpoint("HTTPS://collector.example.org:4317/otlp?tenant=a");
  ASSERT_TRUE(full);
  EXPECT_TRUE(full->has_scheme);
  EXPECT_TRUE(full->secure);
  EXPECT_EQ(full->host, "collector.example.org");
  EXPECT_EQ(full->port, 4317);
  EXPECT_EQ(full->path, "/otlp?tenant=a");

  const auto bare = parse_endpoint("localhost");
  ASSERT_TRUE(bare);
  EXPECT_FALSE(bare->has_scheme);
  EXPECT_EQ(bare->authority(4317), "localhost:4317");

  const auto ipv6 = parse_endpoint("http://[2001:db8::1]:99");
  ASSERT_TRUE(ipv6);
  EXPECT_EQ(ipv6->authority(1), "[2001:db8::1]:99");
}

TEST(EndpointTest, ErrorsSayWhatAndHow) {
  for (const char* bad :
       {"", "http://", "http://:4317", "ftp://a", "unix:///run/x", "http://a:0", "http://a:65536",
        "http://a:", "http://a:x", "http://u:p@a", "http://a b", "http://a#f", "http://[::1",
        "http://[]", "http://[::1]x", "http://a\r\nX: y", "http://a%00", "http://\xC3\xA9"}) {
    const auto parsed = parse_endpoint(bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_EQ(parsed.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(parsed.error().message, ::testing::HasSubstr("http://localhost:4317"));
  }
}

// https://opentelemetry.io/docs/specs/otel/protocol/exporter/#endpoint-urls-for-otlphttp
TEST(EndpointTest, PathsForHttp) {
  EXPECT_EQ(http_traces_url("http://collector:4318", false), "http://collector:4318/v1/traces");
  EXPECT_EQ(http_traces_url("http://collector:4318/", false), "http://collector:4318/v1/traces");
  EXPECT_EQ(http_traces_url("http://collector:4318/mycollector/", false),
            "http://collector:4318/mycollector/v1/traces");
  EXPECT_EQ(http_traces_url("http://c/base?k=v", false), "http://c/base/v1/traces?k=v");
  EXPECT_EQ(http_traces_url("http://collector:4318/v1/traces", true),
            "http://collector:4318/v1/traces");
  EXPECT_EQ(http_traces_url("https://collector:4318", true), "https://collector:4318/");
  EXPECT_EQ(http_traces_url("http://c/x?k=v", true), "http://c/x?k=v");
  EXPECT_FALSE(http_traces_url("collector:4318", false));
}

}  // namespace
}  // namespace zerospan::transport
