// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/cassandra/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "agent/protocols/cassandra/detect.h"
#include "agent/protocols/cassandra/testing.h"

namespace zerospan::protocols::cassandra {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::IsEmpty;

void open(Runner& runner, unsigned version) {
  for (const Step& step : handshake(version)) {
    runner.step(step);
  }
}

class Versions : public testing::TestWithParam<unsigned> {};
INSTANTIATE_TEST_SUITE_P(All, Versions, testing::Values(3, 4, 5));

TEST_P(Versions, StatementsAndAnswers) {
  const unsigned v = GetParam();
  const auto pack = [&](const std::string& frames) { return packed(v, frames); };
  for (const auto role : {model::Role::kServer, model::Role::kClient}) {
    Runner runner(role);
    open(runner, v);
    runner.ask(pack(query(v, 1, "USE shop")));
    runner.answer(pack(keyspace(v, 1, "shop")));
    runner.ask(pack(query(v, 2, "SELECT * FROM orders",
                          parameters(v, 0x05, be(1, 2) + text32("secret") + be(100, 4)))));
    runner.ask(pack(query(v, 3, "INSERT")));
    runner.answer(pack(done(v, 3) + rows(v, 2, 3)));
    runner.ask(pack(prepare(v, 4, "SELECT name FROM users WHERE id = ?")));
    runner.answer(pack(prepared(v, 4, id_of(1))));
    runner.ask(pack(execute(v, 5, id_of(1))));
    runner.answer(pack(rows(v, 5, 1, 10, false)));
    runner.ask(pack(query(v, 6, "SELECT nothing")));
    runner.answer(pack(error(v, 6, 0x2200)));
    runner.ask(pack(prepare(v, 7, "SELEC")));
    runner.answer(pack(error(v, 7, 0x2000)));
    runner.finish();
    EXPECT_THAT(runner.told, ElementsAre("USE shop", "INSERT", "SELECT * FROM orders r3",
                                         "SELECT name FROM users WHERE id = ? r1",
                                         "SELECT nothing !8704", "SELEC !8192"));
    EXPECT_THAT(runner.flagged, IsEmpty());
    EXPECT_FALSE(runner.broken);
    EXPECT_EQ(runner.counters.unparsed_bytes, 0U);
    EXPECT_EQ(runner.databases["USE shop"], "");
    EXPECT_EQ(runner.databases["SELECT * FROM orders r3"], "shop");
    EXPECT_THAT(runner.details, ElementsAre("local_quorum", "local_quorum", "local_quorum 100",
                                            "local_quorum 5000", "local_quorum", ""));
    // OPTIONS, STARTUP, AUTH_RESPONSE and the PREPARE that went well.
    EXPECT_EQ(runner.counters.idle_polls, 4U);
  }
}

TEST_P(Versions, Batches) {
  const unsigned v = GetParam();
  const auto statement = [](const std::string& text) {
    return be(0, 1) + text32(text) + be(1, 2) + text32("secret");
  };
  const auto id = [](const std::string& of) {
    return be(1, 1) + text16(of) + be(1, 2) + text32("x");
  };
  const auto batch = [&](int stream, uint64_t count, const std::string& queries) {
    return packed(
        v, frame(v, stream, Opcode::kBatch, be(0, 1) + be(count, 2) + queries + parameters(v)));
  };
  Runner runner;
  open(runner, v);
  runner.ask(packed(v, prepare(v, 0, "INSERT 1")));
  runner.answer(packed(v, prepared(v, 0, id_of(1))));
  runner.ask(batch(1, 3, id(id_of(1)) + id(id_of(1)) + id(id_of(1))));
  runner.ask(batch(2, 2, statement("INSERT 2") + id(id_of(1))));
  runner.ask(batch(3, 1, statement("INSERT 3")));
  runner.ask(batch(4, 2, statement("INSERT 4") + id(id_of(4))));
  // More than is captured.
  runner.ask(batch(5, 2, statement("INSERT 5" + std::string(5000, 'x')) + id(id_of(1))));
  for (int stream = 1; stream < 6; ++stream) {
    runner.answer(packed(v, done(v, stream)));
  }
  EXPECT_THAT(runner.told, ElementsAre("INSERT 1 b3", "INSERT 2; INSERT 1 b2", "INSERT 3",
                                       "INSERT 5" + std::string(4096 - 3 - 5 - 8, 'x') + "... b2"));
  EXPECT_THAT(runner.flagged, ElementsAre("BATCH b2"));
}

TEST_P(Versions, FramesInSeveralSegments) {
  const unsigned v = GetParam();
  Runner runner;
  open(runner, v);
  runner.ask(packed(v, query(v, 1, "SELECT " + std::string(100, 'x')), 50));
  runner.answer(packed(v, rows(v, 1, 9, 300), 700));
  EXPECT_THAT(runner.told, ElementsAre("SELECT " + std::string(100, 'x') + " r9"));
}

TEST(Connection, KeyspaceOfARequest) {
  Runner runner;
  open(runner, 5);
  runner.ask(packed(5, query(5, 1, "SELECT 1", parameters(5, 0x80, text16("other")))));
  runner.answer(packed(5, done(5, 1)));
  EXPECT_EQ(runner.databases["SELECT 1"], "other");
}

TEST(Connection, WarningsAndTraces) {
  Runner runner;
  open(runner, 4);
  runner.ask(frame(4, 1, Opcode::kQuery,
                   be(1, 2) + text16("key") + text32("value") + text32("SELECT 1") + parameters(4),
                   0x06));
  const std::string body = rows(4, 1, 7).substr(kHeaderBytes);
  runner.answer(frame(0x84, 1, Opcode::kResult,
                      std::string(16, 'u') + be(1, 2) + text16("careful") + body, 0x0a));
  EXPECT_THAT(runner.told, ElementsAre("SELECT 1 r7"));
}

TEST(Connection, PreparedOnAnotherConnection) {
  Shared shared;
  Runner one(model::Role::kClient, true, &shared);
  open(one, 4);
  one.ask(prepare(4, 1, "SELECT 1"));
  one.answer(prepared(4, 1, id_of(1)));
  Runner other(model::Role::kClient, true, &shared);
  open(other, 4);
  other.ask(execute(4, 1, id_of(1)));
  other.answer(done(4, 1));
  other.ask(execute(4, 1, id_of(2)));
  other.answer(done(4, 1));
  EXPECT_THAT(other.told, ElementsAre("SELECT 1"));
  EXPECT_THAT(other.flagged, ElementsAre("EXECUTE #30303030303030303030303030303032"));
}

TEST(Shared, StatementsAreBounded) {
  Shared shared;
  for (unsigned i = 0; i < 10'000; ++i) {
    shared.learn_statement(1, id_of(i), {std::string(4096, 'x'), false});
  }
  size_t known = 0;
  for (unsigned i = 0; i < 10'000; ++i) {
    known += shared.find_statement(1, id_of(i)) != nullptr ? 1 : 0;
  }
  EXPECT_EQ(known, 1024U);
  EXPECT_EQ(shared.find_statement(2, id_of(9'999)), nullptr);
  EXPECT_NE(shared.find_statement(1, id_of(9'999)), nullptr);
}

// Of compressed frames the headers are clear; of compressed segments nothing is.
TEST(Connection, Compression) {
  Runner runner;
  runner.ask(startup(4, 0, "lz4"));
  runner.answer(answer(4, 0, Opcode::kReady, ""));
  runner.ask(frame(4, 1, Opcode::kQuery, "\0\0\0\x08SELECT 1"s, 1));
  runner.answer(frame(0x84, 1, Opcode::kResult, "\0\0\0\2..."s, 1));
  runner.ask(frame(4, 2, Opcode::kExecute, "...."s, 1));
  runner.answer(frame(0x84, 2, Opcode::kError, "...."s, 1));
  EXPECT_THAT(runner.told, IsEmpty());
  EXPECT_THAT(runner.flagged, ElementsAre("QUERY", "EXECUTE !"));
  EXPECT_FALSE(runner.opaque);
  Runner segments;
  segments.ask(startup(5, 0, "lz4"));
  EXPECT_TRUE(segments.opaque);
  segments.finish();
  EXPECT_FALSE(segments.broken);
}

TEST(Connection, RefusedLogin) {
  Runner runner(model::Role::kClient);
  runner.ask(frame(0x42, 0, Opcode::kOptions, ""));
  runner.answer(error(5, 0, 0x0a));
  runner.ask(startup(4, 1));
  runner.answer(answer(4, 1, Opcode::kAuthenticate, text16("a")));
  runner.ask(frame(4, 2, Opcode::kAuthResponse, text32("\0user\0guess"s)));
  runner.answer(error(4, 2, 0x100));
  EXPECT_THAT(runner.told, ElementsAre("AUTH_RESPONSE !256"));
}

TEST(Connection, AnswersRecordedBeforeTheirRequests) {
  Runner runner(model::Role::kClient);
  open(runner, 4);
  runner.ask(query(4, 1, "SELECT 1"));
  runner.late_ns = 2500;
  runner.answer(rows(4, 2, 2));
  runner.answer(rows(4, 3, 3));
  runner.ask(query(4, 2, "SELECT 2"));
  runner.ask(query(4, 3, "SELECT 3"));
  // Not one that left before.
  runner.late_ns = 0;
  runner.answer(rows(4, 4, 4));
  runner.ask(query(4, 4, "SELECT 4"));
  EXPECT_THAT(runner.told, ElementsAre("SELECT 2 r2", "SELECT 3 r3"));
  runner.answer(rows(4, 4, 5));
  runner.answer(rows(4, 1, 1));
  runner.finish();
  EXPECT_THAT(runner.told, ElementsAre("SELECT 2 r2", "SELECT 3 r3", "SELECT 4 r5", "SELECT 1 r1"));
}

TEST(Connection, WhoseRequestItIs) {
  using model::Evidence;
  const auto evidence_of = [](Evidence given, const std::string& before,
                              const std::string& behind) {
    Runner runner(model::Role::kClient);
    open(runner, 5);
    runner.evidence = given;
    runner.ask(before + packed(5, query(5, 1, "SELECT 1")) + behind);
    runner.answer(packed(5, done(5, 1)));
    return runner.evidence;
  };
  const std::string other = packed(5, query(5, 2, "SELECT 2"));
  EXPECT_EQ(evidence_of(Evidence::kGoroutine, "", ""), Evidence::kGoroutine);
  EXPECT_EQ(evidence_of(Evidence::kThread, "", ""), Evidence::kThread);
  EXPECT_EQ(evidence_of(Evidence::kTick, "", ""), Evidence::kAmbiguous);
  EXPECT_EQ(evidence_of(Evidence::kNone, "", ""), Evidence::kNone);
  // Written together with another's.
  EXPECT_EQ(evidence_of(Evidence::kGoroutine, "", other), Evidence::kAmbiguous);
  EXPECT_EQ(evidence_of(Evidence::kGoroutine, other, ""), Evidence::kAmbiguous);
  // Of a connection that several share a thread may write what another has left.
  Runner shared(model::Role::kClient);
  open(shared, 5);
  shared.ask(other);
  for (const auto given : {Evidence::kThread, Evidence::kGoroutine}) {
    shared.evidence = given;
    shared.ask(packed(5, query(5, 1, "SELECT 1")));
    shared.answer(packed(5, done(5, 1)));
    EXPECT_EQ(shared.evidence,
              given == Evidence::kThread ? Evidence::kAmbiguous : Evidence::kGoroutine);
  }
}

TEST(Connection, CloseWithoutAnswer) {
  Runner runner(model::Role::kClient);
  open(runner, 4);
  runner.ask(query(4, 1, "SELECT 1"));
  runner.ask(prepare(4, 2, "SELECT 2"));
  runner.close(model::CloseKind::kReset);
  runner.finish();
  EXPECT_THAT(runner.flagged, ElementsAre("SELECT 1"));
  EXPECT_FALSE(runner.broken);
}

TEST(Connection, OpenBeforeWeWatched) {
  for (const unsigned v : {3U, 4U, 5U}) {
    Runner runner(model::Role::kClient, false);
    runner.answer(packed(v, done(v, 9)));
    runner.ask("the middle of something");
    runner.ask(packed(v, query(v, 1, "SELECT 1")));
    runner.answer(packed(v, rows(v, 1, 1)));
    EXPECT_THAT(runner.told, ElementsAre("SELECT 1 r1")) << v;
  }
}

TEST(Connection, OtherVersionsAreLeftAlone) {
  Runner runner;
  runner.ask(frame(0x42, 0, Opcode::kOptions, ""));
  runner.answer(answer(0x42, 0, Opcode::kSupported, be(0, 2)));
  runner.ask(frame(0x42, 1, Opcode::kQuery, text32("SELECT 1")));
  EXPECT_TRUE(runner.opaque);
  EXPECT_THAT(runner.told, IsEmpty());
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
    ASSERT_EQ(whole.counters.responses_without_request, 0U);
    for (int split = 0; split < 4; ++split) {
      Runner runner(role);
      for (const Step& step : steps) {
        // The connection must be known for Cassandra's by its first bytes.
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
      ASSERT_EQ(whole.databases, runner.databases);
      ASSERT_EQ(whole.details, runner.details);
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
      // A keyspace is the right one, or not known.
      const std::string& database = runner.databases[told];
      ASSERT_TRUE(database.empty() || database == whole.databases[told]) << database;
    }
    clean += runner.told.size();
    flagged += runner.flagged.size();
  }
  EXPECT_GT(clean, 50'000U);
  EXPECT_GT(flagged, 1000U);
}

TEST(Messages, SegmentsHeader) {
  // As cassandra-driver 3.29 for Python writes one.
  const auto segment = read_segment("\x09\x00\x02\xa4\xc8\xc1"s);
  ASSERT_TRUE(segment);
  EXPECT_EQ(segment->payload, 9U);
  EXPECT_TRUE(segment->self_contained);
  EXPECT_FALSE(read_segment("\x0a\x00\x02\xa4\xc8\xc1"s));
  EXPECT_FALSE(read_segment("\x09\x00\x02\xa4\xc8"s));
}

TEST(Detect, FirstBytes) {
  for (const unsigned v : {3U, 4U, 5U}) {
    EXPECT_TRUE(detect(frame(v, 0, Opcode::kOptions, "")));
    EXPECT_TRUE(detect(startup(v, 0)));
    EXPECT_TRUE(detect(packed(v, query(v, 0, "SELECT 1"))));
    EXPECT_TRUE(detect(packed(v, rows(v, 0, 1))));
    EXPECT_TRUE(detect(packed(v, execute(v, 0, id_of(1)))));
  }
  EXPECT_TRUE(detect(frame(0x42, 0, Opcode::kOptions, "")));
  for (const std::string& other :
       {"GET / HTTP/1.1\r\n\r\n"s, "\0\0\0\x08\x04\xd2\x16\x2f"s, ""s,
        frame(4, 0, Opcode::kOptions, "").substr(0, 8), frame(6, 0, Opcode::kOptions, ""),
        frame(4, 0, Opcode::kOptions, "x"), frame(4, 0, Opcode::kResult, be(1, 4)),
        frame(4, 0, Opcode::kQuery, be(900, 4) + "SELECT 1")}) {
    EXPECT_FALSE(detect(other)) << testing::PrintToString(other);
  }
}

}  // namespace
}  // namespace zerospan::protocols::cassandra
