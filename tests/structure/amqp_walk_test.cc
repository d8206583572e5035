// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The kernel's walk over AMQP's frames, compiled for the host: what it captures tells the parser as
// much as all of the bytes, and no password is among it.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>

#include "agent/protocols/amqp/testing.h"
#include "bpf/lib/frame_amqp.h"

namespace zerospan {
namespace {

using protocols::Step;
using protocols::amqp::Runner;

// One connection's two directions, as the kernel follows them.
struct Walker {
  std::array<zs_http2_walk, 2> walks{};
  std::string captured;

  void start() {
    zs_amqp_start(&walks[0], true);
    zs_amqp_start(&walks[1], false);
  }

  // Gives the runner the stretches of an operation that are captured.
  void step(Runner& runner, const Step& step) {
    zs_http2_walk& walk = walks[step.request ? 0 : 1];
    const std::string& bytes = step.bytes;
    zs_http2_begin(&walk);
    size_t position = 0;
    size_t begin = 0;
    size_t kept = 0;
    const auto flush = [&](size_t end) {
      if (end > begin) {
        captured += bytes.substr(begin, kept);
        runner.step({step.request, bytes.substr(begin, end - begin)}, kept);
        begin = end;
        kept = 0;
      }
    };
    while (position < bytes.size()) {
      const auto left = static_cast<__u32>(bytes.size() - position);
      const __u32 count = zs_amqp_wanted(&walk, left);
      kept += count;
      const auto* at = reinterpret_cast<const __u8*>(bytes.data()) + position;
      position += count;
      if (count != 0 && !zs_amqp_captured(&walk, at, count)) {
        break;
      }
      const __u32 skipped = zs_http2_skipped(&walk, static_cast<__u32>(bytes.size() - position));
      position += skipped;
      if (skipped != 0) {
        flush(position);
      }
    }
    flush(bytes.size());
  }
};

TEST(AmqpWalk, CapturesWhatTheParserNeeds) {
  std::mt19937_64 random(1);
  size_t passed = 0;
  size_t all = 0;
  for (int round = 0; round < 200; ++round) {
    const auto steps = protocols::amqp::random_session(random, 30);
    Runner whole;
    Runner partial;
    Walker walker;
    walker.start();
    for (const Step& step : steps) {
      whole.step(step);
      all += step.bytes.size();
      // Splits anywhere, but for the first bytes, which the connection is known by.
      size_t least = &step == steps.data() ? 8 : 1;
      for (size_t at = 0; at < step.bytes.size();) {
        const size_t count = std::max<size_t>(least, 1 + random() % (1U << (random() % 12)));
        walker.step(partial, {step.request, step.bytes.substr(at, count)});
        at += std::min(count, step.bytes.size() - at);
        least = 1;
      }
    }
    passed += walker.captured.size();
    whole.finish();
    partial.finish();
    ASSERT_EQ(whole.told, partial.told) << round;
    ASSERT_TRUE(partial.flagged.empty());
    ASSERT_EQ(partial.counters.unparsed_bytes, 0U);
  }
  EXPECT_LT(passed, all * 3 / 4);  // long bodies are passed over
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
