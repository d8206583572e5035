// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The kernel's walk over NATS's lines, compiled for the host: what it captures tells the parser as
// much as all of the bytes, and no password is among it.

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "agent/protocols/nats/testing.h"
#include "bpf/lib/frame_nats.h"
#include "tests/structure/walker.h"

namespace zerospan {
namespace {

using namespace std::string_literals;
using protocols::Step;
using protocols::nats::Runner;

struct NatsWalk {
  static void start(zs_frame_walk* walk, bool /*client*/) { zs_frame_follow(walk, 0); }
  static __u32 wanted(const zs_frame_walk* walk, __u32 left) { return zs_nats_wanted(walk, left); }
  static int captured(zs_frame_walk* walk, const __u8* bytes, __u32* count) {
    *count = zs_nats_captured(walk, bytes, *count);
    return walk->followed != ZS_FRAME_LOST;
  }
  static bool ends(const zs_frame_walk* walk, __u32 skipped) {
    return zs_nats_stretch_ends(walk, skipped) != 0;
  }
};
using Walker = structure::Walker<NatsWalk>;

TEST(NatsWalk, CapturesWhatTheParserNeeds) {
  std::mt19937_64 random(1);
  structure::expect_same_from_walk<NatsWalk, Runner>(
      400, [&] { return protocols::nats::random_session(random, 30); }, 6);
}

TEST(NatsWalk, CapturesNoPassword) {
  using namespace protocols::nats;
  const std::string bytes = connect() + "PING\r\n" + pub("a", "x") + connect() + pub("b", "x");
  for (size_t split = 1; split < bytes.size(); ++split) {
    Runner runner;
    Walker walker;
    walker.start();
    walker.step(runner, {false, info()});
    walker.step(runner, {true, bytes.substr(0, split)});
    walker.step(runner, {true, bytes.substr(split)});
    walker.step(runner, {false, "PONG\r\nPONG\r\n"});
    EXPECT_EQ(walker.captured.find("secret"), std::string::npos);
    EXPECT_EQ(walker.captured.find("JJ"), std::string::npos);
    EXPECT_EQ(walker.captured.find("SS"), std::string::npos);
    EXPECT_EQ(runner.counters.exchanges, 4U) << split;
    EXPECT_EQ(runner.counters.unparsed_bytes, 0U);
  }
}

TEST(NatsWalk, LosesNoPasswordWithTheFrames) {
  using namespace protocols::nats;
  const std::string bytes = connect();
  for (size_t split = 1; split < bytes.size(); ++split) {
    Runner runner;
    Walker walker;
    walker.start();
    walker.step(runner, {true, bytes.substr(0, split)});
    zs_frame_lose(&walker.walks[0]);
    walker.step(runner, {true, bytes.substr(split)});
    EXPECT_EQ(walker.captured.find("secret"), std::string::npos);
    EXPECT_EQ(walker.captured.find("JJ"), std::string::npos);
  }
}

TEST(NatsWalk, IsFoundAgainAtAMessage) {
  using namespace protocols::nats;
  for (const std::string& bad : {"+what\r\n"s, "PUB a x\r\n"s, std::string(700, 'P') + "\r\n",
                                 "PUB " + std::string(700, 'a') + " 1\r\nx\r\n"}) {
    Runner runner;
    Walker walker;
    walker.start();
    walker.step(runner, {false, info()});
    walker.step(runner, {true, pub("first", "x")});
    zs_frame_lose(&walker.walks[0]);
    walker.step(runner, {true, "0" + pub("lost", "x")});
    walker.step(runner, {true, pub("found", "x") + bad + pub("lost", "x")});
    walker.step(runner, {true, pub("again", "x")});
    EXPECT_EQ(runner.told, (std::vector<std::string>{"publish first b1", "publish found b1",
                                                     "publish again b1"}))
        << bad;
  }
}

}  // namespace
}  // namespace zerospan
