// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Where a run's spans go: to an exporter, or to a person.
#pragma once

#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/app/statistics.h"
#include "agent/config/command_line.h"
#include "agent/core/result.h"
#include "agent/model/span.h"

namespace zerospan::app {

class SpanOutput {
 public:
  virtual ~SpanOutput() = default;
  // Any thread; never waits.
  virtual void offer(std::vector<model::Span>&& spans) = 0;
  // The main thread, every few tens of milliseconds.
  virtual void tick() = 0;
  // The main thread: waits until all that was offered is written or dropped. For a replay, which
  // has no hurry.
  virtual void drain() = 0;
  // The main thread: gets ready to send where `config` says. The change is made when the result is
  // called; until then all is as it was.
  [[nodiscard]] virtual Result<std::function<void()>> prepare(const config::Config& config) = 0;
  // The main thread, once, after the last offer: writes or drops what is left within `deadline`.
  virtual void finish(std::chrono::milliseconds deadline) = 0;
  // Any thread: the counters of what became of the spans.
  virtual void count(Statistics& statistics) const = 0;
  // A table of what was seen, for the end of `trace`; empty if this output keeps none.
  [[nodiscard]] virtual std::string summary(const Statistics& statistics) const = 0;
};

// For `run`: by the exporter settings.
[[nodiscard]] Result<std::unique_ptr<SpanOutput>> make_export_output(const config::Config& config);
// For `trace` and `replay`: a format and a file (empty: standard output).
[[nodiscard]] Result<std::unique_ptr<SpanOutput>> make_trace_output(const config::Config& config,
                                                                    config::OutputFormat format,
                                                                    const std::string& path);

}  // namespace zerospan::app
