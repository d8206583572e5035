// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/kafka/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "agent/protocols/kafka/api.h"
#include "agent/protocols/kafka/detect.h"
#include "agent/protocols/kafka/testing.h"

namespace zerospan::protocols::kafka {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr const char* kContext = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";

TEST(Connection, EveryVersionOfProduceInBothRoles) {
  for (const model::Role role : {model::Role::kServer, model::Role::kClient}) {
    for (int version = 3; version <= 12; ++version) {
      Runner runner(role);
      runner.ask(produce(1, version, "orders", 3, batch({0, {"a"}, kContext})));
      runner.answer(produced(1, version, "orders", 0, 41));
      runner.ask(produce(2, version, "orders", 3, batch({0, {"a", "b"}}) + batch({0, {"c"}})));
      runner.answer(produced(2, version, "orders", 10, -1));
      EXPECT_THAT(runner.told, ElementsAre("Produce orders p3 n1 @41 <"s + kContext + ">",
                                           "Produce orders MESSAGE_TOO_LARGE p3 n3"))
          << version;
      EXPECT_THAT(runner.flagged, IsEmpty());
      EXPECT_EQ(runner.counters.unparsed_bytes, 0U);
    }
  }
}

TEST(Connection, EveryVersionOfFetch) {
  for (int version = 7; version <= 12; ++version) {
    Runner runner(model::Role::kClient);
    runner.ask(fetch(7, version));
    runner.answer(fetched(7, version, "orders", batch({17, {"a"}, kContext})));
    runner.ask(fetch(8, version));
    runner.answer(fetched(8, version, "", ""));
    runner.ask(fetch(9, version));
    runner.answer(fetched(9, version, "orders", "", 1));
    // A control batch, a compressed one, and one that the broker has cut off.
    runner.ask(fetch(10, version));
    runner.answer(fetched(10, version, "orders",
                          batch({1, {"x"}, "", 0x30}) + batch({2, {"a", "b"}, kContext, 1}) +
                              batch({4, {"cut"}}).substr(0, 40)));
    EXPECT_THAT(runner.told,
                ElementsAre("Fetch orders p2 n1 @17 <"s + kContext + ">",
                            "Fetch orders OFFSET_OUT_OF_RANGE p2 n0", "Fetch orders p2 n2"))
        << version;
    EXPECT_EQ(runner.counters.idle_polls, 1U);
  }
}

TEST(Connection, TopicsOfLaterFetchesAreNamedByMetadata) {
  const std::string id = "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10";
  Runner runner(model::Role::kClient);
  runner.ask(fetch(1, 16));
  runner.answer(fetched(1, 16, id, batch({5, {"a"}})));
  EXPECT_THAT(runner.flagged, ElementsAre("Fetch AQIDBAUGBwgJCgsMDQ4PEA p2 n1 @5"));
  runner.ask(metadata(2));
  runner.answer(described(2, "orders", id));
  runner.ask(fetch(3, 16));
  runner.answer(fetched(3, 16, id, batch({6, {"a"}})));
  EXPECT_THAT(runner.told, ElementsAre("Metadata", "Fetch orders p2 n1 @6"));
  // What one process was told is nothing to another.
  EXPECT_EQ(runner.shared.find_topic(42, id), "orders");
  EXPECT_EQ(runner.shared.find_topic(43, id), "");
}

TEST(Connection, HeartbeatsAreToldWhenTheyFail) {
  Runner runner;
  runner.ask(heartbeat(1));
  runner.answer(heart_beats(1));
  runner.ask(heartbeat(2));
  runner.answer(heart_beats(2, 27));
  EXPECT_THAT(runner.told, ElementsAre("Heartbeat group REBALANCE_IN_PROGRESS"));
  EXPECT_EQ(runner.counters.idle_polls, 1U);
}

TEST(Connection, CommitsNameTheirGroup) {
  Runner runner(model::Role::kClient);
  for (const bool flexible : {false, true}) {
    const int version = flexible ? 9 : 7;
    const std::string partition =
        be(0, 4) + be(99, 8) + be(1, 4) + text("", flexible) + tags(flexible);
    const std::string answered = be(0, 4) + be(22, 2) + tags(flexible);
    runner.ask(request(
        kOffsetCommit, version, 1, flexible,
        text("readers", flexible) + be(1, 4) + text("me", flexible) +
            (flexible ? varint(0) : be(0xffff, 2)) +
            array({text("orders", flexible) + array({partition}, flexible) + tags(flexible)},
                  flexible) +
            tags(flexible)));
    runner.answer(response(
        1, flexible,
        be(0, 4) +
            array({text("orders", flexible) + array({answered}, flexible) + tags(flexible)},
                  flexible) +
            tags(flexible)));
  }
  EXPECT_THAT(runner.told, ElementsAre("OffsetCommit orders readers ILLEGAL_GENERATION p0",
                                       "OffsetCommit orders readers ILLEGAL_GENERATION p0"));
}

TEST(Connection, OtherRequestsHaveTheirName) {
  Runner runner(model::Role::kClient);
  runner.ask(
      request(kApiVersions, 4, 1, true, text("java", true) + text("3.9", true) + tags(true)));
  runner.answer(response(1, false, be(35, 2) + be(0, 4)));
  runner.ask(request(19, 7, 2, true, "whatever") + request(99, 1, 3, true, "of tomorrow"));
  runner.answer(response(2, true, "more") + response(3, true, ""));
  EXPECT_THAT(runner.told, ElementsAre("ApiVersions UNSUPPORTED_VERSION", "CreateTopics", "99"));
}

TEST(Connection, SeveralTopicsAreNoDestination) {
  Runner runner;
  const auto topic = [](const char* name) {
    return text(name, true) +
           array({be(0, 4) + records(batch({0, {"a"}}), true) + tags(true)}, true) + tags(true);
  };
  runner.ask(request(
      kProduce, 9, 1, true,
      varint(0) + be(1, 2) + be(1, 4) + array({topic("a"), topic("b")}, true) + tags(true)));
  runner.answer(produced(1, 9, "a", 0, 1));
  EXPECT_THAT(runner.told, ElementsAre("Produce n2"));
}

TEST(Connection, LargeMessagesArePassedOver) {
  Runner runner(model::Role::kClient);
  const std::string large = batch({3, {std::string(100'000, '\0')}});
  runner.step({true, produce(1, 9, "orders", 1, large)}, 4096, 256);
  runner.answer(produced(1, 9, "orders", 0, 3));
  runner.ask(fetch(2, 12));
  runner.step({false, fetched(2, 12, "orders", large)}, 4096, 256);
  // The second batch's count is out of reach.
  runner.ask(fetch(3, 12));
  const std::string two = fetched(3, 12, "orders", large + large);
  runner.step({false, two.substr(0, 60'000)}, 4096, 256);
  runner.step({false, two.substr(60'000)}, 0, 256);
  EXPECT_THAT(runner.told,
              ElementsAre("Produce orders p1 n1 @3", "Fetch orders p2 n1 @3", "Fetch orders p2"));
  EXPECT_THAT(runner.flagged, IsEmpty());
}

TEST(Connection, AServerReadsTheLengthByItself) {
  for (const bool length_seen : {true, false}) {
    Runner runner;
    for (uint32_t id = 1; id <= 3; ++id) {
      const std::string bytes = produce(id, 9, "orders", 0, batch({0, {"a"}}));
      // Of the first one nothing is known yet when only its length was read.
      if (id > 1 || length_seen) {
        runner.ask(bytes.substr(0, 4));
      }
      runner.ask(bytes.substr(4));
      runner.answer(produced(id, 9, "orders", 0, id));
    }
    if (length_seen) {
      EXPECT_EQ(runner.told.size() + runner.counters.responses_without_request, 3U);
    } else {
      EXPECT_THAT(runner.told, ElementsAre("Produce orders p0 n1 @1", "Produce orders p0 n1 @2",
                                           "Produce orders p0 n1 @3"));
      EXPECT_EQ(runner.counters.unparsed_bytes, 0U);
    }
  }
}

TEST(Connection, JoinedInTheMiddle) {
  Runner runner(model::Role::kUnknown, false);
  runner.answer("the rest of something");
  runner.answer(produced(8, 9, "orders", 0, 1));
  runner.ask(produce(9, 9, "orders", 1, batch({0, {"a"}})));
  runner.answer(produced(9, 9, "orders", 0, 2));
  EXPECT_THAT(runner.told, ElementsAre("Produce orders p1 n1 @2"));
}

TEST(Connection, ResponsesThatWereRecordedFirst) {
  Runner runner(model::Role::kClient);
  const std::string asked = produce(1, 9, "orders", 1, batch({0, {"a"}}));
  const std::string answered = produced(1, 9, "orders", 0, 2);
  runner.ask(heartbeat(0));
  runner.answer(heart_beats(0));
  runner.answer(answered);
  EXPECT_THAT(runner.told, IsEmpty());
  runner.late_ns = 5000;
  runner.ask(asked);
  EXPECT_THAT(runner.flagged, IsEmpty());
  EXPECT_THAT(runner.told, ElementsAre("Produce orders p1 n1 @2"));
}

TEST(Connection, WhatGathersMessagesIsNoEvidence) {
  for (const auto evidence :
       {model::Evidence::kGoroutine, model::Evidence::kCreatingThread, model::Evidence::kThread}) {
    Runner runner(model::Role::kClient);
    runner.evidence = evidence;
    runner.ask(produce(1, 9, "orders", 1, batch({0, {"a"}})));
    runner.answer(produced(1, 9, "orders", 0, 2));
    EXPECT_EQ(runner.evidence, evidence == model::Evidence::kThread ? model::Evidence::kThread
                                                                    : model::Evidence::kAmbiguous);
  }
}

TEST(Connection, CloseWithoutResponse) {
  Runner runner(model::Role::kClient);
  runner.ask(fetch(1, 12));
  runner.close();
  runner.finish();
  EXPECT_THAT(runner.flagged, IsEmpty());
  EXPECT_EQ(runner.counters.idle_polls, 1U);
  Runner reset(model::Role::kClient);
  reset.ask(produce(1, 9, "orders", 1, batch({0, {"a"}})));
  reset.close(model::CloseKind::kReset);
  reset.finish();
  EXPECT_THAT(reset.flagged, ElementsAre("Produce orders p1 n1"));
  EXPECT_FALSE(reset.broken);
}

TEST(Connection, PasswordsAreNotNeeded) {
  Runner runner(model::Role::kClient);
  const std::string asked =
      request(36, 2, 1, true, varint(21) + "\0user\0a long password"s + tags(true));
  runner.ask(heartbeat(0));
  runner.answer(heart_beats(0));
  runner.step({true, asked}, 12, 0);
  runner.answer(response(1, true, be(58, 2) + varint(0) + varint(1) + be(0, 8) + tags(true)));
  EXPECT_THAT(runner.told, ElementsAre("SaslAuthenticate SASL_AUTHENTICATION_FAILED"));
}

TEST(Property, AnySplitGivesTheSame) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 200; ++round) {
    const model::Role role = round % 4 < 2 ? model::Role::kServer : model::Role::kClient;
    const auto steps = random_session(random, 20, round % 2 == 0 ? 1 : 6);
    Runner whole(role);
    for (const Step& step : steps) {
      whole.step(step);
    }
    whole.finish();
    ASSERT_FALSE(whole.broken);
    ASSERT_TRUE(whole.flagged.empty()) << whole.flagged[0];
    ASSERT_EQ(whole.counters.unparsed_bytes, 0U);
    for (int split = 0; split < 4; ++split) {
      Runner runner(role);
      for (const Step& step : steps) {
        // The connection must be known for Kafka's by its first bytes.
        size_t least = &step == steps.data() ? 24 : 1;
        for (size_t at = 0; at < step.bytes.size();) {
          const size_t most = split == 0 ? 1 : 1 + random() % (1U << (random() % 12));
          const std::string part = step.bytes.substr(at, std::max(least, most));
          least = 1;
          at += part.size();
          runner.step({step.request, part});
        }
      }
      runner.finish();
      ASSERT_FALSE(runner.broken);
      ASSERT_EQ(whole.told, runner.told) << "round " << round << " split " << split;
      ASSERT_EQ(whole.counters.idle_polls, runner.counters.idle_polls);
      ASSERT_TRUE(runner.flagged.empty());
    }
  }
}

TEST(Property, LostOperationsFlagWhatTheyChange) {
  std::mt19937_64 random(2);
  size_t clean = 0;
  size_t flagged = 0;
  for (int round = 0; round < 4000; ++round) {
    const model::Role role = round % 4 < 2 ? model::Role::kServer : model::Role::kClient;
    const auto steps = random_session(random, 30, round % 2 == 0 ? 1 : 6);
    std::vector<Step> parts;
    for (const Step& step : steps) {
      for (size_t at = 0; at < step.bytes.size(); at += 700) {
        parts.push_back({step.request, step.bytes.substr(at, 700)});
      }
    }
    Runner whole(role);
    for (const Step& part : parts) {
      whole.step(part);
    }
    whole.finish();
    std::map<std::string, int> right;
    for (const std::string& told : whole.told) {
      ++right[told];
    }
    const size_t lost = 1 + random() % (parts.size() - 1);
    Runner runner(role);
    for (size_t i = 0; i < parts.size(); ++i) {
      if (i != lost) {
        runner.step(parts[i]);
      } else {
        runner.lose(parts[i]);
      }
    }
    runner.finish();
    ASSERT_FALSE(runner.broken);
    for (const std::string& told : runner.told) {
      ASSERT_GE(--right[told], 0) << "round " << round << ", part " << lost << " of "
                                  << parts.size() << ": " << told;
    }
    clean += runner.told.size();
    flagged += runner.flagged.size();
  }
  EXPECT_GT(clean, 50'000U);
  EXPECT_GT(flagged, 1000U);
}

TEST(Detect, FirstBytes) {
  const std::string asked = fetch(1, 12);
  EXPECT_TRUE(detect(asked));
  EXPECT_TRUE(detect(asked.substr(4)));
  EXPECT_TRUE(detect(asked.substr(0, 20)));
  for (const std::string& other :
       {"GET / HTTP/1.1\r\n\r\n"s, "\0\0\0\x08\x04\xd2\x16\x2f"s, ""s, "\0\0\0\x2b"s,
        "\0\0\0\x29\0\3\0\0user\0postgres\0database\0postgres\0\0"s,
        // Responses: of early correlation ids, which could be a kind and a version.
        fetched(5, 12, "", ""), fetched(5, 12, "", "").substr(4), fetched(5, 11, "orders", "", 0),
        heart_beats(3), heart_beats(3).substr(4), produced(3, 9, "orders", 0, 1),
        produced(3, 9, "orders", 0, 1).substr(4),
        described(2, "orders", std::string(16, '\7')).substr(4)}) {
    EXPECT_FALSE(detect(other)) << testing::PrintToString(other);
  }
}

TEST(Api, NamesAndVersions) {
  EXPECT_EQ(find_api(kProduce)->name, "Produce");
  EXPECT_EQ(find_api(kShareGroupHeartbeat)->name, "ShareGroupHeartbeat");
  EXPECT_EQ(find_api(kConsumerGroupHeartbeat)->flexible_from, 0);
  EXPECT_EQ(find_api(kSaslHandshake)->flexible_from, kNever);
  EXPECT_EQ(find_api(-1), nullptr);
  EXPECT_EQ(find_api(api_keys_end()), nullptr);
  EXPECT_EQ(error_name(-1), "UNKNOWN_SERVER_ERROR");
  EXPECT_EQ(error_name(6), "NOT_LEADER_OR_FOLLOWER");
  EXPECT_EQ(error_name(999), "999");
}

}  // namespace
}  // namespace zerospan::protocols::kafka
