// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/postgresql/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "agent/protocols/postgresql/detect.h"
#include "agent/protocols/postgresql/testing.h"

namespace zerospan::protocols::postgresql {
namespace {

using namespace std::string_literals;

void greet(Runner& runner) {
  runner.step({true, startup()});
  runner.step({false, message('R', "\0\0\0\0"s) + ready()});
}

TEST(Connection, SimpleQuery) {
  for (const model::Role role : {model::Role::kServer, model::Role::kClient}) {
    Runner runner(role);
    greet(runner);
    runner.step({true, query("SELECT 1")});
    const uint64_t sent = runner.now_ns;
    runner.step({false, rows(3) + done("SELECT 3") + ready()});
    ASSERT_EQ(runner.told.size(), 1U);
    const Told& told = runner.told[0];
    EXPECT_EQ(told.statement, "SELECT 1");
    EXPECT_EQ(told.rows, 3);
    EXPECT_EQ(told.database, "shop");
    EXPECT_EQ(told.start_ns, sent);
    EXPECT_EQ(told.end_ns, runner.now_ns);
    EXPECT_EQ(told.request_id, sent);
    EXPECT_EQ(told.incomplete, 0U);
  }
}

TEST(Connection, EncryptionRefusedAndAccepted) {
  const std::string ssl = "\0\0\0\x08\x04\xd2\x16\x2f"s;
  const std::string gss = "\0\0\0\x08\x04\xd2\x16\x30"s;
  Runner refused;
  refused.step({true, gss});
  refused.step({false, "N"});
  refused.step({true, ssl});
  refused.step({false, "N"});
  greet(refused);
  refused.step({true, query("SELECT 1")});
  refused.step({false, done("SELECT 1") + ready()});
  EXPECT_EQ(refused.told.size(), 1U);

  Runner accepted;
  accepted.step({true, ssl});
  accepted.step({false, "S"});
  EXPECT_TRUE(accepted.opaque);

  Runner cancel;
  cancel.step({true, "\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\1\0\0\0\2"s});
  EXPECT_TRUE(cancel.opaque);
}

TEST(Connection, ErrorsAndWhatFollows) {
  Runner runner;
  greet(runner);
  runner.step({true, parse("", "SELECT 1") + bind("", "") + execute("") + parse("x", "SELECT 2") +
                         bind("", "x") + execute("") + parse("y", "SELECT 3") + bind("", "y") +
                         execute("") + sync()});
  runner.step({false, message('1', "") + message('2', "") + data_rows(2) + done("SELECT 2") +
                          message('1', "") + error("42P01") + ready()});
  ASSERT_EQ(runner.told.size(), 3U);
  EXPECT_EQ(brief(runner.told[0]), "SELECT 1 |  |  | 2 | 0 | shop");
  EXPECT_EQ(brief(runner.told[1]), "SELECT 2 | x | 42P01 | -1 | 0 | shop");
  EXPECT_EQ(brief(runner.told[2]), "SELECT 3 | y |  skipped | -1 | 0 | shop");
  // x was prepared, y was not.
  runner.step({true, bind("", "x") + execute("") + bind("", "y") + execute("") + sync()});
  runner.step({false, message('2', "") + done("SELECT 0") + error("26000") + ready()});
  ASSERT_EQ(runner.told.size(), 5U);
  EXPECT_EQ(runner.told[3].statement, "SELECT 2");
  EXPECT_EQ(runner.told[4].statement, "");
  EXPECT_EQ(runner.told[4].id, "y");
  EXPECT_EQ(runner.told[4].error, "26000");
  EXPECT_EQ(runner.told[4].incomplete, model::kStatementUnknown);
}

TEST(Connection, AStatementThatCannotBePreparedIsTold) {
  Runner runner;
  greet(runner);
  runner.step({true, parse("", "SELEKT") + sync()});
  runner.step({false, error("42601") + ready()});
  ASSERT_EQ(runner.told.size(), 1U);
  EXPECT_EQ(brief(runner.told[0]), "SELEKT |  | 42601 | -1 | 0 | shop");
}

// The server may answer before it has read the rest of what was sent.
TEST(Connection, AStatementThatFailsBeforeItsExecuteIsSeen) {
  Runner runner;
  greet(runner);
  runner.step({true, parse("", "SELEKT")});
  runner.step({false, error("42601")});
  runner.step({true, bind("", "") + execute("") + parse("", "SELECT 2") + bind("", "") +
                         execute("") + sync()});
  runner.step({false, ready()});
  ASSERT_EQ(runner.told.size(), 2U);
  EXPECT_EQ(brief(runner.told[0]), "SELEKT |  | 42601 | -1 | 0 | shop");
  EXPECT_EQ(brief(runner.told[1]), "SELECT 2 |  |  skipped | -1 | 0 | shop");
  runner.step({true, query("SELECT 3")});
  runner.step({false, done("SELECT 1") + ready()});
  ASSERT_EQ(runner.told.size(), 3U);
}

TEST(Connection, TheCommitBelongsToTheLastStatement) {
  Runner runner;
  greet(runner);
  runner.step({true, parse("", "INSERT") + bind("", "") + execute("") + sync()});
  runner.step({false, message('1', "") + message('2', "") + done("INSERT 0 1")});
  EXPECT_TRUE(runner.told.empty());
  runner.step({false, error("23503") + ready()});
  ASSERT_EQ(runner.told.size(), 1U);
  EXPECT_EQ(runner.told[0].error, "23503");
  EXPECT_EQ(runner.told[0].end_ns, runner.now_ns);
}

TEST(Connection, CopyInTheExtendedProtocol) {
  Runner runner;
  greet(runner);
  runner.step({true, parse("", "COPY t FROM STDIN") + bind("", "") + execute("") + sync()});
  runner.step({false, message('1', "") + message('2', "") + message('G', "\0\0\0"s)});
  runner.step({true, message('d', std::string(9000, 'x')) + message('c', "") + sync()}, 100, 64);
  runner.step({false, done("COPY 5") + ready()});
  runner.step({true, query("SELECT 1")});
  runner.step({false, done("SELECT 1") + ready()});
  ASSERT_EQ(runner.told.size(), 2U);
  EXPECT_EQ(brief(runner.told[0]), "COPY t FROM STDIN |  |  | -1 | 0 | shop");
  EXPECT_EQ(runner.told[0].incomplete + runner.told[1].incomplete, 0U);
}

TEST(Connection, CopyWhoseAnswerIsRecordedBeforeTheLastData) {
  Runner runner;
  greet(runner);
  runner.step({true, query("COPY t FROM STDIN")});
  runner.step({false, message('G', "\0\0\0"s)});
  runner.step({true, message('d', std::string(9000, 'x'))}, 100, 64);
  runner.step({false, done("COPY 5") + ready()});
  runner.step({true, message('d', std::string(9000, 'x')) + message('d', std::string(500, 'x')) +
                         message('c', "")},
              100, 64);
  for (int i = 0; i < 3; ++i) {
    runner.step({true, query("SELECT 1")});
    runner.step({false, done("SELECT 1") + ready()});
  }
  ASSERT_EQ(runner.told.size(), 4U);
  EXPECT_EQ(brief(runner.told[0]), "COPY t FROM STDIN |  |  | -1 | 0 | shop");
  for (const Told& told : runner.told) {
    EXPECT_EQ(told.incomplete, 0U);
  }
}

TEST(Connection, CopyThatDoesNotWaitForTheConsent) {
  Runner runner;
  greet(runner);
  runner.step({true, query("COPY t FROM STDIN")});
  for (int i = 0; i < 3; ++i) {
    const std::string data = message('d', std::string(9000, 'x'));
    runner.step({true, data + data}, 100, 64);
  }
  runner.step({false, message('G', "\0\0\0"s)});
  runner.step({true, message('c', "")});
  runner.step({false, done("COPY 5") + ready()});
  runner.step({true, query("SELECT 1")});
  runner.step({false, done("SELECT 1") + ready()});
  ASSERT_EQ(runner.told.size(), 2U);
  EXPECT_EQ(runner.told[0].incomplete + runner.told[1].incomplete, 0U);
}

TEST(Connection, LargeAnswersByTheirEnd) {
  Runner runner;
  greet(runner);
  for (const auto& end : {done("SELECT 4000") + ready(), error("22012") + ready()}) {
    runner.step({true, query("SELECT a FROM t")});
    const std::string answer = rows(4000, 100) + end;
    for (size_t at = 0; at < answer.size(); at += 8192) {
      runner.step({false, answer.substr(at, 8192)}, at == 0 ? 4096 : 0, 256);
    }
  }
  // The error comes alone, and ReadyForQuery after it.
  runner.step({true, query("SELECT a FROM t")});
  runner.step({false, rows(4000, 100) + error("22012")}, 4096, 256);
  runner.step({false, ready()}, 0, 256);
  ASSERT_EQ(runner.told.size(), 3U);
  EXPECT_EQ(brief(runner.told[0]), "SELECT a FROM t |  |  | 4000 | 0 | shop");
  EXPECT_EQ(brief(runner.told[1]), "SELECT a FROM t |  | 22012 | -1 | 0 | shop");
  EXPECT_EQ(brief(runner.told[2]), brief(runner.told[1]));
  EXPECT_EQ(runner.told[0].incomplete + runner.told[1].incomplete + runner.told[2].incomplete, 0U);
}

TEST(Connection, AStatementLongerThanWhatIsCaptured) {
  Runner runner;
  greet(runner);
  runner.step({true, query("SELECT '" + std::string(9000, 's') + "'")}, 4096, 256);
  runner.step({false, done("SELECT 1") + ready()});
  runner.step({true, query("SELECT 2")});
  runner.step({false, done("SELECT 1") + ready()});
  ASSERT_EQ(runner.told.size(), 2U);
  EXPECT_EQ(runner.told[0].incomplete, model::kHeadTruncated);
  EXPECT_EQ(runner.told[0].statement.size(), 4096U - 5);
  EXPECT_EQ(runner.told[1].incomplete, 0U);
}

TEST(Connection, JoinedInTheMiddle) {
  for (const model::Role role : {model::Role::kServer, model::Role::kClient}) {
    Runner runner(role, false);
    runner.step({false, data_rows(3) + done("SELECT 3") + ready()});
    runner.step({true, bind("", "before") + execute("") + sync()});
    runner.step({false, message('2', "") + data_rows(1) + done("SELECT 1") + ready()});
    runner.step({true, query("SELECT 1")});
    runner.step({false, rows(1) + done("SELECT 1") + ready()});
    ASSERT_EQ(runner.told.size(), 2U);
    EXPECT_EQ(brief(runner.told[0]), " | before |  | 1 | 0 | ");
    EXPECT_EQ(runner.told[0].incomplete, model::kStatementUnknown);
    EXPECT_EQ(brief(runner.told[1]), "SELECT 1 |  |  | 1 | 0 | ");
    EXPECT_EQ(runner.told[1].incomplete, 0U);
  }
}

TEST(Connection, AnAnswerThatWasRecordedFirst) {
  Runner runner(model::Role::kClient);
  greet(runner);
  const Step request = {true, query("SELECT 1")};
  const Step response = {false, done("SELECT 1") + ready()};
  runner.step(response);
  runner.now_ns -= 1500;  // the request left before that
  runner.step(request);
  runner.now_ns += 5000;
  ASSERT_EQ(runner.told.size(), 1U);
  runner.step({true, query("SELECT 2")});
  runner.step({false, done("SELECT 2") + ready()});
  ASSERT_EQ(runner.told.size(), 2U);
  EXPECT_EQ(runner.told[1].rows, 2);
}

TEST(Connection, ClosedInTheMiddle) {
  Runner runner;
  greet(runner);
  runner.step({true, query("SELECT 1")});
  runner.close(model::CloseKind::kReset);
  ASSERT_EQ(runner.told.size(), 1U);
  EXPECT_EQ(runner.told[0].outcome, model::Outcome::kReset);
}

TEST(Connection, ContextOnlyOfTheTimeThatItWasSent) {
  Runner runner;
  greet(runner);
  runner.step({true, parse("p", "SELECT 1 /*traceparent='00-a-b-01'*/") + bind("", "p") +
                         execute("") + sync()});
  runner.step({false, message('1', "") + message('2', "") + done("SELECT 1") + ready()});
  runner.step({true, bind("", "p") + execute("") + sync()});
  runner.step({false, message('2', "") + done("SELECT 1") + ready()});
  ASSERT_EQ(runner.told.size(), 2U);
  EXPECT_EQ(runner.told[0].traceparent, "00-a-b-01");
  EXPECT_EQ(runner.told[1].traceparent, "");
}

TEST(Connection, MemoryIsBounded) {
  Runner runner;
  greet(runner);
  std::string requests;
  for (int i = 0; i < 20000; ++i) {
    requests +=
        parse("s" + std::to_string(i), std::string(1000, 'x')) + bind("", "s1") + execute("");
    if (requests.size() > 60000) {
      runner.step({true, requests});
      requests.clear();
    }
  }
  EXPECT_LT(runner.connection.memory_bytes(), 16U << 20U);
  EXPECT_GT(runner.counters.limits_hit, 0U);
  runner.finish();
  EXPECT_FALSE(runner.broken);
}

std::vector<std::string> told_of(const Runner& runner) {
  std::vector<std::string> out;
  for (const Told& told : runner.told) {
    out.push_back(brief(told) + " " + std::to_string(told.incomplete));
  }
  return out;
}

TEST(Property, AnySplitGivesTheSame) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 300; ++round) {
    const bool pipelined = round % 2 == 1;
    const model::Role role = round % 4 < 2 ? model::Role::kServer : model::Role::kClient;
    const auto steps = random_session(random, 12, pipelined);
    Runner whole(role);
    for (const Step& step : steps) {
      whole.step(step);
    }
    whole.finish();
    ASSERT_FALSE(whole.broken);
    ASSERT_GE(whole.told.size(), 8U);
    for (const Told& told : whole.told) {
      ASSERT_EQ(told.incomplete, 0U) << brief(told);
    }
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
      ASSERT_EQ(told_of(whole), told_of(runner)) << "round " << round;
    }
  }
}

