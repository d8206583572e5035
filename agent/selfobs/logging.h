// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The agent's log: one line per message on stderr, as text or as JSON. One log per process; every
// function here may be called from any thread, before configure() too (then: text, info, stderr).
//
// Levels by who acts: error = the operator must act, warn = something is degraded, info = a state
// changed, debug = for the developers. Never one line per event: where a message can repeat, use
// Limited. Control characters in a message (a traced program chooses some of our text) are escaped,
// so that a message is always one line.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

#include "agent/core/result.h"

namespace zerospan::selfobs::log {

enum class Level : uint8_t { kDebug = 0, kInfo = 1, kWarn = 2, kError = 3 };
enum class Format : uint8_t {
  kText,  // 2026-01-31T23:59:59.123Z warn  message
  kJson,  // {"time":"2026-01-31T23:59:59.123Z","level":"warn","message":"..."}
};

struct Options {
  Level level = Level::kInfo;
  Format format = Format::kText;
  int fd = 2;  // not owned; must stay open
};

void configure(const Options& options);

// "debug", "info", "warn" or "error"; "text" or "json".
[[nodiscard]] Result<Level> parse_level(std::string_view name);
[[nodiscard]] Result<Format> parse_format(std::string_view name);

[[nodiscard]] bool enabled(Level level);
void write(Level level, std::string_view message);

template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kError, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kWarn)) {
    write(Level::kWarn, fmt::format(format, std::forward<Args>(args)...));
  }
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kInfo)) {
    write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
  }
}
template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kDebug)) {
    write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
  }
}

[[nodiscard]] uint64_t monotonic_ns();

// At most `burst` messages at once, and one more each `interval_ns` after that.
struct Rate {
  uint32_t burst = 5;
  uint64_t interval_ns = 10'000'000'000;
};

// A token bucket for one call site. Thread-safe.
class TokenBucket {
 public:
  explicit TokenBucket(Rate rate) : rate_(rate), tokens_(rate.burst) {}
  // nullopt: suppress. Else how many were suppressed since the last one that passed.
  [[nodiscard]] std::optional<uint64_t> admit(uint64_t now_ns);

 private:
  const Rate rate_;
  std::mutex mutex_;
  uint64_t tokens_;
  uint64_t refilled_ns_ = 0;
  uint64_t suppressed_ = 0;
};

// A rate limit with a log behind it. Give each call site one of its own, as a static or a member:
//   static log::Limited limited;
//   limited.warn("cannot read {}", path);
// A message that passes after others were held back says how many.
class Limited {
 public:
  using Clock = uint64_t (*)();
  explicit Limited(Rate rate = {}, Clock clock = &monotonic_ns) : bucket_(rate), clock_(clock) {}

  template <typename... Args>
  void error(fmt::format_string<Args...> format, Args&&... args) {
    log(Level::kError, format, std::forward<Args>(args)...);
  }
  template <typename... Args>
  void warn(fmt::format_string<Args...> format, Args&&... args) {
    log(Level::kWarn, format, std::forward<Args>(args)...);
  }
  template <typename... Args>
  void info(fmt::format_string<Args...> format, Args&&... args) {
    log(Level::kInfo, format, std::forward<Args>(args)...);
  }
  template <typename... Args>
  void debug(fmt::format_string<Args...> format, Args&&... args) {
    log(Level::kDebug, format, std::forward<Args>(args)...);
  }

 private:
  template <typename... Args>
  void log(Level level, fmt::format_string<Args...> format, Args&&... args) {
    if (!enabled(level)) {
      return;
    }
    const std::optional<uint64_t> suppressed = bucket_.admit(clock_());
    if (!suppressed) {
      return;
    }
    std::string message = fmt::format(format, std::forward<Args>(args)...);
    if (*suppressed > 0) {
      message += fmt::format(" ({} more like this were not logged)", *suppressed);
    }
    write(level, message);
  }

  TokenBucket bucket_;
  Clock clock_;
};

}  // namespace zerospan::selfobs::log
