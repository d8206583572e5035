// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/propagation/harm_budget.h"

namespace zerospan::propagation {

std::string HarmBudget::exceeded(std::chrono::steady_clock::time_point now) {
  const uint64_t broken = broken_.load(std::memory_order_relaxed);
  const uint64_t all = broken + answered_.load(std::memory_order_relaxed);
  const uint64_t stalled = stalled_.load(std::memory_order_relaxed);
  const auto seconds =
      std::to_string(std::chrono::duration_cast<std::chrono::seconds>(options_.window).count());
  if (stalled >= options_.stalls) {
    return std::to_string(stalled) + " connections stood still within " + seconds + " s";
  }
  if (broken >= options_.broken && broken * 100 >= all * options_.broken_percent) {
    return std::to_string(broken) + " of " + std::to_string(all) +
           " requests with an injected header got no answer before their connection ended, within " +
           seconds + " s";
  }
  if (now - window_begin_ >= options_.window) {
    window_begin_ = now;
    answered_.store(0, std::memory_order_relaxed);
    broken_.store(0, std::memory_order_relaxed);
    stalled_.store(0, std::memory_order_relaxed);
  }
  return "";
}

}  // namespace zerospan::propagation
