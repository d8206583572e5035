// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Bytes that were not captured, records that were lost, and connections joined in the middle.

#include <gtest/gtest.h>

#include "agent/protocols/http1/testing.h"

namespace zerospan::protocols::http1 {
namespace {

constexpr From kQ = From::kRequester;
constexpr From kR = From::kResponder;

const std::string kChunkedHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

// The next exchange of the connection is whole and right.
void expect_recovered(Player& player) {
  player.sink.exchanges.clear();
  player.say(kQ, get("next"));
  player.sink.exchanges.clear();  // what the next request ended
  player.say(kR, ok("next", 3));
  ASSERT_EQ(player.sink.exchanges.size(), 1U);
  EXPECT_EQ(player.sink.exchanges[0].incomplete, model::kIncompleteNone);
  EXPECT_EQ(Player::http(player.sink.exchanges[0]).response_headers.find("x-id"), "next");
}

TEST(Loss, CountsABodyThatIsNotCaptured) {
  Player player(model::Role::kServer);
  player.say(kQ, get("1"));
  player.say(kR, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
  player.say_cut(kR, std::string(90000, 's'), 0, 0);  // sendfile
  player.say_cut(kR, std::string(10000, 's'), 0, 128);
  EXPECT_EQ(player.only().incomplete, model::kIncompleteNone);
  EXPECT_EQ(Player::http(player.only()).response_body_size, 100000U);
  EXPECT_TRUE(Player::http(player.only()).response_body_size_exact);
  EXPECT_EQ(player.only().response_end_ns, 4000U);
  expect_recovered(player);
}

TEST(Loss, FindsTheNextHeadBehindABodyInATail) {
  Player player(model::Role::kServer);
  const std::string post =
      "POST /1 HTTP/1.1\r\nContent-Length: 9000\r\n\r\n" + std::string(9000, 'p');
  player.say_cut(kQ, post + get("2"), 4096, 128);
  player.say(kR, ok("1", 1));
  player.say(kR, ok("2", 1));
  ASSERT_EQ(player.sink.exchanges.size(), 2U);
  EXPECT_EQ(player.sink.exchanges[0].incomplete, model::kIncompleteNone);
  EXPECT_EQ(Player::http(player.sink.exchanges[1]).target, "/2");
}

TEST(Loss, StepsOverAChunkThatIsNotCaptured) {
  Player player(model::Role::kServer);
  player.say(kQ, get("1"));
  player.say_cut(kR, kChunkedHead + "2710\r\n" + std::string(10000, 'c') + "\r\n0\r\n\r\n", 4096,
                 128);
  EXPECT_EQ(player.only().incomplete, model::kIncompleteNone);
  EXPECT_EQ(Player::http(player.only()).response_body_size, 10000U);
  EXPECT_TRUE(Player::http(player.only()).response_body_size_exact);
}

TEST(Loss, EndsAChunkedBodyByTheOperationsTail) {
  for (const char* end : {"\r\n0\r\n\r\n", "\r\n0\r\nServer-Timing: a\r\n\r\n"}) {
    Player player(model::Role::kServer);
    player.say(kQ, get("1"));
    std::string body;
    for (int i = 0; i < 100; ++i) {
      body += "64\r\n" + std::string(100, 'c') + "\r\n";
    }
    body.resize(body.size() - 2);
    player.say_cut(kR, kChunkedHead + body + end, 4096, 128);
    EXPECT_EQ(player.only().incomplete, model::kIncompleteNone);
    EXPECT_FALSE(Player::http(player.only()).response_body_size_exact);
    expect_recovered(player);
  }
}

TEST(Loss, EndsAChunkedBodyByALastChunkOfItsOwn) {
  Player player(model::Role::kServer);
  player.say(kQ, get("1"));
  player.say(kR, kChunkedHead);
  player.say_cut(kR, "2710\r\n" + std::string(10000, 'c') + "\r\n", 0, 128);
  EXPECT_TRUE(player.sink.exchanges.empty());
  player.say(kR, "0\r\n\r\n");
  EXPECT_EQ(player.only().incomplete, model::kIncompleteNone);
}

TEST(Loss, AnAnswerBeforeTheEndOfAChunkedRequestLeavesItsSizeUnknown) {
  const std::string post = "POST /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string chunk = "2710\r\n" + std::string(10000, 'c') + "\r\n";
  for (const bool early : {false, true}) {
    Player player(model::Role::kServer);
    player.say(kQ, post);
    player.say_cut(kQ, chunk + chunk, 4096, 128);
    if (early) {
      player.say(kR, ok("1", 0));
      EXPECT_EQ(player.only().incomplete, model::kBodyEndUnknown);
      EXPECT_EQ(Player::http(player.only()).request_body_size, 0U);
      player.say_cut(kQ, chunk + "0\r\n\r\n", 4096, 128);
    } else {
      player.say_cut(kQ, chunk + "0\r\n\r\n", 4096, 128);
      player.say(kR, ok("1", 0));
      EXPECT_EQ(player.only().incomplete, model::kIncompleteNone);
      EXPECT_GE(Player::http(player.only()).request_body_size, 30000U);
    }
    expect_recovered(player);
  }
}

TEST(Loss, EndsAnUnknownBodyByTheNextRequest) {
  Player player(model::Role::kServer);
  player.say(kQ, get("1"));
  player.say(kR, kChunkedHead);
  player.say_cut(kR, std::string(10000, 'c'), 0, 128);
  player.say(kQ, get("2"));
  EXPECT_EQ(player.only().incomplete, model::kBodyEndUnknown);
  EXPECT_EQ(player.only().response_end_ns, 3000U);
  player.say(kR, ok("2", 1));
  ASSERT_EQ(player.sink.exchanges.size(), 2U);
  EXPECT_EQ(player.sink.exchanges[1].incomplete, model::kIncompleteNone);
}

TEST(Loss, EndsAnUnknownBodyByTheNextResponse) {
  Player player(model::Role::kClient);
  player.say(kQ, get("1"));
  player.say(kR, kChunkedHead);
  player.say_cut(kR, std::string(10000, 'c'), 0, 128);
  player.say(kR, ok("2", 1));
  EXPECT_EQ(player.only().incomplete, model::kBodyEndUnknown);
  player.say_late(kQ, get("2"), 3500);
  ASSERT_EQ(player.sink.exchanges.size(), 2U);
  EXPECT_EQ(Player::http(player.sink.exchanges[1]).response_headers.find("x-id"), "2");
}

TEST(Loss, GivesUpAllWhenAChunkedAnswerIsLostAmongSeveral) {
  Player player(model::Role::kServer);
  player.say(kQ, get("1") + get("2"));
  player.say_cut(kR, kChunkedHead + std::string(9000, 'c') + "\r\n0\r\n\r\n", 60, 128);
  ASSERT_EQ(player.sink.exchanges.size(), 2U);
  EXPECT_EQ(Player::http(player.sink.exchanges[0]).status, 200);
  EXPECT_EQ(Player::http(player.sink.exchanges[1]).status, 0);
  for (const model::Exchange& exchange : player.sink.exchanges) {
    EXPECT_NE(exchange.incomplete & model::kGap, 0U);
    EXPECT_EQ(exchange.outcome, model::Outcome::kComplete);
  }
  player.say(kR, ok("2", 1));
  EXPECT_EQ(player.sink.exchanges.size(), 2U);
  EXPECT_EQ(player.counters.responses_without_request, 1U);
}

TEST(Loss, KeepsWhatIsKnownOfALongRequestHead) {
  Player player(model::Role::kServer);
  const std::string request = get("1", "First: x\r\nCookie: " + std::string(6000, 'c') + "\r\n");
  player.say_cut(kQ, request, 4096, 128);
  ASSERT_EQ(player.sink.starts.size(), 1U);
  player.say(kR, ok("1", 3));
  EXPECT_EQ(player.only().incomplete, model::kHeadTruncated | model::kBodyEndUnknown);
  EXPECT_EQ(Player::http(player.only()).target, "/1");
  EXPECT_EQ(Player::http(player.only()).request_headers.find("first"), "x");
  EXPECT_EQ(player.counters.heads_truncated, 1U);
  expect_recovered(player);
}

TEST(Loss, KeepsWhatIsKnownOfALongTarget) {
  Player player(model::Role::kServer);
  player.say_cut(kQ, get(std::string(6000, 't')), 4096, 128);
  player.say(kR, ok("1", 3));
  EXPECT_EQ(Player::http(player.only()).method, "GET");
  EXPECT_EQ(Player::http(player.only()).target.size(), 4092U);
  EXPECT_EQ(player.only().incomplete, model::kHeadTruncated | model::kBodyEndUnknown);
}

TEST(Loss, KeepsWhatIsKnownOfALongResponseHead) {
  Player player(model::Role::kServer);
  player.say(kQ, get("1"));
  player.say_cut(kR,
                 "HTTP/1.1 302 Found\r\nSet-Cookie: " + std::string(6000, 'c') +
                     "\r\nContent-Length: 0\r\n\r\n",
                 4096, 128);
  player.say(kQ, get("2"));
  EXPECT_EQ(Player::http(player.only()).status, 302);
  EXPECT_EQ(player.only().incomplete, model::kHeadTruncated | model::kBodyEndUnknown);
  player.say(kR, ok("2", 1));
  ASSERT_EQ(player.sink.exchanges.size(), 2U);
  EXPECT_EQ(player.sink.exchanges[1].incomplete, model::kIncompleteNone);
}

TEST(Loss, LimitsAHeadThatIsAllCaptured) {
  Options options;
  options.max_head_bytes = 1000;
  Player player(model::Role::kServer, true, options);
  player.say(kQ, get("1", "Cookie: " + std::string(2000, 'c') + "\r\n"));
  player.say(kR, ok("1", 3));
  EXPECT_EQ(player.only().incomplete, model::kHeadTruncated | model::kBodyEndUnknown);
  EXPECT_EQ(player.counters.limits_hit, 1U);
  expect_recovered(player);
}

TEST(Loss, GoesOnCountingAcrossAGapInABody) {
  Player player(model::Role::kServer);
  player.say(kQ, get("1"));
  const std::string answer = ok("1", 500);
  player.say(kR, answer.substr(0, 100));
  player.lose(kR, 300);
  player.say(kR, answer.substr(400));
  EXPECT_EQ(player.only().incomplete, model::kGap);
  EXPECT_EQ(Player::http(player.only()).response_body_size, 500U);
  EXPECT_FALSE(Player::http(player.only()).response_body_size_exact);
  EXPECT_EQ(player.counters.gaps, 1U);
  EXPECT_EQ(player.counters.gap_bytes, 300U);
  expect_recovered(player);
}

TEST(Loss, AnAnswerThatIsMissingAtTheEndIsNoError) {
  for (const model::Role role : {model::Role::kServer, model::Role::kClient}) {
    for (const model::CloseKind kind : {model::CloseKind::kClosed, model::CloseKind::kReset}) {
      Player player(role);
      player.say(kQ, get("1"));
      player.lose(kR, ok("1", 5).size());
      player.close(kind);
      EXPECT_EQ(player.only().incomplete, model::kGap);
      EXPECT_EQ(player.only().outcome, model::Outcome::kComplete);
      EXPECT_EQ(Player::http(player.only()).status, 0);
      EXPECT_EQ(player.counters.gaps, 1U);
    }
  }
}

TEST(Loss, OneAnswerOfAKeptConnectionCostsOneExchange) {
  for (const model::Role role : {model::Role::kServer, model::Role::kClient}) {
    Player player(role);
    for (int i = 0; i < 10; ++i) {
      const std::string id = std::to_string(i);
      player.say(kQ, get(id));
      if (i == 3 || i == 6) {
        player.lose(kR, ok(id, 5).size());
      } else {
        player.say(kR, ok(id, 5));
      }
    }
    player.close(model::CloseKind::kClosed);
    ASSERT_EQ(player.sink.exchanges.size(), 10U);
    int whole = 0;
    for (const model::Exchange& exchange : player.sink.exchanges) {
      const model::HttpExchange& http = Player::http(exchange);
      if (exchange.incomplete == model::kIncompleteNone) {
        ++whole;
        EXPECT_EQ("/" + std::string(http.response_headers.find("x-id")), http.target);
      }
    }
    // A client's next request may have been answered before its send returned.
    EXPECT_EQ(whole, role == model::Role::kServer ? 8 : 6);
  }
}

TEST(Loss, ABodyWhoseRestIsMissingAtTheEndSaysSo) {
  Player player(model::Role::kServer);
  player.say(kQ, get("1"));
  player.say(kR, ok("1", 500).substr(0, 100));
  player.lose(kR, 300);
  player.close(model::CloseKind::kClosed);
  EXPECT_NE(player.only().incomplete & model::kGap, 0U);
  EXPECT_EQ(Player::http(player.only()).status, 200);
}

TEST(Loss, AnAnswerBeforeALostRequestIsWhole) {
  Player player(model::Role::kServer);
  player.say(kQ, get("1"));
  player.say(kR, ok("1", 5));
  player.lose(kQ, get("2").size());
  player.close(model::CloseKind::kClosed);
  EXPECT_EQ(player.only().incomplete, model::kIncompleteNone);
}

TEST(Loss, FlagsAGapInAHead) {
  Player player(model::Role::kServer);
  player.say(kQ, "GET /1 HTTP/1.1\r\nHost: a\r\nCoo");
  player.lose(kQ, 20);
  player.say(kQ, "kie: x\r\n\r\n");
  player.say(kR, ok("1", 3));
  EXPECT_EQ(player.only().incomplete, model::kGap | model::kBodyEndUnknown);
  expect_recovered(player);
}

TEST(Loss, ForgetsARequestThatWasLostWhole) {
  Player player(model::Role::kServer);
  player.say(kQ, get("1"));
  player.say(kR, ok("1", 3));
  player.lose(kQ, 40);
  player.say(kR, ok("2", 3));
  player.say(kQ, get("3"));
  player.say(kR, ok("3", 3));
  ASSERT_EQ(player.sink.exchanges.size(), 2U);
  EXPECT_EQ(player.sink.exchanges[1].incomplete, model::kIncompleteNone);
  EXPECT_EQ(Player::http(player.sink.exchanges[1]).response_headers.find("x-id"), "3");
  EXPECT_EQ(player.counters.responses_without_request, 1U);
}

TEST(Loss, RecoversAfterAnExchangeThatWasLostWhole) {
  Player player(model::Role::kServer);
  player.say(kQ, get("1"));
  player.say(kR, ok("1", 3));
  player.lose(kQ, 40);
  player.lose(kR, 60);
  // Its record tells that the lost answer was before it.
  player.say(kQ, get("3"));
  player.say(kR, ok("3", 3));
  ASSERT_EQ(player.sink.exchanges.size(), 2U);
  EXPECT_EQ(player.sink.exchanges[1].incomplete, model::kIncompleteNone);
  EXPECT_EQ(Player::http(player.sink.exchanges[1]).response_headers.find("x-id"), "3");
  expect_recovered(player);
}

TEST(Loss, DoesNotTrustTheAnswerBehindALostOne) {
  Player player(model::Role::kServer);
  player.say(kQ, get("1"));
  player.lose(kR, 60);
  player.say(kR, "the rest of a body");
  player.say(kQ, get("2"));
  EXPECT_EQ(player.only().incomplete, model::kGap);
  EXPECT_EQ(Player::http(player.only()).status, 0);
  EXPECT_EQ(player.only().outcome, model::Outcome::kComplete);
  EXPECT_EQ(player.only().response_end_ns, 3000U);
  player.say(kR, ok("2", 1));
  ASSERT_EQ(player.sink.exchanges.size(), 2U);
  EXPECT_EQ(player.sink.exchanges[1].incomplete, model::kIncompleteNone);
}

TEST(Loss, DoesNotTakeABodyForAHead) {
  Player player(model::Role::kServer);
  player.say(kQ, "POST /1 HTTP/1.1\r\nContent-Length: 500\r\n\r\n");
  player.say(kQ, get("inner"));
  EXPECT_EQ(player.sink.starts.size(), 1U);
}

TEST(Loss, JoinsInTheMiddleOfAResponse) {
  Player player(model::Role::kServer, false);
  player.say(kR, "...the rest of a body");
  player.say(kR, ok("0", 3));  // to a request that we did not see
  player.say(kQ, get("1"));
  player.say(kR, ok("1", 3));
  EXPECT_EQ(player.only().incomplete, model::kIncompleteNone);
  EXPECT_EQ(Player::http(player.only()).response_headers.find("x-id"), "1");
  EXPECT_EQ(player.counters.responses_without_request, 1U);
  EXPECT_EQ(player.connection.role(), model::Role::kServer);
}

TEST(Loss, JoinsInTheMiddleOfARequest) {
  Player player(model::Role::kServer, false);
  player.say(kQ, "e upload that began before us");
  player.say(kR, ok("0", 3));
  expect_recovered(player);
}

TEST(Loss, IgnoresWhatItHasSeenAlready) {
  Player player(model::Role::kServer);
  player.say(kQ, get("1"));
  model::Chunk again;
  const std::string bytes = get("1");
  again.head = bytes;
  again.length = static_cast<uint32_t>(bytes.size());
  EXPECT_EQ(player.connection.on_chunk(again, player.sink), Verdict::kContinue);
  player.say(kR, ok("1", 3));
  EXPECT_EQ(player.only().incomplete, model::kIncompleteNone);
}

// A server that answers at once and reads on: the upload's end and the next request come in one
// operation, of which the head was spent on the upload.
TEST(Loss, FindsTheRequestBehindAnUploadThatWasAnswered) {
  const std::string upload = "POST /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string chunk = "3e8\r\n" + std::string(1000, 'c') + "\r\n";
  for (const auto& [tail, method] : {std::pair{40U, "GET"}, {128U, "GET"}, {128U, "FOO"}}) {
    const std::string next = method + get("2").substr(3);
    Player player(model::Role::kServer);
    player.say(kQ, upload + chunk);
    player.say(kR, ok("1", 3));
    player.say_cut(kQ, chunk + chunk, 0, 128);
    player.say_cut(kQ, chunk + "0\r\n\r\n" + next.substr(0, 20), 0, tail);
    player.say_cut(kQ, next.substr(20), 0, 0);
    player.say(kR, ok("2", 3));
    ASSERT_EQ(player.sink.exchanges.size(), 2U);
    EXPECT_EQ(Player::http(player.sink.exchanges[0]).target, "/1");
    EXPECT_EQ(Player::http(player.sink.exchanges[1]).target, "/2");
    EXPECT_NE(player.sink.exchanges[1].incomplete & model::kHeadTruncated, 0U);
    EXPECT_EQ(player.counters.responses_without_request, 0U);
  }
}

TEST(Loss, TakesNoRequestFromTheMiddleOfAnUpload) {
  Player player(model::Role::kServer);
  const std::string chunk = "3e8\r\n" + std::string(1000, 'c') + "\r\n";
  player.say(kQ, "POST /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk);
  player.say_cut(kQ, chunk + chunk, 0, 128);
  player.say_cut(kQ, chunk + "0\r\n\r\n" + get("2"), 0, 128);
  player.say(kR, ok("1", 3));
  ASSERT_EQ(player.sink.starts.size(), 1U);
}

}  // namespace
}  // namespace zerospan::protocols::http1
