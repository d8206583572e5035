// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The kernel's walk over AMQP's frames, compiled for the host: what it captures tells the parser as
// much as all of the bytes, and no password is among it.

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "agent/protocols/amqp/testing.h"
#include "bpf/lib/frame_amqp.h"
#include "tests/structure/walker.h"

namespace zerospan {
namespace {

using protocols::Step;
using protocols::amqp::Runner;

struct AmqpWalk {
  static void start(zs_frame_walk* walk, bool client) { zs_amqp_start(walk, client); }
  static __u32 wanted(const zs_frame_walk* walk, __u32 left) { return zs_amqp_wanted(walk, left); }
  static int captured(zs_frame_walk* walk, const __u8* bytes, __u32 count) {
    return zs_amqp_captured(walk, bytes, count);
  }
};
using Walker = structure::Walker<AmqpWalk>;

TEST(AmqpWalk, CapturesWhatTheParserNeeds) {
  std::mt19937_64 random(1);
  structure::expect_same_from_walk<AmqpWalk, Runner>(
      200, [&] { return protocols::amqp::random_session(random, 30); }, 8);
}

TEST(AmqpWalk, CapturesNoPassword) {
  using namespace protocols::amqp;
  for (size_t split = 1; split < 40; ++split) {
    Runner runner;
    Walker walker;
    walker.start();
    const std::string start_ok = method(0, 10, 11, be(0, 4) + text("PLAIN") + long_text(kSecret));
    walker.step(runner, {true, kProtocol});
    walker.step(runner, {true, start_ok.substr(0, split)});
    walker.step(runner, {true, start_ok.substr(split) + method(0, 10, 21, long_text(kSecret)) +
                                   method(1, 20, 10, be(0, 1)) + publish(1, "", "q", "hello")});
    EXPECT_EQ(walker.captured.find("guest"), std::string::npos);
    EXPECT_EQ(walker.captured.find("PLAIN"), std::string::npos);
    EXPECT_EQ(runner.told, std::vector<std::string>{"publish q b5"}) << split;
  }
}

TEST(AmqpWalk, IsFoundAgainWhereAMethodBegins) {
  using namespace protocols::amqp;
  Runner runner(model::Role::kServer, false);
  Walker walker;
  walker.step(runner, {true, std::string(5000, 'x')});
  walker.step(runner, {true, content(1, "the rest of a message")});
  walker.step(runner, {true, publish(1, "", "q", std::string(5000, 'x'))});
  walker.step(runner, {true, publish(1, "", "r", "x")});
  EXPECT_EQ(runner.flagged, (std::vector<std::string>{"publish q b5000", "publish r b1"}));
  EXPECT_LT(walker.captured.size(), 300U);
}

}  // namespace
}  // namespace zerospan
