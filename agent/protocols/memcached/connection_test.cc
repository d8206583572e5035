// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/memcached/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "agent/protocols/lines/testing.h"
#include "agent/protocols/memcached/detect.h"

namespace zerospan::protocols::memcached {
namespace {

using namespace std::string_literals;
using lines::Step;
using testing::ElementsAre;
using testing::IsEmpty;
using Runner = lines::Runner<Connection, Options>;

std::string store(const std::string& command, const std::string& key, const std::string& value) {
  return command + " " + key + " 0 60 " + std::to_string(value.size()) + "\r\n" + value + "\r\n";
}
std::string value(const std::string& key, const std::string& data) {
  return "VALUE " + key + " 0 " + std::to_string(data.size()) + "\r\n" + data + "\r\n";
}

TEST(Connection, TextInBothRoles) {
  for (const model::Role role : {model::Role::kServer, model::Role::kClient}) {
    Runner runner(role);
    runner.ask(store("set", "a", "END\r\n"));
    runner.answer("STORED\r\n");
    runner.ask("get a b\r\nincr a 5\r\nincr n 5\r\nbogus\r\n");
    runner.answer(value("a", "END\r\n") +
                  "END\r\nCLIENT_ERROR non-numeric value\r\n17\r\nERROR\r\n");
    runner.ask("set a 0 0 1 noreply\r\nx\r\nstats\r\n");
    runner.answer("STAT pid 1\r\nSTAT uptime 2\r\nEND\r\n");
    EXPECT_THAT(runner.told,
                ElementsAre("set a 0 60 5 |  | ", "get a b |  | ", "incr a 5 | CLIENT_ERROR | ",
                            "incr n 5 |  | ", "bogus | ERROR | ", "set a 0 0 1 noreply |  | ",
                            "stats |  | "));
    EXPECT_THAT(runner.flagged, IsEmpty());
    EXPECT_EQ(runner.counters.responses_without_request, 0U);
  }
}

TEST(Connection, MetaCommands) {
  Runner runner;
  runner.ask("ms a 2 T0\r\nhi\r\nmg a v\r\nmg none v\r\nmd none\r\n");
  runner.answer("HD\r\nVA 2\r\nhi\r\nEN\r\nNF\r\n");
  runner.ask("mg a v q\r\nmg none v q\r\nms b 1 q\r\nx\r\nmn\r\nget a\r\n");
  runner.answer("VA 2\r\nhi\r\nMN\r\nEND\r\n");
  EXPECT_THAT(runner.told,
              ElementsAre("ms a 2 T0 |  | ", "mg a v |  | ", "mg none v |  | ", "md none |  | ",
                          "mg a v q |  | ", "mg none v q |  | ", "ms b 1 q |  | ", "mn |  | "));
  // It was sent before the answer to mn had told that the quiet ones are done.
  EXPECT_THAT(runner.flagged, ElementsAre("get a |  | "));
}

TEST(Connection, LargeValuesArePassedOver) {
  Runner runner;
  runner.step({true, store("set", "a", std::string(100'000, 'v'))}, 4096, 256);
  runner.answer("STORED\r\n");
  runner.ask("get a\r\n");
  runner.step({false, value("a", std::string(100'000, 'v')) + "END\r\n"}, 4096, 256);
  EXPECT_THAT(runner.told, ElementsAre("set a 0 60 100000 |  | ", "get a |  | "));
  EXPECT_THAT(runner.flagged, IsEmpty());
}

TEST(Connection, TakenOver) {
  Runner runner;
  runner.ask("watch fetchers\r\n");
  runner.answer("OK\r\n");
  EXPECT_TRUE(runner.opaque);
}

std::vector<Step> random_session(std::mt19937_64& random, size_t most) {
  std::vector<Step> steps;
  size_t id = 0;
  for (size_t turn = 0; turn < 30; ++turn) {
    std::string requests;
    std::string responses;
    for (size_t count = 1 + random() % most; count > 0; --count) {
      const std::string key = "k" + std::to_string(id++);
      const std::string data(random() % 8 == 0 ? 3000 : random() % 20,
                             random() % 2 == 0 ? '\n' : 'g');
      switch (random() % 6) {
        case 0:
          requests += "get " + key + "\r\n";
          responses += value(key, data) + "END\r\n";
          break;
        case 1:
          requests += "gets " + key + " x\r\n";
          responses += "END\r\n";
          break;
        case 2:
          requests += store("set", key, data);
          responses += "STORED\r\n";
          break;
        case 3:
          requests += "incr " + key + " 1\r\n";
          responses += "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
          break;
        case 4:
          requests += "mg " + key + " v\r\n";
          responses += "VA " + std::to_string(data.size()) + "\r\n" + data + "\r\n";
          break;
        default:
          requests += "delete " + key + "\r\n";
          responses += "NOT_FOUND\r\n";
          break;
      }
    }
    steps.push_back({true, requests});
    steps.push_back({false, responses});
  }
  return steps;
}

TEST(Property, AnySplitGivesTheSame) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 200; ++round) {
    const model::Role role = round % 4 < 2 ? model::Role::kServer : model::Role::kClient;
    const auto steps = random_session(random, round % 2 == 0 ? 1 : 6);
    Runner whole(role);
    for (const Step& step : steps) {
      whole.step(step);
    }
    whole.finish();
    ASSERT_FALSE(whole.broken);
    ASSERT_TRUE(whole.flagged.empty()) << whole.flagged[0];
    ASSERT_GE(whole.told.size(), 30U);
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
    std::vector<Step> parts;
    for (const Step& step : random_session(random, round % 2 == 0 ? 1 : 6)) {
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
      } else if (round % 3 == 0) {
        runner.step(parts[i], 20, 20);
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
  for (const char* command :
       {"get a\r\n", "set a 0 0 1\r\nx\r\n", "mg a v\r\n", "mn\r\n", "version\r\n", "gat 60 a\r\n",
        "incr a 1\r\n", "cas a 0 0 1 7\r\n", "stats\n"}) {
    EXPECT_TRUE(detect(command)) << command;
  }
  for (const std::string& other : {"GET / HTTP/1.1\r\n"s, "get"s, "get \r\n"s, "set a b\r\n"s, ""s,
                                   "\n"s, "quit\r\n"s, "END\r\n"s, "\x80\0\0\1"s, "*1\r\n"s}) {
    EXPECT_FALSE(detect(other)) << other;
  }
}

}  // namespace
}  // namespace zerospan::protocols::memcached
