// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/redis/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "agent/protocols/redis/detect.h"
#include "agent/protocols/redis/testing.h"

namespace zerospan::protocols::redis {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(Connection, CommandsInBothRoles) {
  for (const model::Role role : {model::Role::kServer, model::Role::kClient}) {
    Runner runner(role);
    runner.ask(command({"SET", "a", "1"}));
    runner.answer("+OK\r\n");
    runner.ask(command({"get", "a"}) + command({"LPUSH", "a", "2"}) + command({"GET", "none"}));
    runner.answer(bulk("1") + "-WRONGTYPE Operation\r\n$-1\r\n");
    runner.ask("PING\r\n\r\nset 'b c' \"d e\"\r\n");
    runner.answer("+PONG\r\n+OK\r\n");
    runner.ask(command({"EVAL", "x", "0"}));
    runner.answer("!10\r\nOOPS wrong\r\n");
    runner.ask(command({"GET", "moved"}));
    runner.answer("-MOVED 3999 127.0.0.1:6381\r\n");
    runner.ask(command({"GET", "odd"}));
    runner.answer("-no code\r\n");
    EXPECT_THAT(runner.told,
                ElementsAre("SET a 1 |  | 0", "get a |  | 0", "LPUSH a 2 | WRONGTYPE | 0",
                            "GET none |  | 0", "PING |  | 0", "set b c d e |  | 0",
                            "EVAL x 0 | OOPS | 0", "GET moved | MOVED | 0", "GET odd | ? | 0"));
    EXPECT_THAT(runner.flagged, IsEmpty());
    EXPECT_EQ(runner.counters.unparsed_bytes, 0U);
  }
}

TEST(Connection, Transactions) {
  Runner runner;
  runner.ask(command({"MULTI"}));
  runner.answer("+OK\r\n");
  runner.ask(command({"INCR", "a"}) + command({"SELECT", "3"}) + command({"GET", "b"}));
  runner.answer("+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n");
  EXPECT_EQ(runner.told.size(), 1U);
  runner.ask(command({"EXEC"}));
  runner.answer(array({"-ERR value\r\n", "+OK\r\n", array({":1\r\n", bulk("-ERR")})}));
  runner.ask(command({"MULTI"}) + command({"SET", "a", "1"}) + command({"DISCARD"}));
  runner.answer("+OK\r\n+QUEUED\r\n+OK\r\n");
  runner.ask(command({"MULTI"}) + command({"NOPE"}) + command({"SET", "c", "1"}) +
             command({"EXEC"}));
  runner.answer("+OK\r\n-ERR unknown\r\n+QUEUED\r\n-EXECABORT Transaction\r\n");
  runner.ask(command({"MULTI"}) + command({"SET", "d", "1"}) + command({"EXEC"}));
  runner.answer("+OK\r\n+QUEUED\r\n*-1\r\n");
  EXPECT_THAT(runner.told,
              ElementsAre("MULTI |  | 0", "INCR a | ERR | 0", "SELECT 3 |  | 0", "GET b |  | 3",
                          "EXEC |  | 3 | 0", "MULTI |  | 3", "SET a 1 |  | 3", "DISCARD |  | 3",
                          "MULTI |  | 3", "NOPE | ERR | 3", "SET c 1 | EXECABORT | 3",
                          "EXEC | EXECABORT | 3", "MULTI |  | 3", "SET d 1 |  | 3", "EXEC |  | 3"));
  EXPECT_THAT(runner.flagged, IsEmpty());
}

TEST(Connection, DatabaseIsTheAgreedOne) {
  Runner runner;
  runner.ask(command({"SELECT", "5"}) + command({"GET", "a"}) + command({"SELECT", "99"}) +
             command({"GET", "b"}) + command({"RESET"}) + command({"GET", "c"}));
  runner.answer("+OK\r\n$-1\r\n-ERR DB index is out of range\r\n$-1\r\n+RESET\r\n$-1\r\n");
  EXPECT_THAT(runner.told, ElementsAre("SELECT 5 |  | 0", "GET a |  | 5", "SELECT 99 | ERR | 5",
                                       "GET b |  | 5", "RESET |  | 5", "GET c |  | 0"));
}

TEST(Connection, SubscriptionsInBothVersions) {
  for (const char type : {'*', '>'}) {
    Runner runner(model::Role::kClient);
    const auto confirm = [&](const char* kind, const char* name, const char* count) {
      return array({bulk(kind), bulk(name), ":"s + count + "\r\n"}, type);
    };
    runner.ask(command({"SUBSCRIBE", "a", "b"}));
    runner.answer(confirm("subscribe", "a", "1"));
    EXPECT_THAT(runner.told, IsEmpty());
    runner.answer(confirm("subscribe", "b", "2"));
    runner.answer(array({bulk("message"), bulk("a"), bulk("hello")}, type));
    runner.ask(command({"PING"}));
    runner.answer(array({bulk("message"), bulk("a"), bulk("hello")}, type) +
                  (type == '*' ? array({bulk("pong"), bulk("")}) : "+PONG\r\n"));
    runner.ask(command({"UNSUBSCRIBE"}));
    runner.answer(confirm("unsubscribe", "a", "1") + confirm("unsubscribe", "b", "0"));
    runner.ask(command({"LRANGE", "l", "0", "-1"}));
    runner.answer(array({bulk("message"), bulk("x"), bulk("y")}));
    EXPECT_THAT(runner.told, ElementsAre("SUBSCRIBE a b |  | 0", "PING |  | 0",
                                         "UNSUBSCRIBE |  | 0", "LRANGE l 0 -1 |  | 0"))
        << type;
    EXPECT_EQ(runner.counters.responses_without_request, 0U);
  }
}

TEST(Connection, SilentCommands) {
  Runner runner;
  runner.ask(command({"CLIENT", "REPLY", "SKIP"}) + command({"SET", "a", "1"}) +
             command({"GET", "a"}));
  runner.answer(bulk("1"));
  runner.ask(command({"CLIENT", "REPLY", "off"}) + command({"SET", "a", "2"}) +
             command({"CLIENT", "REPLY", "ON"}));
  runner.answer("+OK\r\n");
  EXPECT_THAT(runner.told,
              ElementsAre("CLIENT REPLY SKIP |  | ", "SET a 1 |  | ", "GET a |  | 0",
                          "CLIENT REPLY off |  | ", "SET a 2 |  | ", "CLIENT REPLY ON |  | 0"));
}

TEST(Connection, PasswordsAreNotKept) {
  Runner runner;
  runner.ask(command({"AUTH", "user", "secret"}));
  runner.answer("+OK\r\n");
  runner.ask(command({"HELLO", "3", "AUTH", "user", "secret"}) + command({"GET", "a"}));
  runner.answer(array({bulk("server"), bulk("redis")}, '%') + "$-1\r\n");
  runner.ask(command({"CONFIG", "SET", "requirepass", "secret"}));
  runner.answer("+OK\r\n");
  EXPECT_THAT(runner.told, ElementsAre("AUTH ~ ~ |  | 0", "HELLO ~ ~ ~ ~ |  | 0", "GET a |  | 0",
                                       "CONFIG SET ~ ~ |  | 0"));
  // As the kernel leaves them out.
  Runner hidden;
  hidden.step({true, command({"AUTH", "secret"})}, 15);
  hidden.answer("+OK\r\n");
  hidden.ask(command({"GET", "a"}));
  hidden.answer("$-1\r\n");
  hidden.step({true, command({"AUTH", "secret"}) + command({"SELECT", "3"})}, 15);
  hidden.answer("+OK\r\n+OK\r\n");
  hidden.ask(command({"GET", "a"}));
  hidden.answer("$-1\r\n");
  EXPECT_THAT(hidden.told,
              ElementsAre("AUTH ~ |  | ", "GET a |  | 0", "AUTH ~ |  | ", "GET a |  | "));
  EXPECT_THAT(hidden.flagged, IsEmpty());
  EXPECT_EQ(hidden.counters.responses_without_request, 1U);
}

TEST(Connection, LargeValuesArePassedOver) {
  Runner runner;
  const std::string large(100'000, 'v');
  runner.step({true, command({"SET", "a", large, "EX", "60"})}, 4096, 256);
  runner.answer("+OK\r\n");
  runner.ask(command({"GET", "a"}));
  runner.step({false, bulk(large)}, 4096, 256);
  runner.ask(command({"GET", "b"}));
  runner.answer("$-1\r\n");
  EXPECT_THAT(runner.told, ElementsAre("SET a " + large.substr(0, 256) + "~ EX 60 |  | 0",
                                       "GET a |  | 0", "GET b |  | 0"));
  EXPECT_THAT(runner.flagged, IsEmpty());
}

TEST(Connection, LargeAnswersEndAtTheNextCommand) {
  Runner runner;
  runner.ask(command({"LRANGE", "a", "0", "-1"}));
  const std::string answer = array(std::vector<std::string>(10'000, bulk("0123456789")));
  for (size_t at = 0; at < answer.size(); at += 16384) {
    runner.step({false, answer.substr(at, 16384)}, at == 0 ? 4096 : 0, 256);
  }
  EXPECT_THAT(runner.told, IsEmpty());
  runner.ask(command({"GET", "b"}));
  runner.answer("$-1\r\n");
  EXPECT_THAT(runner.told, ElementsAre("LRANGE a 0 -1 |  | ", "GET b |  | 0"));
  EXPECT_THAT(runner.flagged, IsEmpty());
}

TEST(Connection, PipelinesLongerThanWhatIsCaptured) {
  Runner runner;
  std::string requests;
  std::string responses;
  for (int i = 0; i < 200; ++i) {
    requests += command({"INCR", "key" + std::to_string(i)});
    responses += ":1\r\n";
  }
  runner.step({true, requests}, 4096, 256);
  runner.answer(responses);
  const size_t known = runner.told.size() + runner.flagged.size();
  EXPECT_GT(known, 100U);
  EXPECT_EQ(known + runner.counters.responses_without_request, 200U);
  for (int i = 0; i < 20; ++i) {
    runner.ask(command({"GET", "later" + std::to_string(i)}));
    runner.answer("$-1\r\n");
  }
  EXPECT_EQ(runner.told.back(), "GET later19 |  | ");
}

TEST(Connection, TakenOver) {
  Runner runner;
  runner.ask(command({"MONITOR"}));
  runner.answer("+OK\r\n");
  EXPECT_TRUE(runner.opaque);
  EXPECT_THAT(runner.told, ElementsAre("MONITOR |  | 0"));
}

TEST(Connection, JoinedInTheMiddle) {
  Runner runner(model::Role::kUnknown, false);
  runner.answer(bulk("of something before"));
  runner.ask(command({"GET", "a"}));
  runner.answer(bulk("1"));
  EXPECT_THAT(runner.told, ElementsAre("GET a |  | "));
}

TEST(Connection, AnswersThatWereRecordedFirst) {
  Runner runner(model::Role::kClient);
  runner.ask(command({"GET", "a"}));
  runner.answer("$-1\r\n");
  runner.answer(bulk("1"));
  runner.late_ns = 5000;
  runner.ask(command({"GET", "b"}));
  EXPECT_THAT(runner.told, ElementsAre("GET a |  | 0", "GET b |  | 0"));
  EXPECT_THAT(runner.flagged, IsEmpty());
  EXPECT_EQ(runner.counters.gaps, 0U);
}

TEST(Connection, CloseWithoutAnswer) {
  Runner runner;
  runner.ask(command({"BLPOP", "a", "0"}));
  runner.close();
  runner.finish();
  EXPECT_FALSE(runner.broken);
  EXPECT_THAT(runner.flagged, ElementsAre("BLPOP a 0 |  | "));
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
    ASSERT_GE(whole.told.size(), 20U);
    ASSERT_EQ(whole.counters.unparsed_bytes, 0U);
    for (int split = 0; split < 4; ++split) {
      Runner runner(role);
      for (const Step& step : steps) {
        for (size_t at = 0; at < step.bytes.size();) {
          const size_t most = split == 0 ? 1 : 1 + random() % (1U << (random() % 12));
          const std::string part = step.bytes.substr(at, most);
          at += part.size();
          runner.step({step.request, part});
        }
      }
      runner.finish();
      ASSERT_FALSE(runner.broken);
      ASSERT_EQ(whole.told, runner.told) << "round " << round;
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
    // A database that is not known any more is no difference, nor how much of a value was kept.
    const auto what = [](const std::string& told) {
      std::string out = told.substr(0, told.rfind(" | "));
      std::erase_if(out, [](char c) { return c == '\n' || c == '*' || c == '~'; });
      return out;
    };
    Runner whole(role);
    for (const Step& part : parts) {
      whole.step(part);
    }
    whole.finish();
    std::map<std::string, int> right;
    std::set<std::string> complete;
    for (const std::string& told : whole.told) {
      ++right[what(told)];
      complete.insert(what(told) + told.substr(told.rfind(" | ")));
    }
    const size_t lost = 1 + random() % (parts.size() - 1);
    const bool captured = round % 3 == 0;  // in part
    Runner runner(role);
    for (size_t i = 0; i < parts.size(); ++i) {
      if (i != lost) {
        runner.step(parts[i]);
      } else if (captured) {
        runner.step(parts[i], 40, 20);
      } else {
        runner.lose(parts[i]);
      }
    }
    runner.finish();
    ASSERT_FALSE(runner.broken);
    for (const std::string& told : runner.told) {
      ASSERT_GE(--right[what(told)], 0)
          << "round " << round << ", part " << lost << " of " << parts.size() << ": " << told;
      ASSERT_TRUE(told.ends_with(" | ") ||
                  complete.contains(what(told) + told.substr(told.rfind(" | "))))
          << told;
    }
    clean += runner.told.size();
    flagged += runner.flagged.size();
  }
  EXPECT_GT(clean, 50'000U);
  EXPECT_GT(flagged, 1000U);
}

TEST(Detect, FirstBytes) {
  EXPECT_TRUE(detect(command({"PING"})));
  EXPECT_TRUE(detect(command({"hello", "3"})));
  EXPECT_TRUE(detect("PING\r\n"));
  EXPECT_TRUE(detect("*2\r\n$4\r\nAUTH\r\n$"));
  for (const std::string& other :
       {"GET / HTTP/1.1\r\n\r\n"s, "+OK\r\n"s, "*2\r\n$3\r\nfoo\r\n$3\r\nbar\r\n"s, ""s, "*"s,
        "*1\r\n:1\r\n"s, "PINGS\r\n"s, "* OK IMAP\r\n"s, "get a\r\n"s}) {
    EXPECT_FALSE(detect(other)) << testing::PrintToString(other);
  }
}

}  // namespace
}  // namespace zerospan::protocols::redis
