// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Whether trace context is injected into what traced programs send: after a self-test on this
// kernel, beside no program that it would take sockets from, and as long as nothing comes to harm.
// Once off it stays off until the agent starts anew.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "agent/kernel/capture.h"
#include "agent/propagation/harm_budget.h"
#include "agent/propagation/self_check.h"

namespace zerospan::app {

struct InjectionOptions {
  std::vector<std::string> tolerated;  // checks of the self-test that may fail
};

// A self-test with the programs that `trial` has, or why there was none.
[[nodiscard]] Result<std::vector<propagation::SelfTestCheck>> test_injection(
    const Result<std::unique_ptr<kernel::InjectionTrial>>& trial, const std::stop_token& stop);

class Injection {
 public:
  enum class State : uint8_t { kTesting, kOn, kOff };
  struct Report {
    State state = State::kTesting;
    bool stopped = false;        // it was on
    std::string why_off;         // a sentence
    uint64_t checks_failed = 0;  // of the self-test
    uint64_t stalled = 0;        // connections that were taken out because they stood still
  };
  // What became of requests with an injected header, since the start. Any thread.
  using Totals = std::function<propagation::HarmBudget::Totals()>;

  // Starts a thread of its own, and returns. `capture` was made with CaptureOptions::propagate;
  // both outlive this.
  Injection(kernel::Capture& capture, InjectionOptions options, Totals totals);
  ~Injection();
  Injection(const Injection&) = delete;
  Injection& operator=(const Injection&) = delete;

  // Nothing is injected any more. Idempotent; report() stays as it was.
  void end();

  // Any thread.
  [[nodiscard]] Report report() const;
  // Any thread. Waits until it is on or off, or for as long as this.
  void wait_decided(std::chrono::milliseconds time) const;

 private:
  void run(const std::stop_token& stop);
  // Why it may not begin.
  std::string judge(const std::stop_token& stop);
  // Why it must end; empty as long as it may go on. Once a second.
  std::string watch(uint64_t round);
  void set(State state, const std::string& why_off);

  kernel::Capture& capture_;
  const InjectionOptions options_;
  const Totals totals_;
  propagation::HarmBudget budget_;  // the thread's
  bool stalls_seen_ = true;         // they can be looked for; the thread's
  mutable std::mutex mutex_;
  mutable std::condition_variable_any changed_;
  Report report_;  // under the mutex
  std::jthread thread_;
};

}  // namespace zerospan::app
