// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/nats/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "agent/protocols/nats/detect.h"
#include "agent/protocols/nats/testing.h"

namespace zerospan::protocols::nats {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::IsEmpty;

void begin(Runner& runner) {
  runner.answer(info());
  runner.ask(start());
  runner.answer("PONG\r\n");
}

TEST(Connection, MessagesOfBothSides) {
  for (const model::Role role : {model::Role::kServer, model::Role::kClient}) {
    Runner runner(role);
    begin(runner);
    runner.ask("SUB a.* 7\r\n" + pub("a.b", "hello") + pub("a.c _INBOX.1", "") + "PING\r\n" +
               pub("a.d", std::string(100'000, 'x'), headers(kContext)));
    runner.answer(msg("a.b", "hello") + "PONG\r\n" + msg("a.c", "") +
                  msg("_INBOX.1", "yes", headers(kContext)));
    runner.ask("pub\ta.e\t2\r\nxx\r\n");
    EXPECT_THAT(
        runner.told,
        ElementsAre("connect", "publish a.b b5", "publish a.c b0",
                    "publish a.d b100000 <"s + kContext + ">", "deliver a.b b5", "deliver a.c b0",
                    "deliver _INBOX.1 b3 <"s + kContext + ">", "publish a.e b2"));
    EXPECT_THAT(runner.flagged, IsEmpty());
    EXPECT_EQ(runner.counters.unparsed_bytes, 0U);
    runner.finish();
    EXPECT_FALSE(runner.broken);
  }
}

TEST(Connection, PayloadsThatLookLikeLines) {
  Runner runner;
  begin(runner);
  runner.ask(pub("a", "PUB b 3\r\nabc\r\n") + pub("c", "\r\n") + pub("d", "CONNECT {}\r\n"));
  EXPECT_THAT(runner.told,
              ElementsAre("connect", "publish a b14", "publish c b2", "publish d b12"));
}

TEST(Connection, Errors) {
  for (const model::Role role : {model::Role::kServer, model::Role::kClient}) {
    Runner runner(role);
    runner.answer(info());
    runner.ask(start());
    runner.answer("-ERR 'Authorization Violation'\r\n");
    EXPECT_THAT(runner.told, ElementsAre("connect authorization_violation"));
    runner.told.clear();
    runner.answer("-ERR 'Permissions Violation for Publish to \"a.b\"'\r\n-ERR 'What of a.b'\r\n");
    EXPECT_THAT(runner.told, ElementsAre("error a.b permissions_violation", "error _OTHER"));
    runner.told.clear();
    runner.answer("HMSG _INBOX.1 7 16 16\r\nNATS/1.0 503\r\n\r\n\r\n");
    EXPECT_THAT(runner.told, ElementsAre("deliver _INBOX.1 no_responders b0"));
    EXPECT_THAT(runner.flagged, IsEmpty());
  }
}

TEST(Connection, AcknowledgedCommands) {
  Runner runner(model::Role::kClient);
  runner.answer(info());
  runner.ask(connect("\"verbose\":true") + pub("a", "x"));
  runner.answer("+OK\r\n+OK\r\n");
  EXPECT_THAT(runner.told, ElementsAre("publish a b1", "connect"));
  EXPECT_EQ(runner.counters.unparsed_bytes, 0U);
}

TEST(Connection, AnswerThatWasRecordedFirst) {
  Runner runner(model::Role::kClient);
  runner.answer(info());
  runner.answer("PONG\r\n");
  runner.late_ns = 1500;
  runner.evidence = model::Evidence::kThread;
  runner.ask(start() + pub("a", "x"));
  EXPECT_THAT(runner.told, ElementsAre("connect", "publish a b1"));
  EXPECT_THAT(runner.flagged, IsEmpty());
  // Any thread sends what is gathered.
  EXPECT_EQ(runner.evidence, model::Evidence::kAmbiguous);
}

TEST(Connection, CloseWithoutAnswer) {
  Runner runner(model::Role::kClient);
  runner.answer(info());
  runner.ask(connect());
  runner.close();
  EXPECT_THAT(runner.flagged, ElementsAre("connect"));
  EXPECT_EQ(runner.counters.requests_without_response, 1U);
}

TEST(Connection, OpenBefore) {
  for (const bool server : {true, false}) {
    Runner runner(server ? model::Role::kServer : model::Role::kClient, false);
    runner.ask("PING\r\n");
    runner.answer("PONG\r\n");
    EXPECT_FALSE(runner.opaque);
    runner.ask(pub("a", "x"));
    runner.answer(msg("b", "yy"));
    EXPECT_THAT(runner.told, ElementsAre("publish a b1", "deliver b b2"));
  }
}

TEST(Connection, AnotherProtocolBehindTheGreeting) {
  for (const std::string& other : {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"s, "RS+ $G foo\r\n"s,
                                   info(), "MSG a 1 1\r\nx\r\n"s, "\r\n"s}) {
    Runner runner(model::Role::kClient);
    runner.answer(info());
    runner.ask(other);
    EXPECT_TRUE(runner.opaque) << testing::PrintToString(other);
    EXPECT_THAT(runner.told, IsEmpty());
  }
}

TEST(Connection, BytesThatAreNoLine) {
  for (const std::string& bad :
       {"PUB a\r\n"s, "PUB a b c 1\r\n"s, "PUB a 1x\r\n"s, "PUB a 999999999999\r\n"s,
        "HPUB a 5 4\r\nxxxx\r\n"s, "PUB a 1\r\nxxxx"s, "PUB a 1\n"s,
        "PUB " + std::string(600, 'a') + " 1\r\nx\r\n"}) {
    Runner runner;
    begin(runner);
    runner.ask(pub("a", "x") + bad + pub("lost", "x"));
    runner.ask(pub("found", "x"));
    EXPECT_THAT(runner.told, ElementsAre("connect", "publish a b1", "publish found b1")) << bad;
    EXPECT_EQ(runner.counters.resyncs, 1U) << bad;
    EXPECT_GT(runner.counters.unparsed_bytes, 0U);
  }
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
        // The connection must be known for NATS's by its first bytes.
        size_t least = &step == steps.data() ? 6 : 1;
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
    ASSERT_FALSE(runner.opaque);
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
  for (const std::string& ours : {info(), "INFO "s, connect(), "CONNECT "s, pub("a", "x"),
                                  msg("a b", ""), pub("a", "x", headers(kContext))}) {
    EXPECT_TRUE(detect(ours)) << ours;
  }
  for (const std::string& other :
       {""s, "INFO"s, "INFO x"s, "PING\r\n"s, "PUB a\r\n"s, "PUB a 1"s, "PUB a 1x\r\n"s,
        "PUB /a HTTP/1.1\r\n"s, "GET / HTTP/1.1\r\n\r\n"s, "CONNECT a:443 HTTP/1.1\r\n\r\n"s,
        "PUB /a 1\r\nx\r\n"s, "SUB a 1\r\n"s}) {
    EXPECT_FALSE(detect(other)) << other;
  }
}

}  // namespace
}  // namespace zerospan::protocols::nats
