// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/propagation/harm_budget.h"

namespace zerospan::propagation {

std::string HarmBudget::exceeded(std::chrono::steady_clock::time_point now, const Totals& totals) {
  const uint64_t broken = totals.broken - before_.broken;
  const uint64_t all = broken + totals.answered - before_.answered;
  const uint64_t stalled = totals.stalled - before_.stalled;
  const std::string within =
      " within " +
      std::to_string(std::chrono::duration_cast<std::chrono::seconds>(options_.window).count()) +
      " s";
  if (stalled >= options_.stalls) {
    return std::to_string(stalled) + " connections stood still" + within;
  }
  if (broken >= options_.broken && broken * 100 >= all * options_.broken_percent) {
    return std::to_string(broken) + " of " + std::to_string(all) +
           " requests with an injected header got no answer before their connection ended," +
           within;
  }
  if (now - window_begin_ >= options_.window) {
    window_begin_ = now;
    before_ = totals;
  }
  return "";
}

}  // namespace zerospan::propagation
