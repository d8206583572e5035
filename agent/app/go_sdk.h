// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Whether the OpenTelemetry SDK that a Go program has linked is in use: many large programs link it
// and leave it off until they are configured otherwise. One that is in use has a span processor,
// and but for the simplest of them, a goroutine waits in that processor's queue. It is looked for
// among the program's goroutines: at once, when the program begins to listen, and at growing
// intervals. Until the first half second is over, spans of the program wait for the answer. Owned
// and called by the thread of GoPrograms.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>

#include "agent/discovery/own_sdk.h"
#include "symbols/go/inspect.h"

namespace zerospan::app {

// Of one file; addresses as the file has them.
struct GoSdkFacts {
  symbols::go::OtelModules otel;
  uint64_t allgs = 0;
  std::optional<uint32_t> g_m;
};
[[nodiscard]] GoSdkFacts go_sdk_facts(const symbols::go::GoBinary& binary);

class GoSdkWatch {
 public:
  using Clock = std::chrono::steady_clock;

  // `bias`: where the file lies in the process's memory. `found` may be null.
  void begin(uint32_t pid, std::shared_ptr<discovery::GoSdk> found, const GoSdkFacts& facts,
             uint64_t bias);
  void end(uint32_t pid) { watched_.erase(pid); }
  // The process begins to listen: its SDK, if it uses one, is set up about now.
  void on_listen(uint32_t pid);
  // Looks at those whose time has come.
  void look_when_due();
  // When the next one is due; none if none is.
  [[nodiscard]] std::optional<Clock::time_point> next() const;

 private:
  struct Watched {
    std::shared_ptr<discovery::GoSdk> found;
    model::OwnSdk spans;
    uint64_t allgs = 0;
    uint32_t g_m = 0;
    uint64_t queue_begin = 0;
    uint64_t queue_end = 0;
    Clock::time_point since;
    Clock::time_point next;
    std::chrono::milliseconds interval{};
    bool listens = false;
  };
  // False: nothing is left to look for.
  static bool look(uint32_t pid, Watched& watched);

  std::unordered_map<uint32_t, Watched> watched_;
};

}  // namespace zerospan::app
