// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Bytes that were not captured, records that were lost, and connections joined in the middle.

#include <gtest/gtest.h>

#include "agent/protocols/http2/testing.h"

namespace zerospan::protocols::http2 {
namespace {

constexpr From kQ = From::kRequester;
constexpr From kR = From::kResponder;

const Fields kGrpc = {{"content-type", "application/grpc"}};

TEST(Loss, StepsOverDataThatIsNotCaptured) {
  Script s;
  Player player(model::Role::kServer);
  player.say(kQ, join({s.preface(), s.request(1, "pkg.Shop/Put", false, kGrpc)}));
  player.say_cut(kQ, Script::data(1, grpc_message(5000), true), 9 + 64);
  player.say(kR, join({s.settings(), s.response(1, "pkg.Shop/Put", false, "200", kGrpc)}));
  player.say_cut(kR, Script::data(1, grpc_message(9000), false, 100), 9 + 64);
  player.say(kR, s.headers(kR, 1, {{"grpc-status", "0"}}, true));
  const model::HttpExchange& http = Player::http(player.only());
  EXPECT_EQ(player.only().incomplete, model::kIncompleteNone);
  EXPECT_EQ(http.request_body_size, 5005U);
  EXPECT_EQ(http.response_body_size, 9005U);
  EXPECT_TRUE(http.request_body_size_exact && http.response_body_size_exact);
  EXPECT_EQ(http.grpc->requests.count, 1U);
  EXPECT_TRUE(http.grpc->requests.exact && http.grpc->responses.exact);
  EXPECT_EQ(player.counters.resyncs, 0U);
}

TEST(Loss, DoesNotCountMessagesThatBeginOutOfSight) {
  Script s;
  Player player(model::Role::kServer);
  player.say(kQ, join({s.preface(), s.request(1, "pkg.Shop/Put", false, kGrpc)}));
  player.say_cut(kQ, Script::data(1, grpc_message(200) + grpc_message(10), true), 9 + 64);
  player.say(
      kR, join({s.settings(), s.response(1, "pkg.Shop/Put", true, "200", {{"grpc-status", "0"}})}));
  EXPECT_FALSE(Player::http(player.only()).grpc->requests.exact);
  EXPECT_EQ(player.only().incomplete, model::kIncompleteNone);
}

TEST(Loss, ALostRecordInsideOfDataLosesNoFrame) {
  Script s;
  Player player(model::Role::kServer);
  player.say(kQ, join({s.preface(), s.request(1, "a", false)}));
  const std::string data = Script::data(1, std::string(4000, 'd'), true);
  player.say(kQ, data.substr(0, 1000));
  player.lose(kQ, 2000);
  player.say(kQ, join({data.substr(3000), s.request(3, "b", true)}));
  player.say(kR, join({s.settings(), s.response(1, "a", true)}));
  player.say(kR, s.response(3, "b", true));
  EXPECT_EQ(player.of("a").incomplete, model::kGap);
  EXPECT_EQ(player.of("b").incomplete, model::kIncompleteNone);
  EXPECT_EQ(player.counters.gaps, 1U);
  EXPECT_EQ(player.counters.gap_bytes, 2000U);
  EXPECT_EQ(player.counters.resyncs, 0U);
}

TEST(Loss, FlagsWhatWasOpenAndForgetsTheTable) {
  Script s;
  Player player(model::Role::kServer);
  player.say(kQ, join({s.preface(), s.request(1, "a", false, {{"x-tenant", "blue"}})}));
  player.lose(kQ, s.request(3, "lost", true).size());
  player.say(kQ, Script::data(1, "abc", true));
  player.say(kQ, s.request(5, "b", true, {{"x-tenant", "blue"}}));
  player.say(kR, join({s.settings(), s.response(1, "a", true)}));
  player.say(kR, s.response(3, "lost", true));
  player.say(kR, s.response(5, "b", true));
  player.close(model::CloseKind::kClosed);
  EXPECT_EQ(player.of("a").incomplete, model::kGap);
  EXPECT_FALSE(Player::http(player.of("a")).request_body_size_exact);
  EXPECT_EQ(player.of("b").incomplete, model::kFieldsUnknown);
  EXPECT_EQ(Player::http(player.of("b")).request_headers.find("x-tenant").data(), nullptr);
  EXPECT_EQ(player.counters.responses_without_request, 1U);
  EXPECT_EQ(player.counters.resyncs, 1U);
}

// A response is lost, and the requester resets the stream that it does not know to have ended.
TEST(Loss, TheOtherDirectionTellsOfIt) {
  Script s;
  Player player(model::Role::kClient);
  player.say(kQ, join({s.preface(), s.request(1, "a", true)}));
  player.say(kR, s.settings());
  player.lose(kR, s.response(1, "a", true).size());
  player.say(kQ, Script::reset(1, 8));
  EXPECT_EQ(player.only().incomplete & model::kGap, model::kGap);
  EXPECT_EQ(player.counters.gaps, 1U);
}

// The last record of a connection is lost: nothing follows but the close.
TEST(Loss, TheCloseTellsOfIt) {
  for (const model::Role role : {model::Role::kServer, model::Role::kClient}) {
    Script s;
    Player player(role);
    player.say(kQ, join({s.preface(), s.request(1, "a", true)}));
    player.say(kR, s.settings());
    player.lose(kR, s.response(1, "a", true).size());
    player.close(model::CloseKind::kClosed);
    EXPECT_EQ(player.only().incomplete & model::kGap, model::kGap);
    EXPECT_EQ(player.only().outcome, model::Outcome::kComplete);  // nobody knows
    EXPECT_EQ(player.counters.gaps, 1U);
  }
}

TEST(Loss, AHeadThatIsCutIsToldAsFarAsItGoes) {
  Script s;
  Player player(model::Role::kServer);
  player.say(kQ, s.preface());
  const std::string request = s.request(1, "a", true, {{"x-long", std::string(3000, 'l')}});
  player.say_cut(kQ, request, 500);
  player.say(kQ, s.request(3, "b", true));
  player.say(kR, join({s.settings(), s.response(1, "a", true), s.response(3, "b", true)}));
  EXPECT_EQ(player.of("a").incomplete, model::kHeadTruncated);
  EXPECT_EQ(Player::http(player.of("a")).request_headers.find("user-agent"), "test/1");
  EXPECT_NE(player.of("b").incomplete & model::kFieldsUnknown, 0U);
}

TEST(Loss, JoinsAnOldConnection) {
  Script s;
  (void)s.request(1, "a", true);
  (void)s.response(1, "a", true);
  Player player(model::Role::kServer, false);
  player.say(kQ, "in the middle of something");
  player.say(kQ, s.request(3, "b", true));
  player.say(kR, s.response(3, "b", true));
  EXPECT_EQ(player.only().incomplete, model::kFieldsUnknown);
  EXPECT_EQ(Player::http(player.only()).target, "/b");  // nghttp2 never indexes it
  EXPECT_EQ(Player::http(player.only()).status, 200);
  EXPECT_EQ(player.counters.resyncs, 2U);
}

// An encoder that indexes :path, as gRPC's do, on a connection that was open before us.
TEST(Loss, AnUnknownPathStaysUnknown) {
  Player player(model::Role::kClient, false);
  const std::string block("\x83\x86\xc0\xbf\xbe", 5);  // POST, http, three entries of the table
  player.say(kQ, frame(FrameType::kHeaders, kEndHeaders | kEndStream, 7, block));
  player.say(kR, frame(FrameType::kHeaders, kEndHeaders | kEndStream, 7, "\x88"));
  const model::HttpExchange& http = Player::http(player.only());
  EXPECT_EQ(http.method, "POST");
  EXPECT_EQ(http.target, "");
  EXPECT_EQ(http.status, 200);
  EXPECT_EQ(player.only().incomplete, model::kFieldsUnknown);
  // A new path is learned, and then known by its index.
  player.sink.exchanges.clear();
  player.say(kQ, frame(FrameType::kHeaders, kEndHeaders | kEndStream, 9,
                       std::string("\x83\x86\x44\x02/b\xc0", 7)));
  player.say(kR, frame(FrameType::kHeaders, kEndHeaders | kEndStream, 9, "\x88"));
  player.say(kQ, frame(FrameType::kHeaders, kEndHeaders | kEndStream, 11, "\x83\x86\xbe"));
  player.say(kR, frame(FrameType::kHeaders, kEndHeaders | kEndStream, 11, "\x88"));
  ASSERT_EQ(player.sink.exchanges.size(), 2U);
  EXPECT_EQ(Player::http(player.sink.exchanges[0]).target, "/b");
  EXPECT_EQ(player.sink.exchanges[0].incomplete, model::kFieldsUnknown);
  EXPECT_EQ(Player::http(player.sink.exchanges[1]).target, "/b");
  EXPECT_EQ(player.sink.exchanges[1].incomplete, model::kIncompleteNone);
}

TEST(Loss, GarbageInAFollowedDirectionIsLeft) {
  Script s;
  Player player(model::Role::kServer);
  player.say(kQ, join({s.preface(), s.request(1, "a", true)}));
  player.say(kQ, frame(FrameType::kRstStream, 0, 1, "too long"));
  player.say(kQ, "garbage that begins no frame");
  player.say(kR, join({s.settings(), s.response(1, "a", true)}));
  EXPECT_EQ(Player::http(player.only()).status, 200);
  player.say(kQ, s.request(3, "b", true));
  player.say(kR, s.response(3, "b", true));
  EXPECT_EQ(Player::http(player.of("b")).status, 200);
  EXPECT_GT(player.counters.unparsed_bytes, 0U);
}

TEST(Loss, AStreamThatMayHaveEndedUnseenIsGivenUpWhenIdle) {
  Script s;
  Player player(model::Role::kServer);
  player.say(kQ, join({s.preface(), s.request(1, "a", true), s.request(3, "b", true)}));
  player.lose(kR, 500);
  player.say(kR, s.response(3, "b", true));
  EXPECT_EQ(Player::http(player.only()).target, "/b");
  EXPECT_NE(player.only().incomplete & model::kGap, 0U);
  player.sink.exchanges.clear();
  player.now += 61'000'000'000;
  player.say(kQ, s.request(5, "c", true));
  EXPECT_EQ(Player::http(player.only()).target, "/a");
  EXPECT_EQ(player.only().incomplete, model::kGap | model::kBodyEndUnknown);
  EXPECT_EQ(player.only().outcome, model::Outcome::kComplete);
}

}  // namespace
}  // namespace zerospan::protocols::http2
