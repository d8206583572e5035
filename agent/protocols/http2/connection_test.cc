// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Whole conversations and single rules: what an exchange holds, when it ends, and limits.

#include "agent/protocols/http2/connection.h"

#include <gtest/gtest.h>

#include "agent/protocols/http2/testing.h"

namespace zerospan::protocols::http2 {
namespace {

constexpr From kQ = From::kRequester;
constexpr From kR = From::kResponder;

class Http2 : public testing::TestWithParam<model::Role> {
 protected:
  Http2() {
    player.say(kQ, s.preface());
    player.say(kR, s.settings());
  }
  Script s;
  Player player{GetParam()};
};

TEST_P(Http2, AnExchange) {
  player.say(kQ, s.request(1, "a?q=1", false, {{"content-length", "3"}}), 9);
  player.say(kQ, Script::data(1, "abc", true, 20), 9);
  player.say(kR, s.response(1, "a", false, "201"));
  player.say(kR, Script::data(1, "hello", true));
  const model::Exchange& exchange = player.only();
  const model::HttpExchange& http = Player::http(exchange);
  EXPECT_EQ(exchange.role, GetParam());
  EXPECT_EQ(exchange.incomplete, model::kIncompleteNone);
  EXPECT_EQ(exchange.outcome, model::Outcome::kComplete);
  const bool server = GetParam() == model::Role::kServer;
  EXPECT_EQ(exchange.request_start_ns, server ? 3000U : 2900U);
  EXPECT_EQ(exchange.request_end_ns, 4000U);
  EXPECT_EQ(exchange.response_start_ns, server ? 4900U : 5000U);
  EXPECT_EQ(exchange.response_end_ns, 6000U);
  EXPECT_EQ(exchange.request_id, 9U);
  EXPECT_EQ(exchange.thread_id, 7U);
  EXPECT_EQ(http.method, "POST");
  EXPECT_EQ(http.target, "/a?q=1");
  EXPECT_EQ(http.scheme, "http");
  EXPECT_EQ(http.version_major, 2);
  EXPECT_EQ(http.version_minor, 0);
  EXPECT_EQ(http.status, 201);
  EXPECT_EQ(http.request_headers.find("host"), "shop.test:8080");
  EXPECT_EQ(http.request_headers.find("Content-Length"), "3");
  EXPECT_EQ(http.request_headers.find(":path").data(), nullptr);
  EXPECT_EQ(http.response_headers.find("server"), "test");
  EXPECT_EQ(http.request_body_size, 3U);
  EXPECT_EQ(http.response_body_size, 5U);
  EXPECT_FALSE(http.grpc);
  EXPECT_EQ(player.counters.exchanges, 1U);
  EXPECT_EQ(player.counters.messages, 2U);
  EXPECT_EQ(player.counters.unparsed_bytes, 0U);
}

TEST_P(Http2, AGrpcCall) {
  player.say(kQ, join({s.request(1, "pkg.Shop/Buy", false,
                                 {{"content-type", "application/grpc"}, {"grpc-timeout", "2S"}}),
                       Script::data(1, grpc_message(100, true), true)}));
  player.say(kR, s.response(1, "a", false, "200", {{"content-type", "application/grpc"}}));
  for (int i = 0; i < 3; ++i) {
    player.say(kR, Script::data(1, grpc_message(7), false));
  }
  player.say(kR, s.headers(kR, 1, {{"grpc-status", "9"}, {"grpc-message", "not%20yet"}}, true));
  const model::GrpcCall& call = *Player::http(player.only()).grpc;
  EXPECT_EQ(call.status, 9U);
  EXPECT_EQ(call.message, "not yet");
  EXPECT_EQ(call.timeout_ns, 2'000'000'000U);
  EXPECT_EQ(call.requests.count, 1U);
  EXPECT_TRUE(call.requests.exact && call.requests.compressed);
  EXPECT_EQ(call.responses.count, 3U);
  EXPECT_TRUE(call.responses.exact);
  EXPECT_FALSE(call.responses.compressed);
}

TEST_P(Http2, ManyStreamsAtOnce) {
  std::string requests;
  for (uint32_t i = 0; i < 200; ++i) {
    requests += s.request(1 + 2 * i, std::to_string(i), true);
  }
  player.say(kQ, requests, 5);
  for (uint32_t i = 200; i-- > 0;) {
    player.say(kR, s.response(1 + 2 * i, std::to_string(i), true));
  }
  ASSERT_EQ(player.sink.exchanges.size(), 200U);
  for (const model::Exchange& exchange : player.sink.exchanges) {
    const model::HttpExchange& http = Player::http(exchange);
    EXPECT_EQ(http.response_headers.find("x-id"), http.target.substr(1));
    EXPECT_EQ(exchange.incomplete, model::kIncompleteNone);
    EXPECT_EQ(exchange.batch_index, GetParam() == model::Role::kServer ? exchange.sequence : 0U);
  }
}

TEST_P(Http2, CancelledByTheRequester) {
  player.say(kQ, s.request(1, "a", true));
  player.say(kR, s.response(1, "a", false));
  player.say(kQ, Script::reset(1, 8));
  EXPECT_EQ(player.only().outcome, model::Outcome::kReset);
  EXPECT_EQ(Player::http(player.only()).reset->code, 8U);
  EXPECT_TRUE(Player::http(player.only()).reset->by_requester);
  EXPECT_EQ(player.only().response_end_ns, 5000U);
}

TEST_P(Http2, RefusedByTheResponder) {
  player.say(kQ, s.request(1, "a", false));
  player.say(kR, Script::reset(1, 7));
  EXPECT_EQ(player.only().outcome, model::Outcome::kReset);
  EXPECT_FALSE(Player::http(player.only()).reset->by_requester);
}

TEST_P(Http2, AnEarlyAnswerWithNoError) {
  player.say(kQ, s.request(1, "a", false));
  player.say(kR, s.response(1, "a", true, "413"));
  EXPECT_TRUE(player.sink.exchanges.empty());
  player.say(kR, Script::reset(1, 0));
  EXPECT_EQ(player.only().outcome, model::Outcome::kComplete);
  EXPECT_FALSE(Player::http(player.only()).reset);
}

TEST_P(Http2, AnEarlyAnswerWaitsAWhileForTheRequestsEnd) {
  player.say(kQ, s.request(1, "a", false));
  player.say(kR, s.response(1, "a", true, "413"));
  player.now += 200'000'000;
  player.say(kR, frame(FrameType::kPing, 0, 0, "pingpong"));
  EXPECT_EQ(player.only().outcome, model::Outcome::kComplete);
  EXPECT_EQ(player.only().response_end_ns, 4000U);
}

TEST_P(Http2, GoawayRefusesWhatIsAboveItsStream) {
  player.say(kQ, join({s.request(1, "a", true), s.request(3, "b", true)}));
  player.say(kR, Script::goaway(1, 0));
  EXPECT_EQ(Player::http(player.only()).target, "/b");
  EXPECT_EQ(Player::http(player.only()).reset->code, 7U);
  player.say(kR, s.response(1, "a", true));
  EXPECT_EQ(Player::http(player.of("a")).status, 200);
}

TEST_P(Http2, ClosesInOrder) {
  player.say(kQ, join({s.request(1, "a", true), s.request(3, "b", true)}));
  player.say(kR, s.response(1, "a", false));
  EXPECT_EQ(player.close(model::CloseKind::kClosed), Verdict::kOpaque);
  EXPECT_EQ(player.of("a").outcome, model::Outcome::kClosedEarly);
  EXPECT_EQ(player.of("b").outcome, model::Outcome::kNoResponse);
}

TEST_P(Http2, ClosesByReset) {
  player.say(kQ, s.request(1, "a", true));
  player.close(model::CloseKind::kReset);
  EXPECT_EQ(player.only().outcome, model::Outcome::kReset);
  EXPECT_FALSE(Player::http(player.only()).reset);
}

TEST_P(Http2, ARequesterThatSendsNoMoreStillGetsItsAnswers) {
  player.say(kQ, s.request(1, "a", true));
  player.close(GetParam() == model::Role::kServer ? model::CloseKind::kReceiveClosed
                                                  : model::CloseKind::kSendClosed);
  EXPECT_TRUE(player.sink.exchanges.empty());
  player.say(kR, s.response(1, "a", true));
  EXPECT_EQ(player.only().outcome, model::Outcome::kComplete);
}

TEST_P(Http2, FinishTellsWhatIsOpen) {
  player.say(kQ, s.request(1, "a", true));
  player.finish();
  EXPECT_EQ(player.only().incomplete, model::kBodyEndUnknown);
  EXPECT_EQ(player.only().outcome, model::Outcome::kComplete);
}

INSTANTIATE_TEST_SUITE_P(Roles, Http2, testing::Values(model::Role::kServer, model::Role::kClient),
                         [](const auto& value) {
                           return value.param == model::Role::kServer ? "Server" : "Client";
                         });

TEST(Http2Role, ComesFromThePreface) {
  Player player(model::Role::kUnknown);  // the requester's side is sent
  ASSERT_EQ(player.direction(kQ), model::Direction::kSend);
  Script s;
  player.say(kQ, s.preface());
  EXPECT_EQ(player.connection.role(), model::Role::kClient);
}

TEST(Http2Role, ComesFromTheFields) {
  Script s;
  Player player(model::Role::kUnknown, false);
  player.say(kR, s.response(1, "before us", true));
  EXPECT_EQ(player.connection.role(), model::Role::kClient);
  player.say(kQ, s.request(3, "a", true));
  player.say(kR, s.response(3, "a", true));
  EXPECT_EQ(Player::http(player.only()).target, "/a");
  EXPECT_EQ(player.counters.responses_without_request, 1U);
}

// The kernel reports a send when the call ends: the peer's answer can be recorded before.
TEST(Http2Order, AnAnswerThatIsRecordedBeforeItsRequest) {
  Script s;
  Player player(model::Role::kClient);
  player.say(kQ, s.preface());
  player.say(kR, join({s.settings(), s.response(1, "a", true)}));
  EXPECT_TRUE(player.sink.starts.empty());
  player.say(kQ, s.request(1, "a", true));
  EXPECT_EQ(Player::http(player.only()).status, 200);
  EXPECT_EQ(player.only().incomplete, model::kIncompleteNone);
}

TEST(Http2Opaque, WhatIsNotHttp2) {
  Player player(model::Role::kServer);
  EXPECT_EQ(player.say(kQ, "PRI * HTTP/1.1\r\n\r\n"), Verdict::kOpaque);
  EXPECT_EQ(player.say(kQ, "anything"), Verdict::kOpaque);
  Player other(model::Role::kServer);
  EXPECT_EQ(other.say(kQ, Script::data(1, "abc", true)), Verdict::kOpaque);
}

TEST(Http2Limits, GivesUpTheQuietestStream) {
  Options options;
  options.streams.max_streams = 4;
  Script s;
  Player player(model::Role::kServer, true, options);
  player.say(kQ, s.preface());
  for (uint32_t i = 0; i < 4; ++i) {
    player.say(kQ, s.request(1 + 2 * i, std::to_string(i), false));
  }
  player.say(kQ, Script::data(1, "still here", false));
  player.say(kQ, s.request(9, "4", true));
  EXPECT_EQ(player.counters.limits_hit, 1U);
  EXPECT_EQ(Player::http(player.only()).target, "/1");
  EXPECT_NE(player.only().incomplete & model::kGap, 0U);
  player.say(kR, join({s.settings(), s.response(3, "1", true), s.response(1, "0", true)}));
  EXPECT_EQ(player.counters.responses_without_request, 1U);
}

TEST(Http2Limits, MemoryIsBounded) {
  Options options;
  options.streams.max_memory_bytes = 64 * 1024;
  Script s;
  Player player(model::Role::kServer, true, options);
  player.say(kQ, s.preface());
  for (uint32_t i = 0; i < 400; ++i) {
    player.say(kQ, s.headers(kQ, 1 + 2 * i,
                             {{":method", "GET"},
                              {":path", "/" + std::to_string(i)},
                              {"x-long", std::string(3000, static_cast<char>('a' + i % 26))}},
                             false));
    ASSERT_LT(player.connection.memory_bytes(), 400'000U);
  }
  EXPECT_GT(player.counters.limits_hit, 300U);
}

}  // namespace
}  // namespace zerospan::protocols::http2
