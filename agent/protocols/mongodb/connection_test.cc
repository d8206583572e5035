// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/mongodb/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "agent/protocols/mongodb/detect.h"
#include "agent/protocols/mongodb/testing.h"

namespace zerospan::protocols::mongodb {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using namespace std::string_literals;
using namespace bson;

TEST(Connection, CommandsAndAnswers) {
  for (const auto role : {model::Role::kServer, model::Role::kClient}) {
    Runner runner(role);
    runner.ask(ask_msg(1, text("find", "users") + sub("filter", text("name", "secret"))));
    runner.answer(answer_msg(9, 1, ok(cursor("firstBatch", 3))));
    runner.ask(ask_msg(2, number64("getMore", 5) + text("collection", "users")));
    runner.answer(answer_msg(10, 2, ok(cursor("nextBatch", 0))));
    runner.ask(ask_msg(3, text("insert", "users"), sequence("documents", documents(2)), 1));
    runner.answer(answer_msg(11, 3, ok(number("n", 2)), 1));
    runner.ask(ask_msg(4, text("update", "users") + batch_of("updates", 3)));
    runner.answer(answer_msg(12, 4, failed(13, "Unauthorized")));
    runner.ask(ask_msg(5, text("insert", "users"), sequence("documents", documents(1))));
    runner.answer(
        answer_msg(13, 5,
                   ok(number("n", 0) +
                      array("writeErrors", sub("0", number("index", 0) + number("code", 11000) +
                                                        text("errmsg", "secret"))))));
    runner.ask(ask_msg(6, number("ping", 1)));
    runner.answer(answer_msg(14, 6, number("ok", 1)));
    runner.ask(ask_msg(7, text("dropUser", "joe")));
    runner.answer(answer_msg(15, 7, real("ok", 0) + text("codeName", "Odd")));
    runner.finish();
    EXPECT_THAT(runner.told,
                ElementsAre("find users shop r3", "getMore users shop r0", "insert users shop b2",
                            "update users shop !13 b3", "insert users shop !11000", "ping shop",
                            "dropUser shop !Odd"));
    EXPECT_THAT(runner.flagged, IsEmpty());
    EXPECT_FALSE(runner.broken);
    EXPECT_EQ(runner.counters.unparsed_bytes, 0U);
    EXPECT_EQ(
        runner.statements[0],
        body(text("find", "users") + sub("filter", text("name", "secret")) + text("$db", "shop")));
  }
}

// Every 16 bytes of a header, or the four of its length, may be read by themselves.
TEST(Connection, HeadersReadByThemselves) {
  for (const size_t first : {4U, 16U}) {
    Runner runner(model::Role::kClient, false);
    for (int32_t id = 1; id < 4; ++id) {
      runner.ask(ask_msg(id, number("ping", 1)));
      const std::string answer = answer_msg(50 + id, id, ok());
      runner.answer(answer.substr(0, first));
      runner.answer(answer.substr(first));
    }
    EXPECT_THAT(runner.told, ElementsAre("ping shop", "ping shop", "ping shop"));
    EXPECT_THAT(runner.flagged, IsEmpty());
  }
}

TEST(Connection, OldHandshakeIsHousekeeping) {
  Runner runner;
  runner.ask(message(kOpQuery, 1, 0,
                     le(0) + "admin.$cmd\0"s + le(0) + le(-1) + document(number("isMaster", 1))));
  runner.answer(message(kOpReply, 8, 1, le(8) + le(int64_t{0}) + le(0) + le(1) + document(ok())));
  runner.ask(message(kOpQuery, 2, 0,
                     le(0) + "admin.$cmd\0"s + le(0) + le(-1) + document(number("ping", 1))));
  runner.answer(message(kOpReply, 9, 2, le(8) + le(int64_t{0}) + le(0) + le(1) + document(ok())));
  runner.ask(hello(3));
  runner.answer(answer_msg(10, 3, failed(8000, "AtlasError")));
  runner.finish();
  EXPECT_THAT(runner.told, ElementsAre("ping admin", "hello shop !8000"));
  EXPECT_EQ(runner.counters.idle_polls, 1U);
}

TEST(Connection, AServerIsWatched) {
  Runner runner(model::Role::kClient);
  runner.ask(hello(1, 1U << 16U));
  runner.answer(answer_msg(7, 1, ok(), 2));
  runner.answer(answer_msg(8, 7, ok(), 2));
  runner.answer(answer_msg(9, 8, ok(), 2));
  runner.close();
  runner.finish();
  EXPECT_THAT(runner.told, IsEmpty());
  EXPECT_THAT(runner.flagged, IsEmpty());
  EXPECT_EQ(runner.counters.idle_polls, 1U);
  EXPECT_EQ(runner.counters.responses_without_request, 0U);
}

TEST(Connection, ExhaustCursor) {
  Runner runner(model::Role::kClient);
  runner.ask(ask_msg(1, number64("getMore", 5) + text("collection", "users"), "", 1U << 16U));
  runner.answer(answer_msg(7, 1, ok(cursor("nextBatch", 2)), 2));
  runner.answer(answer_msg(8, 7, ok(cursor("nextBatch", 2)), 2));
  EXPECT_THAT(runner.told, IsEmpty());
  runner.answer(answer_msg(9, 8, ok(cursor("nextBatch", 1))));
  EXPECT_THAT(runner.told, ElementsAre("getMore users shop r5"));
}

TEST(Connection, NoAnswerWanted) {
  Runner runner(model::Role::kClient);
  runner.ask(ask_msg(1, text("insert", "users"), sequence("documents", documents(1)), 2));
  EXPECT_THAT(runner.told, ElementsAre("insert users shop"));
}

TEST(Connection, PasswordsAreNotNeeded) {
  for (const std::string command : {"saslStart", "saslContinue", "authenticate", "createUser"}) {
    for (const auto evidence : {model::Evidence::kGoroutine, model::Evidence::kThread}) {
      Runner runner(model::Role::kClient);
      runner.evidence = evidence;
      runner.step({true, ask_msg(1, number(command, 1) + text("payload", "a long password"))}, 33);
      runner.answer(answer_msg(7, 1, failed(18, "AuthenticationFailed")));
      EXPECT_THAT(runner.told, ElementsAre(command + " !18"));
      EXPECT_THAT(runner.statements, ElementsAre(""));
      EXPECT_EQ(runner.evidence, evidence == model::Evidence::kThread
                                     ? model::Evidence::kThread
                                     : model::Evidence::kAmbiguous);
      // All of it there: told no more.
      Runner whole;
      whole.ask(ask_msg(1, number(command, 1) + text("payload", "a long password")));
      whole.answer(answer_msg(7, 1, ok()));
      EXPECT_THAT(whole.told, ElementsAre(command + " shop"));
      EXPECT_THAT(whole.statements, ElementsAre(""));
    }
  }
}

TEST(Connection, CompressedIsLeftAlone) {
  Runner runner;
  runner.ask(hello(1));
  runner.answer(answer_msg(7, 1, ok()));
  runner.ask(message(kOpCompressed, 2, 0, le(kOpMsg) + le(100) + "\2" + std::string(40, 'x')));
  EXPECT_TRUE(runner.opaque);
  EXPECT_EQ(runner.counters.unparsed_bytes, 16U + 9U + 40U);
  runner.finish();
  EXPECT_THAT(runner.told, IsEmpty());
}

// Of long messages the middle is missing; what is behind it is still read.
TEST(Connection, LongMessages) {
  Runner runner;
  runner.step({true, ask_msg(1, text("insert", "users") + batch_of("documents", 100, 200))}, 4096,
              256);
  runner.step({false, answer_msg(7, 1, ok(number("n", 100)))});
  runner.step({true, ask_msg(2, text("find", "users"))});
  runner.step({false, answer_msg(8, 2, ok(cursor("firstBatch", 100, 200)))}, 4096, 256);
  // Where not even that was captured, it is said.
  runner.step({true, ask_msg(3, text("insert", "users") + batch_of("documents", 100, 200))}, 4096);
  runner.step({false, answer_msg(9, 3, ok(number("n", 100)))});
  runner.step({true, ask_msg(4, text("find", "users"))});
  runner.step({false, answer_msg(10, 4, ok(cursor("firstBatch", 100, 200)))}, 4096);
  runner.finish();
  EXPECT_THAT(runner.told, ElementsAre("insert users shop b100", "find users shop"));
  EXPECT_THAT(runner.flagged, ElementsAre("insert users b100", "find users shop"));
}

TEST(Connection, CloseWithoutAnswer) {
  Runner reset(model::Role::kClient);
  reset.ask(ask_msg(1, text("find", "users")));
  reset.close(model::CloseKind::kReset);
  reset.finish();
  EXPECT_THAT(reset.flagged, ElementsAre("find users shop"));
  EXPECT_FALSE(reset.broken);
}

TEST(Connection, OpenBeforeWeWatched) {
  Runner runner(model::Role::kClient, false);
  runner.answer(answer_msg(9, 5, ok()));
  runner.ask(ask_msg(6, text("find", "users")));
  runner.answer(answer_msg(10, 6, ok(cursor("firstBatch", 1))));
  EXPECT_THAT(runner.told, ElementsAre("find users shop r1"));
  EXPECT_EQ(runner.counters.unparsed_bytes, answer_msg(9, 5, ok()).size());
}

TEST(Connection, AnswerRecordedBeforeItsRequest) {
  Runner runner(model::Role::kClient);
  runner.ask(ask_msg(1, number("ping", 1)));
  runner.answer(answer_msg(9, 1, ok()));
  runner.late_ns = 1500;
  runner.answer(answer_msg(10, 2, ok()));
  runner.ask(ask_msg(2, text("find", "users")));
  runner.finish();
  EXPECT_THAT(runner.told, ElementsAre("ping shop", "find users shop"));
}

TEST(Property, AnySplitGivesTheSame) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 200; ++round) {
    const model::Role role = round % 2 == 0 ? model::Role::kServer : model::Role::kClient;
    const auto steps = random_session(random, 20);
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
        // The connection must be known for MongoDB's by its first bytes.
        size_t least = &step == steps.data() ? kHeaderBytes : 1;
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
      ASSERT_EQ(whole.statements, runner.statements);
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
    const model::Role role = round % 2 == 0 ? model::Role::kServer : model::Role::kClient;
    std::vector<Step> parts;
    for (const Step& step : random_session(random, 30)) {
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
  const std::string asked = ask_msg(1, number("ping", 1));
  EXPECT_TRUE(detect(asked));
  EXPECT_TRUE(detect(asked.substr(0, 16)));
  EXPECT_TRUE(detect(answer_msg(7, 1, ok())));
  for (const std::string& other : {"GET / HTTP/1.1\r\n\r\n"s, "\0\0\0\x08\x04\xd2\x16\x2f"s, ""s,
                                   asked.substr(0, 15), message(1, 7, 1, std::string(40, '\0')),
                                   message(2002, 7, 0, std::string(40, '\0')), asked.substr(1)}) {
    EXPECT_FALSE(detect(other)) << testing::PrintToString(other);
  }
}

}  // namespace
}  // namespace zerospan::protocols::mongodb
