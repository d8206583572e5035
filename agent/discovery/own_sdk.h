// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The OpenTelemetry SDK that a process carries already, by what was put around its program: its
// command line and its environment. What is inside a Go program's file, its reader tells later.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/discovery/runtime.h"
#include "agent/model/own_sdk.h"

namespace zerospan::discovery {

struct FoundSdk {
  std::string name;         // for the operator; empty: none is known
  std::string switched_by;  // the setting that switches it off; empty: it is on
  model::OwnSdk spans;      // nothing if it is off
  bool operator==(const FoundSdk&) const = default;
};

// What was put around a program.
struct Program {
  std::string_view executable;
  const std::vector<std::string>& arguments;
  std::string_view environment;  // as ProcFs::environment gives it
};

// Files as the process sees them.
struct Files {
  std::function<std::vector<std::string>(const std::string& path)> list;  // names in a directory
  std::function<std::string(const std::string& path)> read;  // a small one; empty: it is not there
};

// Settings of https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and
// of each language's agent. Pure but for `files`: directories are looked at for Python, and files
// that Node.js loads before a program are read.
[[nodiscard]] FoundSdk find_sdk(Runtime runtime, const Program& program, const Files& files);

// What a Go program's reader finds of its SDK. Written by one thread, read by any.
class GoSdk {
 public:
  enum class State : uint8_t {
    kUnknown,  // it is still looked for
    kNone,     // none, or none that makes spans
    kIdle,     // it is linked, but exports nothing
    kRuns,
  };
  void set(State state, model::OwnSdk spans) {
    value_.store(
        static_cast<uint32_t>(state) << 24U | (spans.sends_context ? kSends : 0U) | spans.makes,
        std::memory_order_release);
  }
  [[nodiscard]] State state() const {
    return static_cast<State>(value_.load(std::memory_order_acquire) >> 24U);
  }
  // What it makes if it runs.
  [[nodiscard]] model::OwnSdk linked() const {
    const uint32_t value = value_.load(std::memory_order_acquire);
    return {value & (kSends - 1), (value & kSends) != 0};
  }

 private:
  static constexpr uint32_t kSends = 1U << 23U;  // above all span classes
  std::atomic<uint32_t> value_{0};
};

}  // namespace zerospan::discovery
