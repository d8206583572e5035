// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// When to send again after a failure that may pass: exponential back-off with jitter, never before
// the time that the receiver asked for. Times come in as arguments. Used by one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>

namespace zerospan::batch {

struct RetryOptions {
  std::chrono::milliseconds initial_interval{500};
  std::chrono::milliseconds max_interval{5000};
  double multiplier = 2.0;
  double jitter = 0.2;  // each interval is drawn from [1 - jitter, 1 + jitter] of its length
  // How long one request is tried before its spans are given up. Longer than a restart of the
  // receiver; the queue bounds what is kept meanwhile.
  std::chrono::milliseconds max_elapsed{300'000};
};

class RetrySchedule {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  RetrySchedule(const RetryOptions& options, uint64_t seed) : options_(options), random_(seed) {}

  // A new request; its time to live starts. A wait that an earlier request brought about still
  // holds.
  void begin_request(TimePoint now) { expires_ = now + options_.max_elapsed; }
  // No send before this.
  [[nodiscard]] TimePoint not_before() const { return not_before_; }
  [[nodiscard]] TimePoint expires() const { return expires_; }
  // False: the next attempt would come after the request's expiry, so give it up.
  [[nodiscard]] bool on_failure(TimePoint now, std::optional<std::chrono::milliseconds> asked_for);
  void on_answer();  // the receiver is there again: start from the initial interval

 private:
  RetryOptions options_;
  std::minstd_rand random_;
  std::chrono::duration<double, std::milli> interval_{0};
  TimePoint not_before_{};
  TimePoint expires_{};
};

}  // namespace zerospan::batch
