// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/clock.h"

#include <ctime>
#include <limits>

namespace zerospan::spans {

namespace {

uint64_t read_clock(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace

ClockAnchor measure_clock_anchor() {
  // A preemption between the readings shows as a long interval; five tries make it unlikely that
  // all of them were hit.
  constexpr int kTries = 5;
  ClockAnchor best;
  uint64_t best_interval = std::numeric_limits<uint64_t>::max();
  for (int i = 0; i < kTries; ++i) {
    const uint64_t before = read_clock(CLOCK_MONOTONIC);
    const uint64_t unix_now = read_clock(CLOCK_REALTIME);
    const uint64_t interval = read_clock(CLOCK_MONOTONIC) - before;
    if (interval < best_interval) {
      best_interval = interval;
      best = {before + interval / 2, unix_now};
    }
  }
  return best;
}

}  // namespace zerospan::spans
