// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The live agent: kernel side, discovery, one pipeline per ring. Threads: W workers (ring to
// spans), one watcher (processes), and whatever the span sink brings along. Made, run and destroyed
// by the main thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent/app/go_programs.h"
#include "agent/app/injection.h"
#include "agent/app/kubernetes.h"
#include "agent/app/pipeline.h"
#include "agent/app/statistics.h"
#include "agent/config/config.h"
#include "agent/core/result.h"
#include "agent/discovery/process_table.h"
#include "agent/kernel/capture.h"
#include "agent/kernel/recording.h"
#include "agent/selfobs/metrics.h"

namespace zerospan::app {

// Called by the workers, concurrently. Must not wait.
using SpanSink = std::function<void(std::vector<model::Span>&&)>;

class Agent {
 public:
  // Loads and attaches the kernel side, finds the processes, and starts the threads. `recording`
  // may be null; it must outlive the agent.
  static Result<std::unique_ptr<Agent>> start(const config::Config& config, SpanSink sink,
                                              uint64_t seed, kernel::RecordingWriter* recording);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // Drains the rings, gives out what is open, and ends the threads. The sink is not called after
  // it. Idempotent.
  void stop();

  // The main thread. What can change while it runs becomes as in `config`; the rest of `config` is
  // ignored. If it fails, nothing has changed. Waits until it has happened, two seconds at most.
  Status reconfigure(const config::Config& config);

  // Any thread. Without the exporter's part.
  [[nodiscard]] Statistics statistics() const;
  [[nodiscard]] const kernel::Capture& capture() const { return *capture_; }
  [[nodiscard]] const GoPrograms& go_programs() const { return *go_programs_; }
  // Null if it was not asked for.
  [[nodiscard]] const Injection* injection() const { return injection_.get(); }
  // The last things that were not understood or not seen whole, oldest first. After stop().
  [[nodiscard]] std::vector<Remark> remarks() const;
  // Null if it is not selected.
  [[nodiscard]] std::shared_ptr<const discovery::ProcessInfo> process(uint32_t pid) const {
    return processes_->view()->snapshot()->find(pid);
  }
  // How long records wait and take, and how full the rings become. Any thread.
  void collect_stages(selfobs::Samples& samples) const;

 private:
  struct Worker {
    std::unique_ptr<Pipeline> pipeline;
    std::unique_ptr<discovery::ProcessReader> reader;
    std::unordered_map<uint32_t, Process> recorded;  // already in the recording
    mutable std::mutex mutex;
    PipelineCounters published;                // under the mutex
    std::optional<PipelineRules> next_rules;   // to be taken over; the same
    std::vector<uint32_t> deselected;          // processes whose connections are to go; the same
    std::atomic<uint64_t> ring_peak_bytes{0};  // the most that one look found
    std::thread thread;
  };

  Agent(SpanSink sink, uint64_t seed, kernel::RecordingWriter* recording);
  void run_worker(uint32_t index);
  void run_watcher();
  // What run_watcher() was asked for by reconfigure().
  void judge_anew();
  void watch_go_sdks();
  [[nodiscard]] bool taken_over();
  void apply(const discovery::Actions& actions);
  // The same for processes that go on while they are deselected: what is open of them is given out.
  void apply_to_running(const discovery::Actions& actions);
  // The kernel side captured a process for the time until it was judged; ends that unless it was
  // selected.
  void settle(uint32_t pid);
  void record_clock(uint32_t ring, const spans::ClockAnchor& anchor);
  [[nodiscard]] Process lookup(uint32_t ring, uint32_t pid);

  SpanSink sink_;
  kernel::RecordingWriter* recording_;
  std::unique_ptr<Kubernetes> kubernetes_;  // null: not in a cluster
  std::unique_ptr<kernel::Capture> capture_;
  std::unique_ptr<discovery::ProcessTable> processes_;
  std::unique_ptr<GoPrograms> go_programs_;
  struct WatchedSdk {
    std::shared_ptr<const discovery::GoSdk> sdk;
    bool propagates = false;
  };
  std::map<uint32_t, WatchedSdk> go_sdks_;  // of selected processes; the watcher's
  std::vector<std::unique_ptr<Worker>> workers_;
  std::thread watcher_;
  std::unique_ptr<Injection> injection_;
  discovery::Host host_;
  const uint64_t seed_;
  std::mutex rules_mutex_;
  std::optional<discovery::ProcessTableOptions> next_rules_;  // for the watcher; under the mutex
  bool judging_ = false;                                      // by what was in it; the same
  selfobs::Histogram ring_wait_;       // seconds from a look's first record to the look
  selfobs::Histogram pipeline_time_;   // seconds from a look to its spans, handed on
  std::atomic<bool> watching_{true};   // the watcher goes on
  std::atomic<bool> stopping_{false};  // the workers end
};

// A process as JSON for EntryType::kProcess, and back.
[[nodiscard]] std::string encode_process(uint32_t pid, const Process& process);
struct RecordedProcess {
  uint32_t pid = 0;
  Process process;
};
[[nodiscard]] Result<RecordedProcess> decode_process(std::string_view json);

}  // namespace zerospan::app
