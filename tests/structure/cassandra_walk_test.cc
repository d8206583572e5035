// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The kernel's walk over Cassandra's frames and segments, compiled for the host: what it captures
// tells the parser as much as all of the bytes, and no password is among it.

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "agent/protocols/cassandra/testing.h"
#include "bpf/lib/frame_cassandra.h"
#include "tests/structure/walker.h"

namespace zerospan {
namespace {

using namespace std::string_literals;
using protocols::Step;
using protocols::cassandra::Runner;

struct CassandraWalk {
  static void start(zs_frame_walk* walk, bool /*client*/) { zs_frame_follow(walk, 0); }
  static __u32 wanted(const zs_frame_walk* walk, __u32 left) {
    return zs_cassandra_wanted(walk, left);
  }
  static int captured(zs_frame_walk* walk, const __u8* bytes, __u32* count) {
    *count = zs_cassandra_captured(walk, bytes, *count);
    return walk->followed != ZS_FRAME_LOST;
  }
  static bool ends(const zs_frame_walk* /*walk*/, __u32 skipped) { return skipped != 0; }
};
using Walker = structure::Walker<CassandraWalk>;

TEST(CassandraWalk, CapturesWhatTheParserNeeds) {
  std::mt19937_64 random(1);
  structure::expect_same_from_walk<CassandraWalk, Runner>(
      400, [&] { return protocols::cassandra::random_session(random, 30); },
      ZS_CASSANDRA_HEADER_BYTES);
}

TEST(CassandraWalk, KeepsAsMuchAsTheParserLooksAt) {
  using namespace protocols::cassandra;
  for (unsigned opcode = 0; opcode <= ZS_CASSANDRA_AUTH_SUCCESS; ++opcode) {
    for (const unsigned first : {4U, 0x84U}) {
      for (const unsigned flags : {0U, 1U}) {
        const std::string bytes = frame(first, 1, static_cast<Opcode>(opcode), "", flags);
        const auto* header = reinterpret_cast<const __u8*>(bytes.data());
        const auto read = read_header(bytes);
        EXPECT_EQ(zs_cassandra_plausible(header) != 0, read.has_value()) << opcode;
        if (read) {
          EXPECT_EQ(zs_cassandra_kept(header), kept_bytes(*read)) << opcode;
        }
      }
    }
  }
}

TEST(CassandraWalk, CapturesNoPassword) {
  using namespace protocols::cassandra;
  for (const unsigned version : {4U, 5U}) {
    const std::string login =
        packed(version, frame(version, 2, Opcode::kAuthResponse, text32("\0user\0secret"s)));
    const std::string bytes = login + packed(version, query(version, 3, "SELECT 1")) + login;
    for (size_t split = 1; split < bytes.size(); ++split) {
      Runner runner;
      Walker walker;
      walker.start();
      walker.step(runner, {true, startup(version, 1)});
      walker.step(runner, {false, answer(version, 1, Opcode::kAuthenticate, text16("a"))});
      walker.step(runner, {true, bytes.substr(0, split)});
      walker.step(runner, {true, bytes.substr(split)});
      walker.step(runner, {false, packed(version, answer(version, 2, Opcode::kAuthSuccess, "") +
                                                      done(version, 3))});
      EXPECT_EQ(walker.captured.find("secret"), std::string::npos);
      EXPECT_EQ(walker.captured.find("user"), std::string::npos);
      EXPECT_EQ(runner.told.size(), 1U) << split;
      EXPECT_EQ(runner.counters.unparsed_bytes, 0U);
    }
  }
}

TEST(CassandraWalk, LosesNoPasswordWithTheFrames) {
  using namespace protocols::cassandra;
  for (const unsigned version : {4U, 5U}) {
    const std::string bytes =
        packed(version, frame(version, 2, Opcode::kAuthResponse, text32("\0user\0secret"s)));
    for (size_t split = 1; split < bytes.size(); ++split) {
      Runner runner;
      Walker walker;
      walker.start();
      walker.step(runner, {true, startup(version, 1)});
      walker.step(runner, {true, bytes.substr(0, split)});
      zs_frame_lose(&walker.walks[0]);
      walker.step(runner, {true, bytes.substr(split)});
      EXPECT_EQ(walker.captured.find("secret"), std::string::npos);
      EXPECT_EQ(walker.captured.find("user"), std::string::npos);
    }
  }
}

TEST(CassandraWalk, FindsFramesAgain) {
  using namespace protocols::cassandra;
  for (const unsigned version : {3U, 4U, 5U}) {
    Runner runner(model::Role::kServer, false);
    Walker walker;
    walker.step(runner, {true, "the middle of something"});
    for (int stream = 0; stream < 4; ++stream) {
      const std::string text = "SELECT " + std::string(5000, 'x');
      walker.step(runner, {true, packed(version, query(version, stream, text) +
                                                     query(version, stream + 100, "SELECT 2"))});
      walker.step(runner, {false, packed(version, done(version, stream + 100) +
                                                      rows(version, stream, 90, 200))});
    }
    EXPECT_EQ(runner.told.size(), 8U) << version;
    EXPECT_EQ(runner.flagged.size(), 0U);
  }
}

}  // namespace
}  // namespace zerospan
