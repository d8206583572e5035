// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/http1/detect.h"

#include <gtest/gtest.h>

#include <string>

namespace zerospan::protocols::http1 {
namespace {

Detection detect_received(std::string_view bytes) {
  return detect(model::Direction::kReceive, bytes);
}

TEST(Detect, KnowsRequests) {
  for (const char* bytes :
       {"GET / HTTP/1.1\r\n", "GET / HTTP/1.", "\r\nPOST /x HTTP/1.0\n", "BREW-2 /pot HTTP/1.1\r\n",
        "CONNECT a:1 HTTP/1.1\r\n", "GET http://a/ HTTP/1.1\r\n", "OPTIONS * HTTP/1.1\r\n"}) {
    EXPECT_EQ(detect_received(bytes), Detection::kRequest) << bytes;
  }
  EXPECT_EQ(detect_received("GET /" + std::string(300, 'a')), Detection::kRequest);
}

TEST(Detect, KnowsResponses) {
  EXPECT_EQ(detect_received("HTTP/1.1 200 OK"), Detection::kResponse);
  EXPECT_EQ(detect_received("HTTP/1.0 404\r\n"), Detection::kResponse);
}

TEST(Detect, AsksForMore) {
  for (const char* bytes :
       {"", "\r\n", "G", "GET", "GET ", "GET /abc", "GET /a HTTP", "HTTP", "HTTP/1.1 20"}) {
    EXPECT_EQ(detect_received(bytes), Detection::kMaybe) << bytes;
  }
}

TEST(Detect, RefusesOthers) {
  for (const char* bytes :
       {"PRI * HTTP/2.0\r\n\r\n", "GET /foo\r\n", "get / HTTP/1.1\r\n", "*1\r\n$4\r\nPING\r\n",
        "SSH-2.0-x\r\n", "\x16\x03\x01", "OPTIONS rtsp://a RTSP/1.0\r\n", "GET  / HTTP/1.1\r\n",
        "HTTP/2 200\r\n", "EHLO a\r\n", "GET \x01\x02"}) {
    EXPECT_EQ(detect_received(bytes), Detection::kNo) << bytes;
  }
}

// More bytes never take an answer back, so it does not matter how the first ones came.
TEST(Detect, IsSteady) {
  for (const std::string bytes : {"GET /a?b HTTP/1.1\r\nHost: a\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n",
                                  "PRI * HTTP/2.0\r\n\r\nSM\r\n"}) {
    Detection last = Detection::kMaybe;
    for (size_t i = 0; i <= bytes.size(); ++i) {
      const Detection now = detect_received(std::string_view(bytes).substr(0, i));
      EXPECT_TRUE(last == Detection::kMaybe || now == last) << i;
      last = now;
    }
    EXPECT_NE(last, Detection::kMaybe);
  }
}

}  // namespace
}  // namespace zerospan::protocols::http1
