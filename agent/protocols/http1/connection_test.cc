// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What one exchange looks like: times, sizes, outcomes, order, roles. Nothing is lost here.

#include "agent/protocols/http1/connection.h"

#include <gtest/gtest.h>

#include "agent/protocols/http1/testing.h"

namespace zerospan::protocols::http1 {
namespace {

constexpr From kQ = From::kRequester;
constexpr From kR = From::kResponder;

TEST(Connection, GivesAServerExchange) {
  Player player(model::Role::kUnknown);
  // Role unknown to the kernel: the Player then sends what the requester says.
  EXPECT_EQ(player.connection.role(), model::Role::kUnknown);
  Player server(model::Role::kServer);
  server.say(kQ, "POST /a?b=c HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab", 5);
  ASSERT_EQ(server.sink.starts, std::vector<std::string>{"POST /a?b=c"});
  server.say(kQ, "cd", 5);
  server.say(kR, "HTTP/1.1 201 Created\r\nContent-Length: 6\r\n\r\n123");
  server.say(kR, "456");
  const model::Exchange& exchange = server.only();
  EXPECT_EQ(exchange.role, model::Role::kServer);
  EXPECT_EQ(exchange.request_start_ns, 1000U);
  EXPECT_EQ(exchange.request_end_ns, 2000U);
  EXPECT_EQ(exchange.response_start_ns, 2900U);
  EXPECT_EQ(exchange.response_end_ns, 4000U);
  EXPECT_EQ(exchange.request_id, 5U);
  EXPECT_EQ(exchange.thread_id, 7U);
  EXPECT_EQ(exchange.outcome, model::Outcome::kComplete);
  const model::HttpExchange& http = Player::http(exchange);
  EXPECT_EQ(http.status, 201);
  EXPECT_EQ(http.request_body_size, 4U);
  EXPECT_EQ(http.response_body_size, 6U);
  EXPECT_EQ(http.request_headers.find("host"), "h");
  EXPECT_EQ(server.counters.messages, 2U);
  EXPECT_EQ(server.counters.exchanges, 1U);
  EXPECT_EQ(server.counters.unparsed_bytes, 0U);
}

TEST(Connection, GivesAClientExchange) {
  Player player(model::Role::kClient);
  player.say(kQ, get("1"));
  player.say(kR, ok("1", 3));
  const model::Exchange& exchange = player.only();
  EXPECT_EQ(exchange.role, model::Role::kClient);
  EXPECT_EQ(player.connection.role(), model::Role::kClient);
  EXPECT_EQ(exchange.request_start_ns, 900U);
  EXPECT_EQ(exchange.request_end_ns, 1000U);
  EXPECT_EQ(exchange.response_start_ns, 2000U);
}

TEST(Connection, LetsTheFirstMessageDecideTheRole) {
  ParserCounters counters;
  Recorder sink;
  model::Connection facts;
  facts.role = model::Role::kServer;
  facts.seen_from_start = true;
  Connection connection(facts, Options{}, &counters);
  const std::string request = get("1");
  model::Chunk chunk;
  chunk.direction = model::Direction::kSend;
  chunk.length = static_cast<uint32_t>(request.size());
  chunk.head = request;
  EXPECT_EQ(connection.on_chunk(chunk, sink), Verdict::kContinue);
  EXPECT_EQ(connection.role(), model::Role::kClient);
}

TEST(Connection, IsOpaqueWhenItNeverWasHttp) {
  Player player(model::Role::kServer);
  EXPECT_EQ(player.say(kQ, "SSH-2.0-OpenSSH\r\n"), Verdict::kOpaque);
  Player preface(model::Role::kServer);
  EXPECT_EQ(preface.say(kQ, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Verdict::kOpaque);
}

TEST(Connection, CountsTheRequestsOfABatch) {
  Player player(model::Role::kServer);
  player.say(kQ, get("1") + get("2") + get("3").substr(0, 9), 4);
  player.say(kQ, get("3").substr(9) + get("4"), 5);
  player.say(kQ, get("5"), 6);
  for (const char* id : {"1", "2", "3", "4", "5"}) {
    player.say(kR, ok(id, 1));
  }
  ASSERT_EQ(player.sink.exchanges.size(), 5U);
  const uint32_t expected[][2] = {{4, 0}, {4, 1}, {4, 2}, {5, 0}, {6, 0}};
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(player.sink.exchanges[i].sequence, i);
    EXPECT_EQ(player.sink.exchanges[i].request_id, expected[i][0]);
    EXPECT_EQ(player.sink.exchanges[i].batch_index, expected[i][1]);
  }
}

TEST(Connection, StartsTheResponseWithItsFinalHead) {
  Player player(model::Role::kServer);
  player.say(kQ, "POST /1 HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n");
  player.say(kR, "HTTP/1.1 100 Continue\r\n\r\n");
  player.say(kQ, "x");
  player.say(kR, ok("1", 0));
  EXPECT_EQ(player.only().response_start_ns, 3900U);
  EXPECT_EQ(Player::http(player.only()).status, 200);
}

TEST(Connection, WaitsForTheRequestsEndAfterAnEarlyAnswer) {
  Player player(model::Role::kServer);
  player.say(kQ, "POST /1 HTTP/1.1\r\nContent-Length: 4\r\n\r\nab");
  player.say(kR, ok("1", 0));
  EXPECT_TRUE(player.sink.exchanges.empty());
  player.say(kQ, "cd");
  EXPECT_EQ(Player::http(player.only()).request_body_size, 4U);
}

TEST(Connection, AdoptsAnAnswerThatWasRecordedBeforeItsRequest) {
  Player player(model::Role::kClient);
  player.say(kR, ok("1", 3));
  EXPECT_TRUE(player.sink.starts.empty());
  player.say_late(kQ, get("1"), 500);
  EXPECT_EQ(player.only().incomplete, model::kIncompleteNone);
  EXPECT_EQ(Player::http(player.only()).response_headers.find("x-id"), "1");
  EXPECT_EQ(player.only().response_start_ns, 1000U);
  EXPECT_EQ(player.counters.responses_without_request, 0U);
}

TEST(Connection, AdoptsAnAnswerThatIsStillComing) {
  Player player(model::Role::kClient);
  const std::string answer = ok("1", 30);
  player.say(kR, answer.substr(0, 20));
  player.say_late(kQ, get("1"), 500);
  player.say(kR, answer.substr(20));
  EXPECT_EQ(Player::http(player.only()).response_body_size, 30U);
}

TEST(Connection, AdoptsAnAnswerToHead) {
  Player player(model::Role::kClient);
  player.say(kR, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n");
  player.say_late(kQ, "HEAD /1 HTTP/1.1\r\n\r\n", 500);
  EXPECT_EQ(Player::http(player.only()).response_body_size, 0U);
  player.say(kQ, get("2"));
  player.say(kR, ok("2", 1));
  ASSERT_EQ(player.sink.exchanges.size(), 2U);
  EXPECT_EQ(player.sink.exchanges[1].incomplete, model::kIncompleteNone);
}

TEST(Connection, AdoptsAnUpgrade) {
  Player player(model::Role::kClient);
  player.say(kR, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n");
  player.say(kR, "opaque");
  EXPECT_EQ(player.say_late(kQ, get("1", "Upgrade: x\r\n"), 500), Verdict::kOpaque);
  EXPECT_TRUE(Player::http(player.only()).upgraded);
  EXPECT_EQ(player.only().response_end_ns, 1000U);
}

TEST(Connection, DropsAnAnswerThatIsOlderThanTheNextRequest) {
  Player player(model::Role::kServer);
  player.say(kQ, get("1"));
  player.say(kR, ok("1", 1));
  player.say(kR, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
  player.say(kQ, get("2"));
  player.say(kR, ok("2", 1));
  ASSERT_EQ(player.sink.exchanges.size(), 2U);
  EXPECT_EQ(Player::http(player.sink.exchanges[1]).status, 200);
  EXPECT_EQ(player.counters.responses_without_request, 1U);
}

TEST(Connection, DoesNotGuessAmongSeveralAnswersBeforeTheirRequests) {
  Player player(model::Role::kClient);
  player.say(kR, ok("1", 1));
  player.say(kR, ok("2", 1));
  player.say_late(kQ, get("1") + get("2"), 500);
  player.say(kQ, get("3"));
  player.say(kR, ok("3", 1));
  ASSERT_EQ(player.sink.exchanges.size(), 3U);
  EXPECT_EQ(Player::http(player.sink.exchanges[0]).status, 200);
  EXPECT_EQ(Player::http(player.sink.exchanges[1]).status, 0);
  EXPECT_NE(player.sink.exchanges[1].incomplete & model::kGap, 0U);
  EXPECT_EQ(Player::http(player.sink.exchanges[2]).response_headers.find("x-id"), "3");
  EXPECT_EQ(player.counters.limits_hit, 1U);
}

TEST(Connection, CountsBytesBehindTheBody) {
  Player player(model::Role::kServer);
  player.say(kQ, get("1"));
  player.say(kR, ok("1", 2) + "too much");
  EXPECT_EQ(Player::http(player.only()).response_body_size, 2U);
  EXPECT_EQ(player.counters.unparsed_bytes, 8U);
  player.say(kQ, get("2"));
  player.say(kR, ok("2", 2));
  ASSERT_EQ(player.sink.exchanges.size(), 2U);
  EXPECT_EQ(Player::http(player.sink.exchanges[1]).response_headers.find("x-id"), "2");
  EXPECT_EQ(player.counters.resyncs, 1U);
}

TEST(Connection, TreatsAConflictingLengthAsUnknown) {
  Player player(model::Role::kServer);
  player.say(kQ, get("1"));
  player.say(kR, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde");
  EXPECT_TRUE(player.sink.exchanges.empty());
  player.say(kQ, get("2"));
  EXPECT_EQ(player.only().incomplete, model::kBodyEndUnknown);
  EXPECT_EQ(player.only().response_end_ns, 2000U);
  player.say(kR, ok("2", 2));
  ASSERT_EQ(player.sink.exchanges.size(), 2U);
  EXPECT_EQ(player.sink.exchanges[1].incomplete, model::kIncompleteNone);
}

TEST(Connection, EndsAResponseWithTheCloseIfNothingElseDoes) {
  Player player(model::Role::kServer);
  player.say(kQ, "GET / HTTP/1.0\r\n\r\n");
  player.say(kR, "HTTP/1.0 200 OK\r\n\r\nabc");
  player.say(kR, "def");
  player.close(model::CloseKind::kSendClosed);
  EXPECT_EQ(player.only().outcome, model::Outcome::kComplete);
  EXPECT_EQ(player.only().response_end_ns, 3000U);
  EXPECT_EQ(Player::http(player.only()).response_body_size, 6U);
}

TEST(Connection, TellsHowAnExchangeWasCutShort) {
  const std::string half = ok("1", 50).substr(0, 70);
  const struct {
    std::string answer;
    model::CloseKind kind;
    model::Outcome outcome;
  } cases[] = {
      {"", model::CloseKind::kClosed, model::Outcome::kNoResponse},
      {"", model::CloseKind::kReset, model::Outcome::kReset},
      {half, model::CloseKind::kClosed, model::Outcome::kClosedEarly},
      {half, model::CloseKind::kReset, model::Outcome::kReset},
      {half.substr(0, 30), model::CloseKind::kClosed, model::Outcome::kClosedEarly},
      {"HTTP/1.1 200 OK\r\n\r\nabc", model::CloseKind::kReset, model::Outcome::kReset},
  };
  for (const auto& c : cases) {
    Player player(model::Role::kServer);
    player.say(kQ, get("1"));
    if (!c.answer.empty()) {
      player.say(kR, c.answer);
    }
    player.close(c.kind);
    EXPECT_EQ(player.only().outcome, c.outcome) << c.answer;
    EXPECT_EQ(player.only().response_end_ns, player.now);
    EXPECT_EQ(player.only().incomplete, model::kIncompleteNone);
  }
}

TEST(Connection, LetsAnAnswerFollowAHalfClose) {
  Player player(model::Role::kServer);
  player.say(kQ, "POST /1 HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc");
  player.close(model::CloseKind::kReceiveClosed);
  EXPECT_TRUE(player.sink.exchanges.empty());
  player.say(kR, ok("1", 2));
  EXPECT_EQ(player.only().outcome, model::Outcome::kComplete);
  EXPECT_EQ(Player::http(player.only()).request_body_size, 3U);
}

TEST(Connection, GivesOutWhatIsOpenWhenForgotten) {
  Player player(model::Role::kServer);
  player.say(kQ, get("1") + get("2"));
  player.say(kR, ok("1", 50).substr(0, 65));
  player.finish();
  ASSERT_EQ(player.sink.exchanges.size(), 2U);
  for (const model::Exchange& exchange : player.sink.exchanges) {
    EXPECT_EQ(exchange.outcome, model::Outcome::kComplete);
    EXPECT_EQ(exchange.incomplete, model::kBodyEndUnknown);
  }
  EXPECT_EQ(player.sink.exchanges[0].response_end_ns, 2000U);
  EXPECT_EQ(player.sink.exchanges[1].response_end_ns, player.now);
  EXPECT_TRUE(player.sink.open.empty());
}

TEST(Connection, AnswersARequestWhoseHeadNeverEnds) {
  Player player(model::Role::kServer);
  player.say(kQ, "GET /1 HTTP/1.1\r\nHost: a\r\nSlow");
  player.say(kR, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
  EXPECT_TRUE(player.sink.exchanges.empty());
  player.close(model::CloseKind::kClosed);
  EXPECT_EQ(Player::http(player.only()).status, 408);
  EXPECT_EQ(Player::http(player.only()).request_headers.find("host"), "a");
}

TEST(Connection, BoundsTheRequestsThatWait) {
  Options options;
  options.max_outstanding = 3;
  Player player(model::Role::kServer, true, options);
  for (const char* id : {"1", "2", "3", "4", "5"}) {
    player.say(kQ, get(id));
  }
  ASSERT_EQ(player.sink.exchanges.size(), 2U);  // 4 and 5
  EXPECT_NE(player.sink.exchanges[0].incomplete & model::kGap, 0U);
  EXPECT_EQ(player.counters.limits_hit, 1U);
  for (const char* id : {"1", "2", "3", "4", "5"}) {
    player.say(kR, ok(id, 1));
  }
  ASSERT_EQ(player.sink.exchanges.size(), 5U);
  for (size_t i = 2; i < 5; ++i) {
    EXPECT_EQ(player.sink.exchanges[i].incomplete, model::kIncompleteNone);
  }
  EXPECT_EQ(player.counters.responses_without_request, 2U);
}

std::string post(std::string_view type, std::string_view body, std::string_view target = "/call",
                 std::string_view fields = "") {
  return "POST " + std::string(target) + " HTTP/1.1\r\nContent-Type: " + std::string(type) +
         "\r\n" + std::string(fields) + "Content-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + std::string(body);
}

std::string answer(std::string_view type, std::string_view body) {
  return "HTTP/1.1 200 OK\r\nContent-Type: " + std::string(type) +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

TEST(Connection, KeepsTheBeginningsOfCallsOnly) {
  constexpr std::string_view kCall = R"({"jsonrpc":"2.0"})";
  constexpr std::string_view kJson = "application/json";
  const auto kept = [](const std::string& request, const std::string& response) {
    Player player(model::Role::kServer);
    player.say(kQ, request);
    player.say(kR, response);
    const model::HttpExchange& http = Player::http(player.only());
    return http.request_body_start + " " + http.response_body_start;
  };
  const std::string call(kCall);
  EXPECT_EQ(kept(post(kJson, kCall), answer(kJson, "{}")), call + " {}");
  EXPECT_EQ(kept(post("application/JSON; charset=utf-8", kCall), answer("text/html", "{}")),
            call + " ");
  EXPECT_EQ(kept(post(kJson, "{}"), answer(kJson, "{}")), "{} ");
  EXPECT_EQ(kept(post("application/graphql", "{a}"), answer(kJson, "{}")), "{a} ");
  EXPECT_EQ(kept(post("text/plain", kCall), answer(kJson, "{}")), " ");
  EXPECT_EQ(kept(post("application/jsonx", kCall), answer(kJson, "{}")), " ");
  EXPECT_EQ(kept(get("1", "Content-Type: application/json\r\n"), answer(kJson, "{}")), " ");
  // What may be ClickHouse's: statements, and its answers with errors.
  constexpr std::string_view kPlain = "text/plain";
  constexpr std::string_view kServer = "X-ClickHouse-Server-Display-Name: a\r\n";
  const auto failed = [&](std::string_view status, std::string_view field) {
    return "HTTP/1.1 " + std::string(status) + "\r\n" + std::string(field) +
           "Content-Length: 9\r\n\r\nCode: 60.";
  };
  EXPECT_EQ(kept(post(kPlain, "SELECT 1", "/"), answer(kPlain, "1")), "SELECT 1 ");
  EXPECT_EQ(kept(post(kPlain, "SELECT 1", "/?a=b"), failed("404 No", kServer)),
            "SELECT 1 Code: 60.");
  EXPECT_EQ(kept(post(kPlain, "SELECT 1", "/?a=b"), failed("404 No", "")), "SELECT 1 ");
  EXPECT_EQ(kept(post(kPlain, "SELECT 1", "/?a=b"), failed("200 OK", kServer)), "SELECT 1 ");
  EXPECT_EQ(kept(post(kPlain, "SELECT 1", "/a", "x-clickhouse-user: a\r\n"), answer(kPlain, "")),
            "SELECT 1 ");
  EXPECT_EQ(kept(post(kPlain, "SELECT 1", "/a"), failed("404 No", kServer)), " Code: 60.");
  EXPECT_EQ(kept(get("1"), failed("500 No", kServer)), " Code: 60.");
}

// A send may be recorded behind the answer to it.
TEST(Connection, KeepsTheBeginningOfAnAnswerThatComesFirst) {
  Player player(model::Role::kClient);
  player.say(kQ, get("1"));
  player.say(kR, ok("1", 2));
  player.say(kR, answer("application/json", "{}"));
  player.say_late(kQ, post("application/json", R"({"jsonrpc":"2.0"})"), player.now - 500);
  ASSERT_EQ(player.sink.exchanges.size(), 2U);
  EXPECT_EQ(Player::http(player.sink.exchanges[1]).response_body_start, "{}");
  EXPECT_EQ(Player::http(player.sink.exchanges[1]).request_body_start, R"({"jsonrpc":"2.0"})");
}

TEST(Connection, BoundsItsMemory) {
  Options options;
  options.max_memory_bytes = 20000;
  Player player(model::Role::kServer, true, options);
  for (int i = 0; i < 200; ++i) {
    player.say(kQ, get("1", "Cookie: " + std::string(1000, 'c') + "\r\n"));
    ASSERT_LT(player.connection.memory_bytes(), 20000U + 2 * options.max_head_bytes + 64 * 1024);
  }
  player.close(model::CloseKind::kReset);
  EXPECT_EQ(player.sink.exchanges.size(), 200U);
}

}  // namespace
}  // namespace zerospan::protocols::http1
