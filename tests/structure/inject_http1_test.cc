// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The kernel's walk over the requests that it injects into (bpf/lib/inject_http1.h), compiled for
// the host: where heads end, whatever the operations, and what makes it stop. The independent
// reading of the same bytes is the parser's (agent/protocols/http1).

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "agent/protocols/http1/testing.h"
#include "tests/structure/http1_injector.h"

namespace zerospan {
namespace {

using structure::Http1Injector;
using structure::kInjected;
using structure::without_injected;

constexpr const char* kTraceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

std::string request(const std::string& fields, const std::string& body = "",
                    const std::string& line = "GET /a HTTP/1.1") {
  return line + "\r\nHost: a\r\n" + fields + "\r\n" + body;
}

// In one operation.
zs_http1_walk walked(const std::string& bytes) {
  Http1Injector injector;
  injector.send(bytes);
  return injector.walk();
}

std::string with_headers(const std::vector<std::string>& heads_and_bodies) {
  std::string all;
  for (size_t i = 0; i < heads_and_bodies.size(); i += 2) {
    const std::string& head = heads_and_bodies[i];
    all +=
        head.substr(0, head.size() - 2) + std::string(kInjected) + "\r\n" + heads_and_bodies[i + 1];
  }
  return all;
}

// Heads, and the bodies that follow them.
const std::vector<std::string>& stream() {
  static const std::vector<std::string> kStream = {
      request(""),
      "",
      request("Content-Length: 37\r\n"),
      "GET /not-a-request HTTP/1.1\r\nA: b\r\n\r\n",
      request("transfer-encoding:\tChunked \r\n"),
      "5;a=\"b\"\r\nGET /\r\n20\r\n HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\n\r\n\r\n0\r\nSum: 1\r\n\r\n",
      request("X-Traceparent: a\r\nTraceparents: b\r\nTrace: c\r\nX:\r\n"),
      "",
      request("content-length:0\r\n", "", "POST /b?c=d HTTP/1.0"),
      "",
      request("A-name-that-is-longer-than-all-that-are-looked-for: 1\r\n", "",
              "M-SEARCH * HTTP/1.1"),
      "",
  };
  return kStream;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string all;
  for (const std::string& part : parts) {
    all += part;
  }
  return all;
}

TEST(InjectHttp1, EachHeadOnceAndNoBody) {
  Http1Injector injector;
  EXPECT_EQ(with_headers(stream()), injector.send(joined(stream())));
  EXPECT_EQ(6U, injector.heads());
  EXPECT_EQ(6U, injector.injected());
  EXPECT_EQ(ZS_HTTP1_ON, injector.walk().off);
  EXPECT_EQ(ZS_HTTP1_START, injector.walk().state);
}

TEST(InjectHttp1, WhateverTheOperations) {
  const std::string all = joined(stream());
  const std::string expected = with_headers(stream());
  for (size_t first = 1; first < all.size(); ++first) {
    for (const size_t second : {first + 1, first + 7, first + 64}) {
      Http1Injector injector;
      std::string out = injector.send(all.substr(0, first));
      out += injector.send(all.substr(first, second - first));
      if (second < all.size()) {
        out += injector.send(all.substr(second));
      }
      ASSERT_EQ(6U, injector.heads()) << first;
      ASSERT_EQ(ZS_HTTP1_ON, injector.walk().off) << first;
      ASSERT_EQ(all, without_injected(out)) << first;
      if (injector.injected() == 6) {
        ASSERT_EQ(expected, out) << first;
      } else {
        // Only where an operation began between the last CR and its LF: what is before it is gone.
        const bool between = all.compare(first - 1, 2, "\r\n") == 0 ||
                             (second < all.size() && all.compare(second - 1, 2, "\r\n") == 0);
        ASSERT_TRUE(between) << first << " " << second;
      }
    }
  }
}

TEST(InjectHttp1, ByteByByte) {
  Http1Injector injector;
  std::string out;
  for (const char byte : joined(stream())) {
    out += injector.send(std::string(1, byte));
  }
  EXPECT_EQ(joined(stream()), out);
  EXPECT_EQ(6U, injector.heads());
}

TEST(InjectHttp1, ReadsATraceparent) {
  for (const char* name : {"traceparent", "Traceparent", "TRACEPARENT"}) {
    const zs_http1_walk walk =
        walked(request(std::string(name) + ": " + kTraceparent + "\r\nB: c\r\n"));
    EXPECT_EQ(ZS_HTTP1_TRACEPARENT, walk.flags) << name;
    EXPECT_EQ(0x4bf92f3577b34da6ULL, walk.trace_id[0]);
    EXPECT_EQ(0xa3ce929d0e0e4736ULL, walk.trace_id[1]);
    EXPECT_EQ(0x00f067aa0ba902b7ULL, walk.span_id);
    EXPECT_EQ(1U, walk.trace_flags);
  }
  EXPECT_EQ(ZS_HTTP1_TRACEPARENT,
            walked(request(std::string("traceparent:") + kTraceparent + " \t\r\n")).flags);
}

TEST(InjectHttp1, SaysWhichTraceparentIsOdd) {
  const std::string good = kTraceparent;
  std::vector<std::string> odd = {"",
                                  "00",
                                  good + "-",
                                  good + "0",
                                  good + " x",
                                  "01" + good.substr(2),
                                  "ff" + good.substr(2),
                                  "0" + good};
  for (size_t at = 0; at < good.size(); ++at) {
    for (const char wrong : {'g', 'F', '-', '0', ' '}) {
      std::string changed = good;
      changed[at] = wrong;
      if (changed[at] != good[at] && !(wrong == '0' && at != 2 && at != 35 && at != 52)) {
        odd.push_back(changed);
      }
    }
    odd.push_back(good.substr(0, at));
  }
  odd.push_back("00-00000000000000000000000000000000-00f067aa0ba902b7-01");
  odd.push_back("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01");
  for (const std::string& value : odd) {
    const zs_http1_walk walk = walked(request("traceparent: " + value + "\r\n"));
    EXPECT_EQ(ZS_HTTP1_TRACEPARENT | ZS_HTTP1_TRACEPARENT_ODD, walk.flags) << value;
    EXPECT_EQ(ZS_HTTP1_ON, walk.off) << value;
  }
  const std::string field = "traceparent: " + good + "\r\n";
  EXPECT_EQ(ZS_HTTP1_TRACEPARENT | ZS_HTTP1_TRACEPARENT_ODD, walked(request(field + field)).flags);
}

TEST(InjectHttp1, LeavesOtherContextsAlone) {
  for (const char* name : {"b3", "B3", "X-B3-TraceId", "uber-trace-id", "X-Amzn-Trace-Id"}) {
    Http1Injector injector;
    const std::string bytes = request(std::string(name) + ": 1\r\n");
    EXPECT_EQ(bytes, injector.send(bytes)) << name;
    EXPECT_EQ(ZS_HTTP1_OTHER_CONTEXT, injector.walk().flags) << name;
  }
}

TEST(InjectHttp1, StopsWhereItCannotBeSure) {
  for (const std::string& bytes : {
           std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
           std::string("\x16\x03\x01\x02\x00\x01"),
           std::string("GET  /a HTTP/1.1\r\n\r\n"),
           std::string("GET /a b HTTP/1.1\r\n\r\n"),
           std::string("GET /a HTTP/1.2\r\n\r\n"),
           std::string("GET /a HTTP/1.1\n\n"),
           std::string("GET /a\r\n"),
           std::string(33, 'A') + " / HTTP/1.1\r\n\r\n",
           request(" folded\r\n"),
           request("A : b\r\n"),
           request("A: b\rc\r\n"),
           request("A: b\nContent-Length: 5\r\n"),
           request("Content-Length: 5\r\nContent-Length: 5\r\n"),
           request("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
           request("Transfer-Encoding: gzip, chunked\r\n"),
           request("Transfer-Encoding: chunke\r\n"),
           request("Content-Length: +5\r\n"),
           request("Content-Length: 5 5\r\n"),
           request("Content-Length: \r\n"),
           request("Content-Length: 99999999999999999999\r\n"),
           request("Transfer-Encoding: chunked\r\n", "x\r\n"),
           request("Transfer-Encoding: chunked\r\n", "\r\n"),
           request("Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\n"),
           request("Transfer-Encoding: chunked\r\n", "1\r\nab\r\n"),
           request("Content-Length: 3\r\n", "abcdef"),
       }) {
    const zs_http1_walk walk = walked(bytes);
    EXPECT_EQ(ZS_HTTP1_OFF_NOT_HTTP1, walk.off) << bytes;
  }
  EXPECT_EQ(ZS_HTTP1_OFF_UPGRADE, walked(request("Upgrade: websocket\r\n")).off);
  EXPECT_EQ(ZS_HTTP1_OFF_UPGRADE, walked(request("", "", "CONNECT a:1 HTTP/1.1")).off);
  EXPECT_EQ(ZS_HTTP1_OFF_EXPECT,
            walked(request("Expect: 100-continue\r\nContent-Length: 5\r\n")).off);
  EXPECT_EQ(ZS_HTTP1_OFF_TOO_LONG, walked(request("A: " + std::string(70000, 'a') + "\r\n")).off);
}

TEST(InjectHttp1, TakesBackWhatWasNotSent) {
  const std::string bytes = request("Content-Length: 100\r\n", std::string(60, 'x'));
  for (const uint64_t count : {1U, 59U, 60U}) {
    zs_http1_walk walk = walked(bytes);
    ASSERT_EQ(40U, walk.body_left);
    ASSERT_TRUE(zs_http1_take_back(&walk, count));
    EXPECT_EQ(40U + count, walk.body_left);
  }
  zs_http1_walk walk = walked(bytes);
  EXPECT_FALSE(zs_http1_take_back(&walk, 61));
  walk = walked(request("Content-Length: 5\r\n", "12345"));
  ASSERT_TRUE(zs_http1_take_back(&walk, 5));
  EXPECT_EQ(ZS_HTTP1_BODY, walk.state);
  EXPECT_EQ(5U, walk.body_left);
  walk = walked(request("Transfer-Encoding: chunked\r\n", "5\r\n123"));
  ASSERT_TRUE(zs_http1_take_back(&walk, 3));
  EXPECT_EQ(5U, walk.body_left);
  EXPECT_FALSE(zs_http1_take_back(&walk, 1));
  walk = walked(request("Transfer-Encoding: chunked\r\n", "5\r\n12345\r\n"));
  EXPECT_FALSE(zs_http1_take_back(&walk, 1));
  walk = walked(request(""));
  EXPECT_FALSE(zs_http1_take_back(&walk, 1));
}

// What the parser reads as so many requests, in conversations of every framing, gets so many
// headers; with them the parser reads the same exchanges.
TEST(InjectHttp1, AgreesWithTheParser) {
  using protocols::http1::From;
  size_t whole = 0;
  for (const auto& conversation : protocols::http1::conversations()) {
    Http1Injector injector;
    protocols::http1::Player plain(model::Role::kClient);
    protocols::http1::Player injected(model::Role::kClient);
    for (const auto& say : conversation.says) {
      plain.say(say.from, say.bytes);
      injected.say(say.from, say.from == From::kRequester ? injector.send(say.bytes) : say.bytes);
    }
    plain.finish();
    injected.finish();
    ASSERT_EQ(plain.sink.exchanges.size(), injected.sink.exchanges.size()) << conversation.name;
    if (injector.walk().off == ZS_HTTP1_ON) {
      ++whole;
      EXPECT_EQ(injector.heads(), plain.sink.starts.size()) << conversation.name;
    }
    EXPECT_EQ(plain.sink.starts, injected.sink.starts) << conversation.name;
  }
  EXPECT_GT(whole, protocols::http1::conversations().size() / 2);
}

}  // namespace
}  // namespace zerospan
