// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The kernel's walks over frames, on the host. Included by their tests only.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include "agent/protocols/messaging_runner.h"
#include "bpf/lib/frame_walk.h"

namespace zerospan::structure {

// One connection's two directions, as the kernel follows them. `Walk` has the protocol's own part.
template <typename Walk>
struct Walker {
  std::array<zs_frame_walk, 2> walks{};  // the client's, the server's
  std::string captured;

  void start() {
    Walk::start(&walks[0], true);
    Walk::start(&walks[1], false);
  }

  // Gives the runner the stretches of an operation that are captured.
  template <typename Runner>
  void step(Runner& runner, const protocols::Step& step) {
    zs_frame_walk& walk = walks[step.request ? 0 : 1];
    const std::string& bytes = step.bytes;
    zs_frame_begin(&walk);
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
      __u32 count = Walk::wanted(&walk, static_cast<__u32>(bytes.size() - position));
      const auto* at = reinterpret_cast<const __u8*>(bytes.data()) + position;
      const bool goes_on = count == 0 || captures(walk, at, &count);
      kept += count;
      position += count;
      if (!goes_on) {
        zs_frame_lose(&walk);
        break;
      }
      const __u32 skipped = zs_frame_skipped(&walk, static_cast<__u32>(bytes.size() - position));
      position += skipped;
      if (ends_stretch(walk, skipped)) {
        flush(position);
      }
    }
    flush(bytes.size());
  }

 private:
  // Such a walk may keep fewer bytes than it reads, and tells where a stretch ends.
  static constexpr bool kOfLines =
      requires(zs_frame_walk* walk, __u32* count) { Walk::captured(walk, nullptr, count); };
  static bool captures(zs_frame_walk& walk, const __u8* bytes, __u32* count) {
    if constexpr (kOfLines) {
      return Walk::captured(&walk, bytes, count) != 0;
    } else {
      return Walk::captured(&walk, bytes, *count) != 0;
    }
  }
  static bool ends_stretch(const zs_frame_walk& walk, __u32 skipped) {
    if constexpr (kOfLines) {
      return Walk::ends(&walk, skipped);
    } else {
      return skipped != 0;
    }
  }
};

// Sessions, split anywhere but for the first bytes, which the connection is known by, tell the same
// as all of their bytes.
template <typename Walk, typename Runner, typename Make>
void expect_same_from_walk(int rounds, const Make& make_session, size_t first_bytes) {
  std::mt19937_64 random(1);
  size_t captured = 0;
  size_t all = 0;
  for (int round = 0; round < rounds; ++round) {
    const std::vector<protocols::Step> steps = make_session();
    Runner whole;
    Runner partial;
    Walker<Walk> walker;
    walker.start();
    for (const protocols::Step& step : steps) {
      whole.step(step);
      all += step.bytes.size();
      size_t least = &step == steps.data() ? first_bytes : 1;
      for (size_t at = 0; at < step.bytes.size();) {
        const size_t count = std::max<size_t>(least, 1 + random() % (1U << (random() % 12)));
        walker.step(partial, {step.request, step.bytes.substr(at, count)});
        at += std::min(count, step.bytes.size() - at);
        least = 1;
      }
    }
    captured += walker.captured.size();
    whole.finish();
    partial.finish();
    ASSERT_EQ(whole.told, partial.told) << round;
    ASSERT_TRUE(partial.flagged.empty());
    ASSERT_EQ(partial.counters.unparsed_bytes, 0U);
  }
  EXPECT_LT(captured, all * 3 / 4);  // long bodies are passed over
}

}  // namespace zerospan::structure
