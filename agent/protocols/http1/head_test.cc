// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/http1/head.h"

#include <gtest/gtest.h>

#include <string>

namespace zerospan::protocols::http1 {
namespace {

TEST(RequestLine, IsParsed) {
  const auto line = parse_request_line("GET /a?b HTTP/1.0");
  ASSERT_TRUE(line);
  EXPECT_EQ(line->method, "GET");
  EXPECT_EQ(line->target, "/a?b");
  EXPECT_EQ(line->version_minor, 0);
  EXPECT_EQ(parse_request_line("get /a b  HTTP/1.1 ")->target, "/a b");
  for (const char* bad :
       {"", "GET", "GET /", "GET HTTP/1.1", "GET  HTTP/1.1", "GET / HTTP/2.0", "GET / HTTP/1.",
        "G@T / HTTP/1.1", " GET / HTTP/1.1", "GET / HTTP/1.11"}) {
    EXPECT_FALSE(parse_request_line(bad)) << bad;
  }
}

TEST(StatusLine, IsParsed) {
  EXPECT_EQ(parse_status_line("HTTP/1.1 200 OK")->status, 200);
  EXPECT_EQ(parse_status_line("HTTP/1.0 404")->version_minor, 0);
  for (const char* bad : {"", "HTTP/1.1", "HTTP/1.1 20", "HTTP/1.1 2000", "HTTP/1.1 099 x",
                          "HTTP/2.0 200 OK", "HTTP/1.1  200", "ICY 200 OK"}) {
    EXPECT_FALSE(parse_status_line(bad)) << bad;
  }
}

TEST(Resynchronisation, IsStrict) {
  EXPECT_TRUE(resumes_with_request_line("GET / HTTP/1.1\r\n"));
  EXPECT_TRUE(resumes_with_request_line("OPTIONS * HTTP/1.1\n"));
  EXPECT_TRUE(resumes_with_request_line("CONNECT a:1 HTTP/1.1\r\n"));
  for (const char* bad : {"GET / HTTP/1.1", "ET / HTTP/1.1\r\n", "get / HTTP/1.1\r\n",
                          "GET a HTTP/1.1\r\n", "GET /a b HTTP/1.1\r\n", " GET / HTTP/1.1\r\n"}) {
    EXPECT_FALSE(resumes_with_request_line(bad)) << bad;
  }
  EXPECT_TRUE(starts_with_status_line("HTTP/1.1 200 OK\r\n"));
  EXPECT_FALSE(starts_with_status_line("HTTP/1.1 200 OK"));
}

TEST(HeadEnd, IsFoundInAnyPieces) {
  for (const std::string head : {"A: b\r\n\r\n", "A: b\n\n", "A: b\r\n\n", "A: b\n\r\n",
                                 "A: a longer field than one block of bytes\r\nB: c\r\n\r\n"}) {
    const std::string bytes = head + "rest\n\n";
    size_t whole = 0;
    ASSERT_TRUE(find_head_end(bytes, whole));
    EXPECT_EQ(whole, head.size());
    size_t pieces = 0;
    for (size_t i = 1; i < head.size(); ++i) {
      ASSERT_FALSE(find_head_end(std::string_view(bytes).substr(0, i), pieces));
    }
    ASSERT_TRUE(find_head_end(bytes, pieces));
    EXPECT_EQ(pieces, head.size());
  }
}

TEST(Fields, AreReadTolerantly) {
  model::HeaderBlock block;
  parse_fields(
      "GET / HTTP/1.1\r\n ignored: 1\r\nA:b\r\nSpaced :  c d \t\r\nnocolon\r\nF: one\r\n\ttwo\r\n"
      "E:\r\n late\r\n\r\n",
      block);
  ASSERT_EQ(block.size(), 4U);
  EXPECT_EQ(block[0].name, "A");
  EXPECT_EQ(block[0].value, "b");
  EXPECT_EQ(block.find("spaced"), "c d");
  EXPECT_EQ(block.find("f"), "one\r\n\ttwo");
  EXPECT_EQ(block.find("e"), "late");
}

TEST(Fields, TellWhereTheHeadEnds) {
  const std::string line = "GET / HTTP/1.1\r\n";
  for (const std::string_view fields : {"\r\n", "\n", "A: b\r\n\r\n", "A: b\n\n", "A: b\n\r\n",
                                        " \r\n\r\n", "\r\r\n\r\n", "A:\r\n \r\n\r\n"}) {
    const std::string head = line + std::string(fields);
    for (const size_t filler : {0, 30, 60, 61, 62, 63, 64, 65, 200}) {
      std::string longer = head;
      longer.insert(line.size(), filler < 2 ? "" : std::string(filler - 1, 'x') + '\n');
      model::HeaderBlock block;
      EXPECT_EQ(parse_fields(longer + "\r\nB: c\r\n\r\n", block).end, longer.size()) << longer;
      EXPECT_EQ(block.raw(), longer);
      size_t end = 0;
      EXPECT_TRUE(find_head_end(longer, end));
      EXPECT_EQ(end, longer.size());
      EXPECT_EQ(parse_fields(std::string_view(longer).substr(0, longer.size() - 1), block).end, 0U);
    }
  }
}

Framing framing_of(const std::string& fields) {
  model::HeaderBlock block;
  return parse_fields("HTTP/1.1 200 OK\r\n" + fields + "\r\n", block).framing;
}

TEST(Fields, TellTheFraming) {
  EXPECT_EQ(framing_of("content-LENGTH: 12\r\n").content_length, 12U);
  EXPECT_TRUE(framing_of("Content-Length: 5, 5\r\nContent-Length: 5\r\n").content_length_valid);
  for (const char* bad : {"5, 6", "-1", "+1", "0x5", "", "5 5", "1,", "9999999999999999999"}) {
    EXPECT_FALSE(framing_of("Content-Length: " + std::string(bad) + "\r\n").content_length_valid)
        << bad;
  }
  EXPECT_TRUE(
      framing_of("Transfer-Encoding: gzip\r\nTransfer-Encoding: CHUNKED\r\n").chunked_is_last);
  EXPECT_TRUE(framing_of("Transfer-Encoding: gzip , chunked ,\r\n").chunked_is_last);
  EXPECT_FALSE(framing_of("Transfer-Encoding: chunked, gzip\r\n").chunked_is_last);
  EXPECT_FALSE(framing_of("Transfer-Encoding: xchunked\r\n").chunked_is_last);
}

}  // namespace
}  // namespace zerospan::protocols::http1
