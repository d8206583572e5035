// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/http1/body.h"

#include <gtest/gtest.h>

#include <string>

namespace zerospan::protocols::http1 {
namespace {

TEST(Body, EndsByItsLength) {
  Body body;
  body.begin(Body::Kind::kLength, 10);
  EXPECT_EQ(body.feed("abc"), 3U);
  EXPECT_EQ(body.skip(5), 5U);
  EXPECT_FALSE(body.done());
  EXPECT_EQ(body.feed("abc"), 2U);
  EXPECT_TRUE(body.done());
  EXPECT_EQ(body.size(), 10U);
  body.begin(Body::Kind::kLength, 0);
  EXPECT_TRUE(body.done());
}

TEST(Body, KeepsItsStart) {
  std::string start;
  Body body;
  body.begin(Body::Kind::kLength, 5000);
  body.feed(std::string(10, 'a'), &start);
  EXPECT_EQ(start, "");  // nobody has asked for it
  body.begin(Body::Kind::kLength, 5000);
  body.keep_start();
  body.feed(std::string(1000, 'a'), &start);
  body.feed(std::string(1000, 'b'), &start);
  EXPECT_EQ(start, std::string(1000, 'a') + std::string(Body::kMostKept - 1000, 'b'));
  EXPECT_FALSE(body.keeping());

  // Nothing behind what was not captured.
  start.clear();
  body.begin(Body::Kind::kLength, 50);
  body.keep_start();
  body.feed("ab", &start);
  body.skip(1);
  body.feed("cd", &start);
  EXPECT_EQ(start, "ab");

  const std::string chunked = "2;x\r\nab\r\n3\r\ncde\r\n0\r\n\r\nnext";
  for (size_t piece = 1; piece <= chunked.size(); ++piece) {
    start.clear();
    body.begin(Body::Kind::kChunked);
    body.keep_start();
    for (size_t at = 0; !body.done();) {
      at += body.feed(std::string_view(chunked).substr(at, piece), &start);
    }
    EXPECT_EQ(start, "abcde");
  }
}

TEST(Body, EndsByItsLastChunkInAnyPieces) {
  const std::string bytes =
      "5;x=\"y\"\r\nabcde\r\n0A \r\n0123456789\r\n000;z\r\nT: 1\r\nU: 2\r\n\r\nnext";
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    Body body;
    body.begin(Body::Kind::kChunked);
    size_t at = 0;
    while (!body.done() && at < bytes.size()) {
      at += body.feed(std::string_view(bytes).substr(at, piece));
    }
    EXPECT_TRUE(body.done());
    EXPECT_EQ(bytes.substr(at), "next");
    EXPECT_EQ(body.size(), 15U);
    EXPECT_TRUE(body.exact());
  }
}

TEST(Body, IsLostByBrokenChunks) {
  for (const char* bad : {"x\r\n", "\r\n", "5\r\nabcdefg\r\n", "1234567890abcdef0\r\n", "-1\r\n"}) {
    Body body;
    body.begin(Body::Kind::kChunked);
    EXPECT_EQ(body.feed(bad), std::string_view(bad).size());
    EXPECT_TRUE(body.lost()) << bad;
    EXPECT_FALSE(body.exact());
  }
}

TEST(Body, IsLostOnlyIfAChunkSizeWasMissed) {
  Body body;
  body.begin(Body::Kind::kChunked);
  body.feed("64\r\nab");
  body.skip(98);
  EXPECT_FALSE(body.lost());
  body.feed("\r\n64\r\n");
  body.skip(101);
  EXPECT_TRUE(body.lost());
  body.end_operation("c\r\n0\r\n\r\n", false);
  EXPECT_TRUE(body.done());
}

TEST(LastChunk, IsSeenStrictly) {
  EXPECT_TRUE(ends_with_last_chunk("data\r\n0\r\n\r\n", false));
  EXPECT_TRUE(ends_with_last_chunk("data\r\n0\r\nA: b\r\nC: d\r\n\r\n", false));
  EXPECT_TRUE(ends_with_last_chunk("0\r\n\r\n", true));
  EXPECT_TRUE(ends_with_last_chunk("\r\n0\r\n\r\n", false));
  for (const char* bad :
       {"0\r\n\r\n", "10\r\n\r\n", "x0\r\n\r\n", "\r\n0\r\n\r\n ", "\r\n0\r\n", "\n0\n\n",
        "\r\n0\r\nnocolon\r\n\r\n", "\r\n0\r\na b: c\r\n\r\n", "\r\n\r\n", ""}) {
    EXPECT_FALSE(ends_with_last_chunk(bad, false)) << bad;
  }
}

}  // namespace
}  // namespace zerospan::protocols::http1
