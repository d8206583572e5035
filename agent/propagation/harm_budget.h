// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Watches injection in use. A single broken connection proves nothing: networks and peers break
// them, too. When more of those that were given a header come to harm than could be by chance, it is
// time to stop, whoever is to blame.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

namespace zerospan::propagation {

class HarmBudget {
 public:
  struct Options {
    std::chrono::milliseconds window = std::chrono::minutes(1);
    // Connections that did not get rid of what was sent, in a window.
    uint32_t stalls = 3;
    // Requests with an injected header whose connection ended without a byte of an answer, in a
    // window: so many, and this share of all with an injected header.
    uint32_t broken = 20;
    uint32_t broken_percent = 20;
  };
  HarmBudget() : HarmBudget(Options{}) {}
  explicit HarmBudget(const Options& options) : options_(options) {}

  // Any thread. A request with an injected header has ended.
  void answered() { answered_.fetch_add(1, std::memory_order_relaxed); }
  void broken() { broken_.fetch_add(1, std::memory_order_relaxed); }
  // Any thread. A connection was taken out because it stood still.
  void stalled() { stalled_.fetch_add(1, std::memory_order_relaxed); }

  // One thread, about once a second. Why injection must end; empty while it may go on.
  std::string exceeded(std::chrono::steady_clock::time_point now);

 private:
  Options options_;
  std::chrono::steady_clock::time_point window_begin_;
  std::atomic<uint64_t> answered_{0};
  std::atomic<uint64_t> broken_{0};
  std::atomic<uint64_t> stalled_{0};
};

}  // namespace zerospan::propagation
