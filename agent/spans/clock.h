// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Monotonic kernel stamps to wall clock times. Plain values, no state: whoever owns the worker
// threads measures an anchor about once a second (so a stepped or slewed wall clock is followed)
// and hands it on. Both ends of one span are converted with the same anchor, so its duration is
// exactly the monotonic one.
#pragma once

#include <cstdint>

namespace zerospan::spans {

// The same instant on both clocks, in nanoseconds.
struct ClockAnchor {
  uint64_t monotonic_ns = 0;  // CLOCK_MONOTONIC
  uint64_t unix_ns = 0;       // CLOCK_REALTIME

  // Unsigned arithmetic wraps, so instants before the anchor are right as well.
  [[nodiscard]] constexpr uint64_t to_unix_ns(uint64_t stamp_ns) const {
    return unix_ns + (stamp_ns - monotonic_ns);
  }
};

// Reads both clocks a few times and keeps the reading with the smallest uncertainty (normally below
// 100 ns). Any thread.
[[nodiscard]] ClockAnchor measure_clock_anchor();

}  // namespace zerospan::spans
