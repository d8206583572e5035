// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The kernel's walk over MQTT's packets, compiled for the host: what it captures tells the parser
// as much as all of the bytes, and no password is among it.

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "agent/protocols/mqtt/testing.h"
#include "bpf/lib/frame_mqtt.h"
#include "tests/structure/walker.h"

namespace zerospan {
namespace {

using protocols::Step;
using protocols::mqtt::Runner;

struct MqttWalk {
  static void start(zs_frame_walk* walk, bool /*client*/) { zs_frame_follow(walk, 0); }
  static __u32 wanted(const zs_frame_walk* walk, __u32 left) { return zs_mqtt_wanted(walk, left); }
  static int captured(zs_frame_walk* walk, const __u8* bytes, __u32 count) {
    return zs_mqtt_captured(walk, bytes, count);
  }
};
using Walker = structure::Walker<MqttWalk>;

TEST(MqttWalk, CapturesWhatTheParserNeeds) {
  std::mt19937_64 random(1);
  structure::expect_same_from_walk<MqttWalk, Runner>(
      200, [&] { return protocols::mqtt::random_session(random, 30); }, 13);
}

TEST(MqttWalk, CapturesNoPassword) {
  using namespace protocols::mqtt;
  for (const int version : {4, 5}) {
    for (size_t split = 1; split < 30; ++split) {
      Runner runner;
      Walker walker;
      walker.start();
      const std::string bytes =
          connect(version) + packet(0xf0, "secret") + publish(version, {"a", "x"});
      // Its first byte is read by itself, or more than what names it.
      const size_t first = split == 1 ? 1 : 12 + split;
      walker.step(runner, {true, bytes.substr(0, first)});
      walker.step(runner, {true, bytes.substr(first)});
      EXPECT_EQ(walker.captured.find("secret"), std::string::npos);
      EXPECT_EQ(walker.captured.find("user"), std::string::npos);
      EXPECT_EQ(runner.told, std::vector<std::string>{"publish a b1"}) << split;
    }
  }
}

TEST(MqttWalk, IsFoundAgainAtAPing) {
  using namespace protocols::mqtt;
  Runner runner;
  Walker walker;
  walker.start();
  walker.step(runner, {true, connect(4)});
  zs_frame_lose(&walker.walks[0]);
  walker.step(runner, {true, publish(4, {"lost", "x"})});
  walker.step(runner, {true, packet(0xc0, "") + publish(4, {"found", "x"})});
  EXPECT_EQ(runner.told, std::vector<std::string>{"publish found b1"});
}

}  // namespace
}  // namespace zerospan
