// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/app/injection.h"

#include <utility>

#include "agent/kernel/socket_programs.h"
#include "agent/selfobs/logging.h"

namespace zerospan::app {

namespace {

namespace log = selfobs::log;

constexpr std::chrono::seconds kRound{1};
constexpr uint64_t kRoundsBetweenLooks = 10;  // at other agents' programs

std::string reason_to_stand_aside() {
  const Result<std::vector<kernel::SocketProgram>> others = kernel::foreign_socket_programs();
  // Who may not look still attaches beside them, and the kernel refuses what does not go together.
  return others ? kernel::reason_to_stand_aside(*others) : "";
}

}  // namespace

Result<std::vector<propagation::SelfTestCheck>> test_injection(
    const Result<std::unique_ptr<kernel::InjectionTrial>>& trial, const std::stop_token& stop) {
  if (!trial) {
    return tl::unexpected(trial.error());
  }
  const propagation::ProgramUnderTest program{[&](int fd) { return (*trial)->put_in(fd); },
                                              [&](int fd) { return (*trial)->take_out(fd); }};
  // A second, as a rule. Time limits are for what never ends, not for a node that starts up under
  // load or a processor that is emulated.
  propagation::SelfTestOptions options;
  options.limit = std::chrono::minutes(3);
  options.limit_each = std::chrono::minutes(1);
  return propagation::run_self_test(program, options, stop);
}

Injection::Injection(kernel::Capture& capture, InjectionOptions options, Totals totals)
    : capture_(capture), options_(std::move(options)), totals_(std::move(totals)) {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

Injection::~Injection() {
  end();
}

void Injection::end() {
  if (thread_.joinable()) {
    thread_.request_stop();
    thread_.join();
    capture_.end_injection();
  }
}

Injection::Report Injection::report() const {
  const std::lock_guard lock(mutex_);
  return report_;
}

void Injection::wait_decided(std::chrono::milliseconds time) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, time, [this] { return report_.state != State::kTesting; });
}

void Injection::set(State state, const std::string& why_off) {
  const std::lock_guard lock(mutex_);
  report_.stopped = report_.state == State::kOn && state == State::kOff;
  report_.state = state;
  report_.why_off = why_off;
  changed_.notify_all();
}

std::string Injection::judge(const std::stop_token& stop) {
  if (const Status& loaded = capture_.injection(); !loaded) {
    return loaded.error().message;
  }
  if (std::string reason = reason_to_stand_aside(); !reason.empty()) {
    return reason;
  }
  const Result<std::vector<propagation::SelfTestCheck>> checks =
      test_injection(capture_.injection_trial(), stop);
  if (!checks) {
    return "its self-test could not be made: " + checks.error().message;
  }
  const propagation::Oddities oddities = propagation::judge(*checks, options_.tolerated);
  {
    const std::lock_guard lock(mutex_);
    for (const propagation::SelfTestCheck& check : *checks) {
      report_.checks_failed += check.passed() ? 0 : 1;
    }
  }
  if (!oddities.of_all.empty()) {
    return "this kernel's sockets behave in another way under it. " + oddities.of_all;
  }
  if (!oddities.of_blocking.empty()) {
    log::info(
        "injection leaves sockets in blocking mode alone, because this kernel's behave in another "
        "way under it. {}",
        oddities.of_blocking);
  }
  const propagation::Oddities untold = propagation::judge(*checks, {});
  for (const std::string& text :
       {untold.of_all, oddities.of_blocking.empty() ? untold.of_blocking : ""}) {
    if (!text.empty()) {
      log::warn("tolerated in sockets under the injecting program, as configured: {}", text);
    }
  }
  if (const Status status = capture_.begin_injection(oddities.of_blocking.empty()); !status) {
    return status.error().message;
  }
  return "";
}

std::string Injection::watch(uint64_t round) {
  propagation::HarmBudget::Totals totals = totals_();
  if (stalls_seen_) {
    if (const Result<size_t> stalled = capture_.take_out(); stalled) {
      if (*stalled > 0) {
        log::warn("{} connections stood still and get no trace context any more", *stalled);
      }
      const std::lock_guard lock(mutex_);
      report_.stalled += *stalled;
    } else {
      log::warn("connections that stand still are not noticed: {}", stalled.error().message);
      stalls_seen_ = false;
    }
  }
  totals.stalled = report().stalled;
  std::string reason = budget_.exceeded(std::chrono::steady_clock::now(), totals);
  if (reason.empty() && round % kRoundsBetweenLooks == 0) {
    reason = reason_to_stand_aside();
  }
  return reason;
}

void Injection::run(const std::stop_token& stop) {
  std::string why_off = judge(stop);
  if (stop.stop_requested()) {
    return;
  }
  if (!why_off.empty()) {
    log::warn("no trace context is injected: {}", why_off);
    set(State::kOff, why_off);
    return;
  }
  set(State::kOn, "");
  for (uint64_t round = 1;; ++round) {
    {
      std::unique_lock lock(mutex_);
      if (changed_.wait_for(lock, stop, kRound, [] { return false; }); stop.stop_requested()) {
        return;
      }
    }
    if (why_off = watch(round); !why_off.empty()) {
      capture_.end_injection();
      log::warn("no more trace context is injected: {}", why_off);
      set(State::kOff, why_off);
      return;
    }
  }
}

}  // namespace zerospan::app
