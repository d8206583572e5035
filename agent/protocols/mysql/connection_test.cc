// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/mysql/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "agent/protocols/mysql/detect.h"
#include "agent/protocols/mysql/testing.h"

namespace zerospan::protocols::mysql {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;

void greet(Runner& runner, uint32_t capabilities = 0) {
  runner.step({false, greeting()});
  runner.step({true, login(capabilities, "shop")});
  runner.step({false, ok(2)});
}

TEST(Connection, QueriesInBothRolesAndForms) {
  for (const model::Role role : {model::Role::kServer, model::Role::kClient}) {
    for (const bool deprecate : {false, true}) {
      Runner runner(role);
      greet(runner, deprecate ? uint32_t{kDeprecateEof} : 0U);
      runner.step({true, command(kQuery, "SELECT 1")});
      runner.step({false, result(3, deprecate)});
      runner.step({true, command(kPing, "")});
      runner.step({false, ok(1)});
      runner.step({true, command(kQuery, "SELEKT")});
      runner.step({false, error(1, 1064)});
      runner.step({true, command(kQuery, "USE `other`")});
      runner.step({false, ok(1)});
      runner.step({true, command(kQuery, "UPDATE t; SELECT 2")});
      runner.step({false, ok(1, 10) + result(2, deprecate, 5, 2, 2)});
      EXPECT_THAT(
          runner.told,
          ElementsAre("SELECT 1 |  |  | 3 | shop", "SELEKT |  | 1064 | - | shop",
                      "USE `other` |  |  | - | shop", "UPDATE t; SELECT 2 |  |  | 2 | other"));
      EXPECT_TRUE(runner.flagged.empty());
    }
  }
}

TEST(Connection, PreparedStatements) {
  Runner runner;
  greet(runner, kDeprecateEof);
  runner.step({true, command(kPrepare, "SELECT ?")});
  runner.step({false, packet(1, "\0"s + little(5, 4) + little(1, 2) + little(1, 2) + "\0\0\0"s) +
                          packet(2, "\3def") + packet(3, "\3def")});
  runner.step({true, execute(5)});
  runner.step({false, result(4, true)});
  runner.step({true, command(kCloseStatement, little(5, 4)) + execute(5)});
  runner.step({false, error(1, 1243)});
  runner.step({true, command(kPrepare, "SELECT nothing")});
  runner.step({false, error(1, 1054)});
  EXPECT_THAT(runner.told,
              ElementsAre("SELECT ? |  |  | 4 | shop", "SELECT nothing |  | 1054 | - | shop"));
  EXPECT_THAT(runner.flagged, ElementsAre(" | 5 | 1243 | - | shop"));
}

TEST(Connection, LargeAnswersByTheirEnd) {
  for (const bool deprecate : {false, true}) {
    Runner runner;
    greet(runner, deprecate ? uint32_t{kDeprecateEof} : 0U);
    runner.step({true, command(kQuery, "SELECT a")});
    const std::string answer = result(4000, deprecate, 100);
    for (size_t at = 0; at < answer.size(); at += 16384) {
      runner.step({false, answer.substr(at, 16384)}, at == 0 ? 4096 : 0, 256);
    }
    EXPECT_THAT(runner.told, ElementsAre("SELECT a |  |  | - | shop"));
  }
}

TEST(Connection, EncryptedAndCompressedAreOpaque) {
  Runner encrypted;
  encrypted.step({false, greeting()});
  encrypted.step({true, packet(1, little(kSsl, 4) + std::string(28, '\0'))});
  EXPECT_TRUE(encrypted.opaque);
  Runner compressed;
  greet(compressed, kCompress);
  EXPECT_TRUE(compressed.opaque);
}

TEST(Connection, JoinedInTheMiddle) {
  Runner runner(model::Role::kClient, false);
  runner.step({false, result(3, true)});
  runner.step({true, execute(9)});
  runner.step({false, result(1, true)});
  runner.step({true, command(kQuery, "SELECT 1")});
  runner.step({false, result(2, true)});
  EXPECT_THAT(runner.flagged, ElementsAre(" | 9 |  | 1 | "));
  EXPECT_THAT(runner.told, ElementsAre("SELECT 1 |  |  | 2 | "));
}

std::string prepared(uint32_t id) {
  return packet(1, "\0"s + little(id, 4) + little(0, 2) + little(0, 2) + "\0\0\0"s);
}

// MariaDB's connectors run what they prepare without waiting, and batches.
TEST(Connection, WhatWasPreparedLast) {
  for (const model::Role role : {model::Role::kServer, model::Role::kClient}) {
    Runner runner(role);
    greet(runner, kDeprecateEof);
    runner.step({true, command(kPrepare, "SELECT 1") + execute(UINT32_MAX)});
    runner.step({false, prepared(1) + result(1, true)});
    // The server may have answered before it reads on.
    runner.step({true, command(kPrepare, "SELECT 2")});
    runner.step({false, prepared(2)});
    runner.step({true, execute(UINT32_MAX)});
    runner.step({false, result(2, true)});
    EXPECT_THAT(runner.told, ElementsAre("SELECT 1 |  |  | 1 | shop", "SELECT 2 |  |  | 2 | shop"));
    runner.told.clear();
    for (int i = 0; i < 3; ++i) {
      runner.step({true, execute(1)});
      runner.step({true, execute(2)});
    }
    runner.step({false, result(1, true) + result(2, true) + error(1, 1062)});
    runner.step({false, result(4, true) + result(5, true) + ok(1)});
    EXPECT_THAT(runner.told,
                ElementsAre("SELECT 1 |  |  | 1 | shop", "SELECT 2 |  |  | 2 | shop",
                            "SELECT 1 |  | 1062 | - | shop", "SELECT 2 |  |  | 4 | shop",
                            "SELECT 1 |  |  | 5 | shop", "SELECT 2 |  |  | - | shop"));
    runner.finish();
    EXPECT_FALSE(runner.broken);
    EXPECT_TRUE(runner.flagged.empty());
  }
}

TEST(Connection, WhatWasPreparedLastInVain) {
  Runner runner;
  greet(runner, 0);
  runner.step({true, command(kPrepare, "SELEKT") + execute(UINT32_MAX)});
  runner.step({false, error(1, 1064)});
  runner.step({false, error(1, 1243)});
  runner.step({true, command(kPrepare, "SELECT nothing")});
  runner.step({false, error(1, 1054)});
  runner.step({true, execute(UINT32_MAX)});
  runner.step({false, error(1, 1243)});
  EXPECT_THAT(runner.told,
              ElementsAre("SELEKT |  | 1064 | - | shop", "SELECT nothing |  | 1054 | - | shop"));
  runner.finish();
  EXPECT_FALSE(runner.broken);
  EXPECT_TRUE(runner.flagged.empty());
}

std::vector<Step> random_session(std::mt19937_64& random, bool deprecate) {
  std::vector<Step> steps = {{false, greeting()},
                             {true, login(deprecate ? uint32_t{kDeprecateEof} : 0U, "shop")},
                             {false, ok(2)}};
  uint32_t prepared = 0;
  for (int i = 0; i < 20; ++i) {
    const std::string text = "SELECT " + std::to_string(i);
    switch (random() % 6) {
      case 5: {
        std::string answers;
        for (uint64_t left = random() % 6; left != 0 && prepared != 0; --left) {
          steps.push_back({true, execute(1 + static_cast<uint32_t>(random() % prepared))});
          answers += random() % 3 == 0 ? error(1, 1062) : result(random() % 4, deprecate);
        }
        if (!answers.empty()) {
          steps.push_back({false, answers});
        }
        break;
      }
      case 0:
        steps.push_back({true, command(kQuery, text)});
        steps.push_back({false, result(random() % 2 == 0 ? 200 : 3, deprecate)});
        break;
      case 1:
        steps.push_back({true, command(kQuery, text)});
        steps.push_back({false, error(1, 1146)});
        break;
      case 2:
        steps.push_back({true, command(kQuery, text + "; UPDATE")});
        steps.push_back({false, result(2, deprecate, 5, 10) + ok(7)});
        break;
      case 3:
        steps.push_back({true, command(kPrepare, text)});
        steps.push_back({false, packet(1, "\0"s + little(++prepared, 4) + little(1, 2) +
                                              little(0, 2) + "\0\0\0"s) +
                                    packet(2, "\3def") + (deprecate ? "" : eof(3))});
        break;
      default:
        if (prepared != 0) {
          steps.push_back({true, execute(1 + static_cast<uint32_t>(random() % prepared))});
          steps.push_back({false, result(random() % 4, deprecate)});
        }
        break;
    }
  }
  return steps;
}

TEST(Property, AnySplitGivesTheSame) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 200; ++round) {
    const model::Role role = round % 4 < 2 ? model::Role::kServer : model::Role::kClient;
    const auto steps = random_session(random, round % 2 == 0);
    Runner whole(role);
    for (const Step& step : steps) {
      whole.step(step);
    }
    whole.finish();
    ASSERT_FALSE(whole.broken);
    ASSERT_TRUE(whole.flagged.empty()) << whole.flagged[0];
    ASSERT_GT(whole.told.size(), 3U);
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
  for (int round = 0; round < 2000; ++round) {
    const model::Role role = round % 4 < 2 ? model::Role::kServer : model::Role::kClient;
    const auto steps = random_session(random, round % 2 == 0);
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
    const size_t lost = 3 + random() % (parts.size() - 3);
    Runner runner(role);
    for (size_t i = 0; i < parts.size(); ++i) {
      i == lost ? runner.lose(parts[i]) : runner.step(parts[i]);
    }
    runner.finish();
    ASSERT_FALSE(runner.broken);
    for (const std::string& told : runner.told) {
      ASSERT_GE(--right[told], 0) << "round " << round << ", lost part " << lost << " of "
                                  << parts.size() << ": " << told;
    }
    clean += runner.told.size();
    flagged += runner.flagged.size();
  }
  EXPECT_GT(clean, 10000U);
  EXPECT_GT(flagged, 500U);
}

TEST(Detect, FirstBytes) {
  EXPECT_TRUE(detect(greeting()));
  EXPECT_TRUE(detect(greeting("8.0.36")));
  EXPECT_TRUE(detect(greeting().substr(0, 4)));
  EXPECT_TRUE(detect(command(kQuery, "SELECT 1")));
  EXPECT_TRUE(detect(execute(3)));
  for (const std::string& other :
       {"GET / HTTP/1.1\r\n\r\n"s, "Q\0\0\0\x0dSELECT 1\0"s, "T\0\0\0\x0a"s + std::string(84, '1'),
        "\x16\x03\x01\0\1"s, ""s, std::string(64, '\0'), command(kQuery, "SELECT 1") + "x"}) {
    EXPECT_FALSE(detect(other)) << testing::PrintToString(other);
  }
}

}  // namespace
}  // namespace zerospan::protocols::mysql
