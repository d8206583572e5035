// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// HTTP/1.1 that becomes HTTP/2 (RFC 7540 section 3.2): the parsers as the registry ties them.

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/protocols/http2/testing.h"
#include "agent/protocols/registry.h"

namespace zerospan::protocols {
namespace {

using http2::From;
using http2::Script;

constexpr From kQ = From::kRequester;
constexpr From kR = From::kResponder;
constexpr std::string_view kRequest =
    "POST /first HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: 3\r\n\r\nabc";
constexpr std::string_view kAgreed =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";

class Player {
 public:
  explicit Player(model::Role role) : role_(role) {
    model::Connection connection;
    connection.role = role;
    connection.seen_from_start = true;
    const auto all = all_protocols();
    const auto found = std::find_if(all.begin(), all.end(),
                                    [](const Protocol& one) { return one.name == "http1"; });
    parser = found->make(connection, &counters, &shared);
  }

  // `head` bytes captured, and the last `tail` ones.
  Verdict say(From from, std::string_view bytes, size_t head = std::string_view::npos,
              size_t tail = 0) {
    now += 1000;
    model::Chunk chunk;
    chunk.direction = (role_ == model::Role::kServer) == (from == kQ) ? model::Direction::kReceive
                                                                      : model::Direction::kSend;
    chunk.time_ns = chunk.departed_ns = now;
    chunk.length = static_cast<uint32_t>(bytes.size());
    chunk.head = bytes.substr(0, head);
    chunk.tail = bytes.substr(bytes.size() - tail);
    uint64_t& offset = offsets_[from == kQ ? 0 : 1];
    chunk.offset = offset;
    offset += chunk.length;
    return parser->on_chunk(chunk, sink);
  }
  void lose(From from, size_t count) { offsets_[from == kQ ? 0 : 1] += count; }
  void close() {
    now += 1000;
    parser->on_close(model::Closed{model::CloseKind::kClosed, now}, sink);
  }
  [[nodiscard]] std::vector<std::string> told() const {
    std::vector<std::string> all;
    for (const model::Exchange& exchange : sink.exchanges) {
      const auto& http = http2::Player::http(exchange);
      all.push_back(
          http.method + " " + http.target + " " + std::to_string(http.version_major) + " -> " +
          std::to_string(http.status) + " " + std::to_string(http.request_body_size) + "/" +
          std::to_string(http.response_body_size) + " incomplete " +
          std::to_string(exchange.incomplete) + " outcome " +
          std::to_string(static_cast<int>(exchange.outcome)) + (http.upgraded ? " upgraded" : ""));
    }
    std::sort(all.begin(), all.end());
    return all;
  }

  uint64_t now = 0;
  ParserCounters counters;
  Shared shared;
  http2::Recorder sink{counters};
  std::unique_ptr<ConnectionParser> parser;

