// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Watches injection in use. A single broken connection proves nothing: networks and peers break
// them, too. When more of those that were given a header come to harm than could be by chance, it
// is time to stop, whoever is to blame.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace zerospan::propagation {

class HarmBudget {
 public:
  struct Options {
    std::chrono::milliseconds window = std::chrono::minutes(1);
    // Connections that did not get rid of what was sent, in a window.
    uint64_t stalls = 3;
    // Requests with an injected header whose connection ended without a byte of an answer, in a
    // window: so many, and this share of all with an injected header.
    uint64_t broken = 20;
    uint64_t broken_percent = 20;
  };
  // Since the start; none of them ever goes back.
  struct Totals {
    uint64_t answered = 0;  // requests with an injected header
    uint64_t broken = 0;    // such, but as above
    uint64_t stalled = 0;   // connections that were taken out because they stood still
  };
  HarmBudget() : HarmBudget(Options{}) {}
  explicit HarmBudget(const Options& options) : options_(options) {}

  // About once a second. Why injection must end; empty while it may go on.
  std::string exceeded(std::chrono::steady_clock::time_point now, const Totals& totals);

 private:
  Options options_;
  std::chrono::steady_clock::time_point window_begin_;
  Totals before_;  // the window
};

}  // namespace zerospan::propagation
