// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/amqp/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "agent/protocols/amqp/detect.h"
#include "agent/protocols/amqp/testing.h"

namespace zerospan::protocols::amqp {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(Connection, PublishEndsWithTheWriteInBothRoles) {
  for (const model::Role role : {model::Role::kServer, model::Role::kClient}) {
    Runner runner(role);
    open(runner);
    runner.ask(publish(1, "logs", "a.b", "hello", kContext));
    runner.ask(publish(1, "", "queue", ""));
    runner.ask(publish(1, "", "", std::string(10'000, 'x')));
    EXPECT_THAT(runner.told, ElementsAre("publish logs:a.b b5 <"s + kContext + ">",
                                         "publish queue b0", "publish amq.default b10000"));
    EXPECT_THAT(runner.flagged, IsEmpty());
    EXPECT_EQ(runner.counters.unparsed_bytes, 0U);
    runner.finish();
    EXPECT_FALSE(runner.broken);
  }
}

TEST(Connection, PublishEndsWithItsConfirm) {
  Runner runner(model::Role::kClient);
  open(runner);
  select_confirms(runner);
  for (int i = 1; i <= 6; ++i) {
    runner.ask(publish(1, "", "q" + std::to_string(i), "hello"));
  }
  EXPECT_THAT(runner.told, ElementsAre("confirm.select"));
  runner.answer(confirm(1, 2));
  runner.answer(nack(1, 1));
  runner.answer(confirm(1, 5, true));
  EXPECT_THAT(runner.told, ElementsAre("confirm.select", "publish q2 b5", "publish q1 nack b5",
                                       "publish q3 b5", "publish q4 b5", "publish q5 b5"));
  runner.answer(closed(1, 404));
  EXPECT_EQ(runner.told.back(), "publish q6 404 b5");
  // The server passes over it.
  runner.ask(publish(1, "", "q7", "hello"));
  EXPECT_EQ(runner.told.back(), "publish q7 404 b5");
  runner.ask(method(1, 20, 41));
  runner.finish();
  EXPECT_THAT(runner.flagged, IsEmpty());
  EXPECT_FALSE(runner.broken);
}

TEST(Connection, ConfirmsThatWereRecordedFirst) {
  Runner runner(model::Role::kClient);
  open(runner);
  select_confirms(runner);
  runner.answer(confirm(1, 2, true));
  runner.late_ns = 1500;
  runner.ask(publish(1, "", "q1", "a") + publish(1, "", "q2", "b"));
  runner.answer(confirm(1, 3));
  runner.ask(publish(1, "", "q3", "c"));
  EXPECT_THAT(runner.told,
              ElementsAre("confirm.select", "publish q1 b1", "publish q2 b1", "publish q3 b1"));
  EXPECT_THAT(runner.flagged, IsEmpty());
}

TEST(Connection, CallsAndTheirAnswers) {
  for (const model::Role role : {model::Role::kServer, model::Role::kClient}) {
    Runner runner(role);
    open(runner);
    runner.ask(method(1, 50, 10, be(0, 2) + text("") + be(0, 1) + be(0, 4)));
    runner.answer(method(1, 50, 11, text("amq.gen-1") + be(0, 4) + be(0, 4)));
    runner.ask(method(1, 40, 10, be(0, 2) + text("logs") + text("topic") + be(0x10, 1) + be(0, 4)));
    runner.ask(
        method(1, 50, 20, be(0, 2) + text("q") + text("logs") + text("#") + be(0, 1) + be(0, 4)));
    runner.answer(method(1, 50, 21));
    runner.ask(method(1, 60, 70, be(0, 2) + text("q") + be(0, 1)));
    runner.answer(method(1, 60, 72, text("")));
    runner.ask(method(1, 60, 70, be(0, 2) + text("q") + be(0, 1)));
    runner.answer(method(1, 60, 71, be(1, 8) + be(0, 1) + text("logs") + text("a") + be(0, 4)) +
                  content(1, "hello", kContext));
    runner.ask(method(1, 50, 10, be(0, 2) + text("no") + be(1, 1) + be(0, 4)));
    runner.answer(closed(1, 404));
    EXPECT_THAT(runner.told,
                ElementsAre("queue.declare amq.gen-1", "exchange.declare logs", "queue.bind q",
                            "get logs:a:q #1 b5 <"s + kContext + ">", "queue.declare no 404"));
    EXPECT_EQ(runner.counters.idle_polls, 1U);
    EXPECT_THAT(runner.flagged, IsEmpty());
    EXPECT_EQ(runner.counters.unparsed_bytes, 0U);
  }
}

TEST(Connection, DeliveriesAndHowTheyAreSettled) {
  Runner runner(model::Role::kClient);
  open(runner);
  runner.ask(consume(1, "jobs"));
  runner.answer(method(1, 60, 21, text("me")) + deliver(1, 1, "", "jobs", "a") +
                deliver(1, 2, "logs", "x", "b", kContext));
  runner.answer(deliver(1, 3, "", "jobs", "c") + deliver(1, 4, "", "jobs", "d"));
  runner.ask(confirm(1, 2));
  runner.ask(confirm(1, 3, true) + method(1, 60, 90, be(4, 8) + be(1, 1)));
  EXPECT_THAT(runner.told, ElementsAre("consume jobs", "deliver jobs #1 b1",
                                       "deliver logs:x:jobs #2 b1 <"s + kContext + ">",
                                       "deliver jobs #3 b1", "deliver jobs #4 b1",
                                       "ack logs:x:jobs #2", "ack jobs n2 #3", "reject jobs #4"));
  EXPECT_THAT(runner.flagged, IsEmpty());
  // What is missing tell the numbers.
  runner.answer(deliver(1, 9, "", "jobs", "e"));
  EXPECT_EQ(runner.counters.messages_missed, 4U);
}

TEST(Connection, ErrorsThatNothingWaitsFor) {
  Runner runner(model::Role::kClient);
  open(runner);
  runner.ask(publish(1, "no", "a", "x"));
  runner.answer(closed(1, 404));
  runner.answer(method(2, 60, 50, be(312, 2) + text("NO_ROUTE") + text("logs") + text("z")) +
                content(2, "x"));
  runner.answer(method(0, 10, 50, be(320, 2) + text("CONNECTION_FORCED") + be(0, 4)));
  EXPECT_THAT(runner.told, ElementsAre("publish no:a b1", "channel.close 404",
                                       "return logs:z 312 b1", "connection.close 320"));
}

TEST(Connection, PasswordsAreNotNeeded) {
  Runner runner(model::Role::kServer);
  runner.ask(kProtocol);
  const std::string start_ok =
      method(0, 10, 11, be(0, 4) + text("PLAIN") + long_text(kSecret) + text("C"));
  runner.step({true, start_ok}, 13);
  runner.ask(method(1, 20, 10, be(0, 1)) + publish(1, "", "q", "hello"));
  EXPECT_THAT(runner.told, ElementsAre("publish q b5"));
  EXPECT_EQ(runner.counters.unparsed_bytes, 0U);
}

TEST(Connection, LargeBodiesArePassedOver) {
  Runner runner(model::Role::kServer);
  open(runner);
  const std::string message = publish(1, "", "q", std::string(3000, 'x'));
  runner.step({true, message}, message.size() - 3001);
  runner.ask(publish(1, "", "r", ""));
  EXPECT_THAT(runner.told, ElementsAre("publish q b3000", "publish r b0"));
}

TEST(Connection, JoinedInTheMiddle) {
  Runner runner(model::Role::kClient, false);
  runner.ask("x of some body\xce");
  runner.ask(publish(1, "", "q", "hello"));
  runner.answer(confirm(1, 77));
  runner.answer(deliver(2, 500, "", "q", "x"));
  runner.answer(deliver(2, 502, "", "q", "x"));
  // When a publish ends is not known: it may be confirmed.
  EXPECT_THAT(runner.flagged, ElementsAre("publish q b5"));
  EXPECT_THAT(runner.told, ElementsAre("deliver q #500 b1", "deliver q #502 b1"));
  EXPECT_EQ(runner.counters.messages_missed, 1U);
}

TEST(Connection, OneThreadMayFlushForAnother) {
  Runner runner(model::Role::kClient);
  open(runner);
  runner.evidence = model::Evidence::kThread;
  runner.ask(publish(1, "", "q", "x"));
  EXPECT_EQ(runner.evidence, model::Evidence::kThread);
  runner.ask(publish(2, "", "q", "x"));
  EXPECT_EQ(runner.evidence, model::Evidence::kAmbiguous);
  runner.evidence = model::Evidence::kThread;
  runner.ask(publish(1, "", "q", "x"));
  EXPECT_EQ(runner.evidence, model::Evidence::kAmbiguous);
}

TEST(Connection, WhoseGoroutineItIs) {
  const std::string message = publish(1, "", "q", "x");
  for (const auto& [given, bytes, kept] :
       {std::tuple(model::Evidence::kGoroutine, message, model::Evidence::kGoroutine),
        // A heartbeat's goroutine has flushed it; or it may have.
        std::tuple(model::Evidence::kGoroutine, message + frame(8, 0, ""),
                   model::Evidence::kAmbiguous),
        std::tuple(model::Evidence::kGoroutine, frame(8, 0, "") + message,
                   model::Evidence::kAmbiguous),
        std::tuple(model::Evidence::kThread, message + frame(8, 0, ""), model::Evidence::kThread),
        std::tuple(model::Evidence::kTick, message, model::Evidence::kAmbiguous),
        std::tuple(model::Evidence::kNone, message, model::Evidence::kNone)}) {
    Runner runner(model::Role::kClient);
    open(runner);
    runner.evidence = given;
    runner.ask(bytes);
    EXPECT_EQ(runner.evidence, kept);
  }
  Runner joined(model::Role::kClient, false);
  joined.evidence = model::Evidence::kThread;
  joined.ask(message);
  EXPECT_EQ(joined.evidence, model::Evidence::kThread);
  joined.ask(message + publish(1, "", "r", "x"));
  EXPECT_EQ(joined.evidence, model::Evidence::kAmbiguous);
}

TEST(Connection, CloseWithoutAnswer) {
  Runner runner(model::Role::kClient);
  open(runner);
  select_confirms(runner);
  runner.ask(publish(1, "", "q", "x"));
  runner.ask(method(1, 50, 30, be(0, 2) + text("q") + be(0, 1)));
  runner.close();
  EXPECT_THAT(runner.flagged, ElementsAre("queue.purge q", "publish q b1"));
  EXPECT_EQ(runner.counters.requests_without_response, 2U);
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
        // The connection must be known for AMQP's by its first bytes.
        size_t least = &step == steps.data() ? 8 : 1;
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
  EXPECT_GT(flagged, 1000U);
}

TEST(Detect, FirstBytes) {
  EXPECT_TRUE(detect(kProtocol));
  EXPECT_TRUE(detect(publish(1, "", "q", "x")));
  EXPECT_TRUE(detect(deliver(1, 1, "", "q", "x")));
  for (const std::string& other :
       {"AMQP\0\1\0\0"s, "AMQP\3\1\0\0"s, "GET / HTTP/1.1\r\n\r\n"s, ""s, "AMQP"s, confirm(1, 1),
        content(1, "x"), frame(8, 0, ""), method(0, 10, 11, be(0, 4))}) {
    EXPECT_FALSE(detect(other)) << testing::PrintToString(other);
  }
}

}  // namespace
}  // namespace zerospan::protocols::amqp
