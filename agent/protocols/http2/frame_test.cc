// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Frames, detection and the fields of gRPC.

#include "agent/protocols/http2/frame.h"

#include <gtest/gtest.h>

#include "agent/protocols/http2/detect.h"
#include "agent/protocols/http2/grpc.h"
#include "agent/protocols/http2/testing.h"

namespace zerospan::protocols::http2 {
namespace {

using namespace std::string_view_literals;

bool detected(std::string_view bytes) {
  return detect(model::Direction::kReceive, bytes);
}

TEST(Frame, ReadsAHeader) {
  const FrameHeader header = parse_frame_header("\x01\x02\x03\x01\x05\x80\x00\x01\x01"sv);
  EXPECT_EQ(header.length, 0x010203U);
  EXPECT_EQ(header.type, FrameType::kHeaders);
  EXPECT_TRUE(header.has(kEndStream) && header.has(kEndHeaders));
  EXPECT_FALSE(header.has(kPadded));
  EXPECT_EQ(header.stream_id, 257U);
}

TEST(Frame, FindsTheFragment) {
  FrameHeader header{9, FrameType::kHeaders, kPadded | kPriorityFields, 1};
  EXPECT_EQ(find_fragment(header, "\x01pppppab\0"sv), "ab"sv);
  EXPECT_EQ(find_fragment(header, "\x01pppppa"sv), "a"sv);  // cut
  EXPECT_EQ(find_fragment(header, "\x01pp"sv), ""sv);
  EXPECT_EQ(find_fragment(header, "\x03pppppab\0"sv), ""sv);
  EXPECT_FALSE(find_fragment(header, "\x04pppppab\0"sv));
  EXPECT_FALSE(find_fragment(header, "\x09pppppab\0"sv));
  header = {6, FrameType::kPushPromise, 0, 1};
  EXPECT_EQ(find_fragment(header, "\0\0\0\2ab"sv), "ab"sv);
  header = {2, FrameType::kContinuation, kPadded, 1};  // it has no such flag
  EXPECT_EQ(find_fragment(header, "ab"sv), "ab"sv);
}

TEST(Detect, KnowsThePreface) {
  EXPECT_TRUE(detected(kPreface));
  EXPECT_TRUE(detected("PRI "));
  EXPECT_TRUE(detected("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4"sv));
  EXPECT_FALSE(detected("PRI"));
  EXPECT_FALSE(detected("PRI * HTTP/1.1\r\n"));
  EXPECT_FALSE(detected(""));
}

TEST(Detect, KnowsFrames) {
  Script s;
  EXPECT_TRUE(detected(s.settings()));
  EXPECT_TRUE(detected(s.settings({{3, 100}}) + s.settings()));
  EXPECT_TRUE(detected(s.request(1, "a", true)));
  EXPECT_TRUE(detected(s.response(3, "a", false) + Script::data(3, "abc", true)));
  EXPECT_FALSE(detected(Script::data(3, "abc", true)));
  EXPECT_FALSE(detected(s.settings() + "no frame here"));
}

TEST(Detect, RefusesOthers) {
  for (const std::string_view bytes :
       {"GET / HTTP/1.1\r\n\r\n"sv, "POST"sv, "HTTP/1.1 200 OK\r\n"sv,
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"sv,          // TLS
        "\x00\x00\x00\x08\x04\xd2\x16\x2f\x00"sv,                  // PostgreSQL SSLRequest
        "\x00\x00\x00\x54\x00\x03\x00\x00user"sv,                  // PostgreSQL start
        "\x4a\x00\x00\x00\x0a\x38.0.33"sv,                         // MySQL greeting
        "\x00\x00\x00\x23\x00\x12\x00\x03\x00\x00\x00\x01\x00"sv,  // Kafka ApiVersions
        "\x00\x00\x01\x01\x00\x01\x00\x0d\x00\x00\x00\x07\x00"sv,  // Kafka Fetch
        "*1\r\n$4\r\nPING\r\n"sv, "SSH-2.0-x\r\n"sv, "\0\0\0\0\0\0\0\0\0\0\0\0"sv,
        "\x3f\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xd4\x07\x00\x00"sv}) {  // MongoDB
    EXPECT_FALSE(detected(bytes)) << testing::PrintToString(std::string(bytes));
  }
}

TEST(Grpc, ContentType) {
  EXPECT_TRUE(is_grpc_content_type("application/grpc"));
  EXPECT_TRUE(is_grpc_content_type("application/grpc+proto"));
  EXPECT_TRUE(is_grpc_content_type("application/grpc;charset=x"));
  EXPECT_FALSE(is_grpc_content_type("application/grpc-web"));
  EXPECT_FALSE(is_grpc_content_type("application/json"));
  EXPECT_FALSE(is_grpc_content_type(""));
}

TEST(Grpc, StatusAndTimeout) {
  EXPECT_EQ(parse_grpc_status("0"), 0U);
  EXPECT_EQ(parse_grpc_status("16"), 16U);
  EXPECT_EQ(parse_grpc_status(""), std::nullopt);
  EXPECT_EQ(parse_grpc_status("1x"), std::nullopt);
  EXPECT_EQ(parse_grpc_status("99999999999"), std::nullopt);
  EXPECT_EQ(parse_grpc_timeout("250m"), 250'000'000U);
  EXPECT_EQ(parse_grpc_timeout("1H"), 3'600'000'000'000U);
  EXPECT_EQ(parse_grpc_timeout("99999999n"), 99'999'999U);
  for (const char* bad : {"", "5", "m", "123456789m", "-1m", "99999999H", "1 m"}) {
    EXPECT_EQ(parse_grpc_timeout(bad), std::nullopt) << bad;
  }
}

TEST(Grpc, Message) {
  EXPECT_EQ(decode_grpc_message("out of %E2%82%AC%20", 100), "out of \xE2\x82\xAC ");
  EXPECT_EQ(decode_grpc_message("100% %zz %4", 100), "100% %zz %4");
  EXPECT_EQ(decode_grpc_message(std::string(50, 'a'), 10), std::string(10, 'a'));
}

TEST(MessageCounter, CountsOverAnySplit) {
  const std::string bytes = grpc_message(3) + grpc_message(0) + grpc_message(300, true);
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    MessageCounter counter;
    counter.feed(std::string_view(bytes).substr(0, cut));
    counter.feed(std::string_view(bytes).substr(cut));
    counter.end();
    EXPECT_EQ(counter.messages().count, 3U);
    EXPECT_TRUE(counter.messages().exact && counter.messages().compressed);
  }
}

TEST(MessageCounter, KnowsWhatItDoesNotKnow) {
  MessageCounter inside;
  inside.feed(grpc_message(10).substr(0, 7));
  inside.skip(8);
  inside.feed(grpc_message(1));
  inside.end();
  EXPECT_EQ(inside.messages().count, 2U);
  EXPECT_TRUE(inside.messages().exact);
  inside.skip(1);
  EXPECT_FALSE(inside.messages().exact);
  MessageCounter cut;
  cut.feed(grpc_message(10).substr(0, 7));
  cut.end();
  EXPECT_FALSE(cut.messages().exact);
  MessageCounter other;
  other.feed("{\"no\": \"gRPC\"}");
  EXPECT_FALSE(other.messages().exact);
}

}  // namespace
}  // namespace zerospan::protocols::http2
