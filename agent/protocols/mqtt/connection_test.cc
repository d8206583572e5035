// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/mqtt/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "agent/protocols/mqtt/detect.h"
#include "agent/protocols/mqtt/testing.h"

namespace zerospan::protocols::mqtt {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(Connection, PublishOfEveryQuality) {
  for (const model::Role role : {model::Role::kServer, model::Role::kClient}) {
    for (const int version : {4, 5}) {
      Runner runner(role);
      runner.ask(connect(version));
      runner.answer(connected(version));
      runner.ask(publish(version, {"a/b", "hello"}));
      runner.ask(publish(version, {"a/c", "", 1, 7}));
      runner.ask(publish(version, {"a/d", std::string(1000, 'x'), 2, 8}));
      runner.ask(publish(version, {"a/c", "", 1, 7}, true));
      runner.answer(ack(5, 8) + ack(4, 7));
      runner.ask(ack(6, 8));
      runner.answer(ack(7, 8));
      EXPECT_THAT(runner.told,
                  ElementsAre("connect", "publish a/b b5", "publish a/c b0", "publish a/d b1000"));
      EXPECT_THAT(runner.flagged, IsEmpty());
      EXPECT_EQ(runner.counters.unparsed_bytes, 0U);
      runner.finish();
      EXPECT_FALSE(runner.broken);
    }
  }
}

TEST(Connection, Version5HasReasonsAndProperties) {
  Runner runner(model::Role::kClient);
  runner.ask(connect(5));
  runner.answer(connected(5));
  runner.ask(publish(5, {"a", "1", 1, 1, kContext}));
  runner.answer(ack(4, 1, 0x87));
  runner.ask(publish(5, {"a", "1", 2, 2}));
  runner.answer(ack(5, 2, 0x97));
  runner.ask(publish(5, {"a", "1", 1, 3}));
  runner.answer(ack(4, 3, 0x10));  // nobody listens, which is no error
  runner.ask(subscribe(5, 4, "#"));
  runner.answer(subscribed(5, 4, 0x8f));
  runner.ask(publish(5, {"long/name", "x", 0, 0, "", 3}));
  runner.ask(publish(5, {"", "yy", 0, 0, "", 3}));
  runner.ask(publish(5, {"", "zz", 0, 0, "", 4}));
  runner.answer(packet(0xe0, be(0x8e, 1)));
  EXPECT_THAT(runner.told, ElementsAre("connect", "publish a not_authorized b1 <"s + kContext + ">",
                                       "publish a quota_exceeded b1", "publish a b1",
                                       "subscribe # topic_filter_invalid", "publish long/name b1",
                                       "publish long/name b2", "disconnect session_taken_over"));
  EXPECT_THAT(runner.flagged, ElementsAre("publish b2"));
}

TEST(Connection, WhatTheServerSends) {
  for (const model::Role role : {model::Role::kServer, model::Role::kClient}) {
    Runner runner(role);
    runner.ask(connect(4));
    runner.answer(connected(4));
    runner.ask(subscribe(4, 1, "a/#"));
    runner.answer(subscribed(4, 1, 1));
    runner.answer(publish(4, {"a/b", "hello", 1, 1}) + publish(4, {"a/c", "x"}));
    runner.ask(ack(4, 1));
    runner.ask(packet(0xa2, be(2, 2) + text("a/#")));
    runner.answer(packet(0xb0, be(2, 2)));
    runner.ask(packet(0xe0, ""));
    EXPECT_THAT(runner.told, ElementsAre("connect", "subscribe a/#", "deliver a/b b5",
                                         "deliver a/c b1", "unsubscribe a/#"));
    EXPECT_THAT(runner.flagged, IsEmpty());
    EXPECT_EQ(runner.counters.responses_without_request, 0U);
  }
}

TEST(Connection, RefusedAndByteByByte) {
  Runner runner(model::Role::kServer);
  for (const char byte : connect(4)) {
    runner.ask(std::string(1, byte));
  }
  runner.answer(connected(4, 5));
  runner.close();
  EXPECT_THAT(runner.told, ElementsAre("connect not_authorized"));
}

TEST(Connection, AnotherProtocolBehindTheFirstByte) {
  Runner runner(model::Role::kServer);
  runner.ask("\x10");
  runner.ask("\x02zz\x30\x02zz");
  EXPECT_TRUE(runner.opaque);
  EXPECT_THAT(runner.told, IsEmpty());
}

TEST(Connection, AcknowledgementsThatWereRecordedFirst) {
  Runner runner(model::Role::kClient);
  runner.ask(connect(4));
  runner.answer(connected(4));
  runner.answer(ack(4, 9));
  runner.late_ns = 1500;
  runner.evidence = model::Evidence::kThread;
  runner.ask(publish(4, {"a", "x", 1, 9}));
  EXPECT_THAT(runner.told, ElementsAre("connect", "publish a b1"));
  EXPECT_THAT(runner.flagged, IsEmpty());
  // Any thread sends what is queued.
  EXPECT_EQ(runner.evidence, model::Evidence::kAmbiguous);
}

TEST(Connection, CloseWithoutAnswer) {
  Runner runner(model::Role::kClient);
  runner.ask(connect(4));
  runner.answer(connected(4));
  runner.ask(publish(4, {"a", "x", 1, 9}));
  runner.close();
  EXPECT_THAT(runner.flagged, ElementsAre("publish a b1"));
  EXPECT_EQ(runner.counters.requests_without_response, 1U);
}

TEST(Property, AnySplitGivesTheSame) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 100; ++round) {
    const model::Role role = round % 2 == 0 ? model::Role::kServer : model::Role::kClient;
    const auto steps = random_session(random, 30);
    Runner whole(role);
    for (const Step& step : steps) {
      whole.step(step);
    }
    whole.finish();
    ASSERT_FALSE(whole.broken);
    ASSERT_GT(whole.told.size(), 30U);
    ASSERT_TRUE(whole.flagged.empty());
    ASSERT_EQ(whole.counters.unparsed_bytes, 0U);
    for (int split = 0; split < 4; ++split) {
      Runner runner(role);
      for (const Step& step : steps) {
        // The connection must be known for MQTT's by its first bytes.
        size_t least = &step == steps.data() && split != 0 ? 12 : 1;
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
      ASSERT_TRUE(runner.flagged.empty());
    }
  }
}

TEST(Property, LostOperationsFlagWhatTheyChange) {
  std::mt19937_64 random(2);
  size_t clean = 0;
  size_t flagged = 0;
  for (int round = 0; round < 2000; ++round) {
    const model::Role role = round % 2 == 0 ? model::Role::kServer : model::Role::kClient;
    const auto steps = random_session(random, 30);
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
  EXPECT_GT(flagged, 200U);
}

TEST(Detect, FirstBytes) {
  EXPECT_TRUE(detect(connect(4)));
  EXPECT_TRUE(detect(connect(5, std::string(200, 'c'))));
  EXPECT_TRUE(detect("\x10"));
  for (const std::string& other :
       {connect(3), connect(6), publish(4, {"a", "x"}), ""s, "GET / HTTP/1.1\r\n\r\n"s,
        "\x10\0\0\0\0\0\0\0\0\0\0"s, packet(0xc0, "")}) {
    EXPECT_FALSE(detect(other)) << testing::PrintToString(other);
  }
}

}  // namespace
}  // namespace zerospan::protocols::mqtt
