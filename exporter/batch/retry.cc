// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "exporter/batch/retry.h"

#include <algorithm>

namespace zerospan::batch {

bool RetrySchedule::on_failure(TimePoint now, std::optional<std::chrono::milliseconds> asked_for) {
  using Fractional = std::chrono::duration<double, std::milli>;
  interval_ = interval_ == Fractional::zero()
                  ? Fractional(options_.initial_interval)
                  : std::min<Fractional>(interval_ * options_.multiplier, options_.max_interval);
  std::uniform_real_distribution<double> factor(1.0 - options_.jitter, 1.0 + options_.jitter);
  auto wait =
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(interval_ * factor(random_));
  if (asked_for) {
    wait = std::max<std::chrono::steady_clock::duration>(wait, *asked_for);
  }
  not_before_ = now + wait;
  return not_before_ <= expires_;
}

void RetrySchedule::on_answer() {
  interval_ = interval_.zero();
  not_before_ = {};
}

}  // namespace zerospan::batch