// What is not flagged is told as without the loss.
TEST(Property, LostOperationsFlagWhatTheyChange) {
  std::mt19937_64 random(2);
  size_t flagged = 0;
  size_t clean = 0;
  for (int round = 0; round < 2000; ++round) {
    const bool pipelined = round % 2 == 1;
    const model::Role role = round % 4 < 2 ? model::Role::kServer : model::Role::kClient;
    const auto steps = random_session(random, 30, pipelined);
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
    for (const Told& told : whole.told) {
      ++right[brief(told)];
    }
    const size_t lost = 2 + random() % (parts.size() - 2);
    Runner runner(role);
    for (size_t i = 0; i < parts.size(); ++i) {
      i == lost ? runner.lose(parts[i]) : runner.step(parts[i]);
    }
    runner.close();
    runner.finish();
    ASSERT_FALSE(runner.broken);
    for (const Told& told : runner.told) {
      if (told.incomplete != 0 || told.outcome != model::Outcome::kComplete) {
        ++flagged;
        continue;
      }
      ++clean;
      ASSERT_GE(--right[brief(told)], 0) << "round " << round << ", lost part " << lost << " of "
                                         << parts.size() << ": " << brief(told);
    }
  }
  EXPECT_GT(flagged, 1000U);
  EXPECT_GT(clean, 20000U);
}

TEST(Detect, FirstBytes) {
  EXPECT_TRUE(detect(startup()));
  EXPECT_TRUE(detect("\0\0\0\x08\x04\xd2\x16\x2f"s));
  EXPECT_TRUE(detect(query("SELECT 1")));
  EXPECT_TRUE(detect(rows(2) + done("SELECT 2") + ready()));
  EXPECT_TRUE(detect(bind("", "") + execute("") + sync()));
  EXPECT_TRUE(detect(query(std::string(10000, 'x')).substr(0, 4096)));
  for (const std::string& other :
       {"GET / HTTP/1.1\r\n\r\n"s, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"s, ""s, "N"s,
        "\x16\x03\x01\0\1"s, "\0\0\x12\x04\0\0\0\0\0\0\3\0\0\0\x64"s, "Q\0\0\0\3"s,
        "Q\0\0\0\x08 x"s + "\0 y"s, "*1\r\n$4\r\nPING\r\n"s, std::string(64, '\0')}) {
    EXPECT_FALSE(detect(other)) << testing::PrintToString(other);
  }
}

}  // namespace
}  // namespace zerospan::protocols::postgresql