 private:
  model::Role role_;
  uint64_t offsets_[2] = {0, 0};
};

class Upgrade : public testing::TestWithParam<model::Role> {
 protected:
  Upgrade() {
    answer = s.settings() + s.response(1, "first", false) + Script::data(1, "hello", true);
    client = s.preface() + s.request(3, "second", true);
    rest = s.response(3, "second", true, "404");
  }
  Script s;
  std::string answer;
  std::string client;
  std::string rest;
  const std::vector<std::string> both = {
      "GET /second 2 -> 404 0/0 incomplete 0 outcome 0",
      "POST /first 2 -> 200 3/5 incomplete 0 outcome 0",
  };
};

TEST_P(Upgrade, TheFirstRequestIsStreamOne) {
  Player player(GetParam());
  player.say(kQ, kRequest);
  EXPECT_EQ(player.say(kR, std::string(kAgreed) + answer), Verdict::kContinue);
  EXPECT_EQ(player.sink.exchanges.size(), 1U);
  EXPECT_EQ(player.sink.exchanges.front().request_start_ns, 1000U);
  EXPECT_EQ(player.parser->role(), GetParam());
  player.say(kQ, client);
  player.say(kR, rest);
  player.close();
  EXPECT_EQ(player.told(), both);
  EXPECT_EQ(player.sink.violations, std::vector<std::string>());
  EXPECT_EQ(player.sink.starts, (std::vector<std::string>{"POST /first", "GET /second"}));
  EXPECT_EQ(player.counters.unparsed_bytes, 0U);
  EXPECT_EQ(player.counters.exchanges, 2U);
}

TEST_P(Upgrade, CutAnywhere) {
  const std::string responder = std::string(kAgreed) + answer;
  for (size_t at = 1; at < responder.size(); ++at) {
    for (const bool preface_between : {false, true}) {
      Player player(GetParam());
      player.say(kQ, kRequest);
      player.say(kR, std::string_view(responder).substr(0, at));
      // A client sends frames once it has the whole head.
      const bool between = preface_between && at >= kAgreed.size();
      if (between) {
        player.say(kQ, client);
      }
      player.say(kR, std::string_view(responder).substr(at));
      if (!between) {
        player.say(kQ, client);
      }
      player.say(kR, rest);
      player.close();
      ASSERT_EQ(player.told(), both) << at;
      ASSERT_EQ(player.counters.unparsed_bytes, 0U);
    }
  }
  for (size_t at = 1; at < client.size(); ++at) {
    Player player(GetParam());
    player.say(kQ, kRequest);
    player.say(kR, responder);
    player.say(kQ, std::string_view(client).substr(0, at));
    player.say(kQ, std::string_view(client).substr(at));
    player.say(kR, rest);
    ASSERT_EQ(player.told(), both) << at;
  }
}

TEST_P(Upgrade, FramesInTheTailOfAnOperation) {
  const std::string responder = std::string(kAgreed) + answer;
  for (size_t head = kAgreed.size(); head < responder.size(); ++head) {
    Player player(GetParam());
    player.say(kQ, kRequest);
    player.say(kR, responder, head, responder.size() - head);
    player.say(kQ, client);
    player.say(kR, rest);
    ASSERT_EQ(player.told(), both) << head;
  }
}

TEST_P(Upgrade, ALossIsFlagged) {
  Player player(GetParam());
  player.say(kQ, kRequest);
  player.say(kR, std::string(kAgreed) + s.settings());
  player.lose(kR, answer.size() - s.settings().size());
  player.say(kQ, client);
  player.say(kR, rest);
  player.close();
  ASSERT_EQ(player.sink.exchanges.size(), 2U);
  EXPECT_GE(player.counters.gaps, 1U);
  for (const model::Exchange& exchange : player.sink.exchanges) {
    if (http2::Player::http(exchange).target == "/first") {
      EXPECT_NE(exchange.incomplete, model::kIncompleteNone);
      EXPECT_EQ(http2::Player::http(exchange).status, 0);
    }
  }
}

TEST_P(Upgrade, ClosedBeforeTheAnswer) {
  Player player(GetParam());
  player.say(kQ, kRequest);
  player.say(kR, kAgreed);
  EXPECT_TRUE(player.sink.exchanges.empty());
  player.close();
  ASSERT_EQ(player.told().size(), 1U);
  EXPECT_EQ(player.sink.exchanges.front().outcome, model::Outcome::kNoResponse);
}

TEST_P(Upgrade, AnotherProtocolIsOpaque) {
  Player player(GetParam());
  player.say(kQ, "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n");
  EXPECT_EQ(player.say(kR, "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\nframes"),
            Verdict::kOpaque);
  EXPECT_EQ(player.told(),
            std::vector<std::string>{"GET /ws 1 -> 101 0/0 incomplete 0 outcome 0 upgraded"});
}

INSTANTIATE_TEST_SUITE_P(Roles, Upgrade,
                         testing::Values(model::Role::kServer, model::Role::kClient));

}  // namespace
}  // namespace zerospan::protocols
