// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/app/agent.h"

#include <algorithm>
#include <array>
#include <utility>

#include "agent/app/settings.h"
#include "agent/discovery/resource.h"
#include "agent/selfobs/logging.h"

namespace zerospan::app {

namespace {

namespace log = selfobs::log;

constexpr int kWorkerWaitMilliseconds = 40;    // a span is seen so much later at low load
constexpr int kWatcherWaitMilliseconds = 100;  // an event wakes it
constexpr std::array<double, 10> kStageSeconds = {0.0001, 0.0003, 0.001, 0.003, 0.01,
                                                  0.03,   0.1,    0.3,   1,     3};
constexpr uint64_t kSecond = 1'000'000'000;
constexpr std::chrono::seconds kGoStartWait{3};
constexpr std::chrono::milliseconds kApiPatience{2000};
constexpr std::chrono::milliseconds kTakeOverWait{2000};
constexpr std::chrono::milliseconds kTakeOverLook{5};

}  // namespace

Result<std::unique_ptr<Agent>> Agent::start(const config::Config& config, SpanSink sink,
                                            uint64_t seed, kernel::RecordingWriter* recording) {
  std::unique_ptr<Agent> agent(new Agent(std::move(sink), seed, recording));

  if (config.kubernetes.mode == config::KubernetesMode::kOn) {
    Result<std::unique_ptr<Kubernetes>> kubernetes = Kubernetes::start(config.kubernetes);
    if (!kubernetes) {
      return tl::unexpected(kubernetes.error());
    }
    agent->kubernetes_ = std::move(*kubernetes);
  }
  kernel::CaptureOptions capture_settings = capture_options(config, seed);
  if (capture_settings.propagate) {
    capture_settings.cgroup_root = find_cgroup_root();
  }
  Result<std::unique_ptr<kernel::Capture>> capture = kernel::Capture::make(capture_settings);
  if (!capture) {
    return tl::unexpected(capture.error());
  }
  agent->capture_ = std::move(*capture);
  if (capture_settings.propagate) {
    Result<kernel::InjectionRules> rules = injection_rules(config);
    if (!rules) {
      return tl::unexpected(rules.error());
    }
    agent->capture_->set_injection_rules(*rules);
  }

  agent->go_programs_ = std::make_unique<GoPrograms>(*agent->capture_, config.http.go_routes);
  discovery::ProcFs procfs("/proc");
  agent->host_ = discovery::read_host("/", procfs);
  discovery::ProcessTableOptions table_options = process_table_options(config, agent->host_);
  if (agent->kubernetes_) {
    table_options.cgroup_root = find_cgroup_root();
    table_options.workloads = [&cluster = agent->kubernetes_->cluster()](
                                  std::string_view pod_uid, std::string_view container_id) {
      return cluster.workload(pod_uid, container_id);
    };
    // What comes later is taken as it comes; this only spares looking at all processes twice.
    if (!agent->kubernetes_->wait_synced(config.kubernetes.start_jitter + kApiPatience)) {
      log::warn("{} has not told of all pods yet: those it tells of later are traced from then on",
                config.kubernetes.api_server);
    }
  }
  agent->processes_ = std::make_unique<discovery::ProcessTable>(
      std::move(table_options), std::move(procfs), &log::monotonic_ns);
  for (uint32_t ring = 0; ring < worker_count(config); ++ring) {
    auto worker = std::make_unique<Worker>();
    worker->reader = std::make_unique<discovery::ProcessReader>(agent->processes_->view());
    PipelineOptions options = pipeline_options(config, seed);
    if (agent->kubernetes_ && config.kubernetes.peers) {
      options.peers = [&peers = agent->kubernetes_->cluster().peers()](std::string_view address,
                                                                       uint16_t port) {
        return peers.name(address, port);
      };
    }
    Result<std::unique_ptr<Pipeline>> pipeline = Pipeline::make(
        options, [raw = agent.get(), ring](uint32_t pid) { return raw->lookup(ring, pid); });
    if (!pipeline) {
      return tl::unexpected(pipeline.error());
    }
    worker->pipeline = std::move(*pipeline);
    agent->workers_.push_back(std::move(worker));
  }
  if (agent->kubernetes_) {
    static_cast<void>(agent->kubernetes_->cluster().take_changes());  // the scan sees them all
  }
  agent->apply(agent->processes_->scan_running());
  // What is traced from the start has parents from the start, unless a file takes long to read.
  agent->go_programs_->wait_idle(kGoStartWait);
  agent->watch_go_sdks();
  for (uint32_t ring = 0; ring < agent->workers_.size(); ++ring) {
    agent->workers_[ring]->thread =
        std::thread([raw = agent.get(), ring] { raw->run_worker(ring); });
  }
  agent->watcher_ = std::thread([raw = agent.get()] { raw->run_watcher(); });
  if (capture_settings.propagate) {
    agent->injection_ = std::make_unique<Injection>(
        *agent->capture_, InjectionOptions{config.propagation.tolerate},
        [raw = agent.get()]() -> propagation::HarmBudget::Totals {
          const parents::CorrelatorCounters parents = raw->statistics().pipeline.parents;
          return {parents.injections_answered, parents.injections_broken, 0};
        });
  }
  return agent;
}

Agent::~Agent() {
  stop();
}

Agent::Agent(SpanSink sink, uint64_t seed, kernel::RecordingWriter* recording)
    : sink_(std::move(sink)),
      recording_(recording),
      seed_(seed),
      ring_wait_(kStageSeconds),
      pipeline_time_(kStageSeconds) {}

void Agent::stop() {
  if (injection_) {
    injection_->end();
  }
  // The watcher first: a worker that has the last records must find the processes that they are of.
  watching_ = false;
  if (watcher_.joinable()) {
    watcher_.join();
  }
  stopping_ = true;
  for (const auto& worker : workers_) {
    if (worker->thread.joinable()) {
      worker->thread.join();
    }
  }
}

Status Agent::reconfigure(const config::Config& config) {
  std::vector<PipelineRules> rules;
  for (size_t i = 0; i < workers_.size(); ++i) {
    Result<PipelineRules> made = PipelineRules::make(pipeline_options(config, seed_));
    if (!made) {
      return tl::unexpected(made.error());
    }
    rules.push_back(std::move(*made));
  }
  Result<kernel::InjectionRules> injection = injection_rules(config);
  if (!injection) {
    return tl::unexpected(injection.error());
  }
  capture_->set_injection_rules(*injection);
  for (size_t i = 0; i < workers_.size(); ++i) {
    const std::lock_guard lock(workers_[i]->mutex);
    workers_[i]->next_rules = std::move(rules[i]);
  }
  if (kubernetes_) {
    kubernetes_->cluster().reconfigure(cluster_options(config.kubernetes));
  }
  capture_->set_tentative(tentative_capture(config));
  {
    const std::lock_guard lock(rules_mutex_);
    next_rules_ = process_table_options(config, host_);
  }
  // Not for long: what is said to be changed should be.
  for (std::chrono::milliseconds waited{0}; waited < kTakeOverWait && !taken_over();
       waited += kTakeOverLook) {
    std::this_thread::sleep_for(kTakeOverLook);
  }
  return {};
}

bool Agent::taken_over() {
  for (const auto& worker : workers_) {
    const std::lock_guard lock(worker->mutex);
    if (worker->next_rules) {
      return false;
    }
  }
  const std::lock_guard lock(rules_mutex_);
  return !next_rules_ && !judging_;
}

void Agent::apply_to_running(const discovery::Actions& actions) {
  apply(actions);
  for (const auto& worker : workers_) {
    const std::lock_guard lock(worker->mutex);
    for (const discovery::Action& action : actions) {
      if (action.kind == discovery::Action::Kind::kDeselect) {
        worker->deselected.push_back(action.pid);
      }
    }
  }
}

void Agent::judge_anew() {
  std::optional<discovery::ProcessTableOptions> rules;
  {
    const std::lock_guard lock(rules_mutex_);
    rules.swap(next_rules_);
    judging_ = rules.has_value();
  }
  if (!rules) {
    return;
  }
  apply_to_running(processes_->reconfigure(rules->selection, rules->resource));
  const std::lock_guard lock(rules_mutex_);
  judging_ = false;
}

Process Agent::lookup(uint32_t ring, uint32_t pid) {
  Worker& worker = *workers_[ring];
  const std::shared_ptr<const discovery::ProcessInfo> info = worker.reader->lookup(pid);
  if (!info) {
    return {};
  }
  Process process(info->resource, info->sdk.spans, true);
  process.awaited = info->awaits_workload;
  if (info->go_sdk) {
    const discovery::GoSdk::State state = info->go_sdk->state();
    process.sdk_known = state != discovery::GoSdk::State::kUnknown;
    if (state == discovery::GoSdk::State::kRuns) {
      process.sdk = info->go_sdk->linked();
    }
  }
  if (recording_ != nullptr && process.resource != nullptr && process.sdk_known) {
    Process& last = worker.recorded[pid];
    if (last.resource != process.resource || last.sdk != process.sdk) {
      last = process;
      const std::string json = encode_process(pid, process);
      recording_->write(kernel::EntryType::kProcess, static_cast<uint8_t>(ring),
                        std::as_bytes(std::span(json)));
    }
  }
  return process;
}

void Agent::record_clock(uint32_t ring, const spans::ClockAnchor& anchor) {
  if (recording_ != nullptr) {
    const std::array<uint64_t, 2> values = {anchor.monotonic_ns, anchor.unix_ns};
    recording_->write(kernel::EntryType::kClock, static_cast<uint8_t>(ring),
                      std::as_bytes(std::span(values)));
  }
}

void Agent::run_worker(uint32_t index) {
  Worker& worker = *workers_[index];
  Pipeline& pipeline = *worker.pipeline;
  uint64_t anchored_ns = 0;
  uint64_t look_ns = 0;  // when this look at the ring found its first record; 0: none yet
  uint64_t look_bytes = 0;
  const kernel::Capture::RecordHandler handle = [&](std::span<const std::byte> record) {
    if (look_ns == 0) {
      look_ns = log::monotonic_ns();
      const uint64_t record_ns = kernel::record_time_ns(record);
      if (record_ns != 0 && record_ns < look_ns) {
        ring_wait_.observe(static_cast<double>(look_ns - record_ns) / 1e9);
      }
    }
    look_bytes += record.size();
    if (recording_ != nullptr) {
      recording_->write(kernel::EntryType::kRecord, static_cast<uint8_t>(index), record);
    }
    pipeline.on_record(record);
  };
  std::vector<uint32_t> deselected;
  const auto hand_on = [&](uint64_t now_ns) {
    if (!deselected.empty()) {
      pipeline.give_up(deselected);
    }
    if (std::vector<model::Span> spans = pipeline.take_spans(now_ns); !spans.empty()) {
      sink_(std::move(spans));
    }
    for (const conn::Mute& mute : pipeline.take_mutes()) {
      if (mute.forget) {
        capture_->forget(mute.socket, mute.connection_id);
      } else {
        capture_->mute(mute.socket, mute.connection_id);
      }
    }
    const std::lock_guard lock(worker.mutex);
    worker.published = pipeline.counters();
    if (worker.next_rules) {
      pipeline.set_rules(std::move(*worker.next_rules));
      worker.next_rules.reset();
    }
    // What they did before is in the ring by now: the next look finds it.
    deselected = std::exchange(worker.deselected, {});
  };
  bool last_round = false;
  while (true) {
    const uint64_t now_ns = log::monotonic_ns();
    if (now_ns - anchored_ns > kSecond) {
      anchored_ns = now_ns;
      const spans::ClockAnchor anchor = spans::measure_clock_anchor();
      pipeline.set_clock(anchor);
      record_clock(index, anchor);
    }
    const size_t count =
        capture_->poll_ring(index, last_round ? 0 : kWorkerWaitMilliseconds, handle);
    hand_on(log::monotonic_ns());
    if (look_ns != 0) {
      pipeline_time_.observe(static_cast<double>(log::monotonic_ns() - look_ns) / 1e9);
      worker.ring_peak_bytes = std::max<uint64_t>(worker.ring_peak_bytes, look_bytes);
      look_ns = 0;
      look_bytes = 0;
    }
    // What happened before stop() was called is in the ring by then: one more look after the flag
    // finds it all.
    if (last_round && count == 0) {
      break;
    }
    last_round = last_round || stopping_;
  }
  const uint64_t end_ns = log::monotonic_ns();
  if (recording_ != nullptr) {
    recording_->write(kernel::EntryType::kEnd, static_cast<uint8_t>(index),
                      std::as_bytes(std::span(&end_ns, 1)));
  }
  pipeline.finish(end_ns);
  hand_on(end_ns);
}

namespace {

// nginx and the servers that are made from it.
bool is_nginx(const discovery::ProcessInfo& info) {
  const std::string_view path = info.executable;
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return name == "nginx" || name == "openresty" || name == "angie" || name == "tengine" ||
         name == "freenginx";
}

// May its requests be given a context? Not where its own SDK makes spans of what it sends, and
// sends their context or has decided not to.
bool propagates(const model::OwnSdk& sdk) {
  return (sdk.makes & (kHttpClient | kRpcClient)) == 0;
}

bool propagates(const discovery::GoSdk& sdk) {
  using State = discovery::GoSdk::State;
  const State state = sdk.state();
  return state == State::kNone || state == State::kIdle ||
         (state == State::kRuns && propagates(sdk.linked()));
}

bool propagates(const discovery::ProcessInfo* info) {
  return info != nullptr && propagates(info->sdk.spans) &&
         (info->go_sdk == nullptr || propagates(*info->go_sdk));
}

}  // namespace

// What a Go program's own SDK does is found out after it was selected, and may change.
void Agent::watch_go_sdks() {
  for (auto& [pid, known] : go_sdks_) {
    if (const bool now = propagates(*known.sdk); now != known.propagates) {
      known.propagates = now;
      capture_->set_propagate(pid, now);
    }
  }
}

void Agent::apply(const discovery::Actions& actions) {
  using Kind = discovery::Action::Kind;
  for (const discovery::Action& action : actions) {
    Status status;
    if (action.kind == Kind::kSelectCgroup) {
      status = capture_->select_cgroup(action.cgroup_id);
    } else if (action.kind == Kind::kDeselectCgroup) {
      status = capture_->deselect_cgroup(action.cgroup_id);
    } else if (action.kind == Kind::kSelect) {
      const std::shared_ptr<const discovery::ProcessInfo> info =
          processes_->view()->snapshot()->find(action.pid);
      const bool node = info && info->runtime == discovery::Runtime::kNode;
      status =
          capture_->select(action.pid, {.no_thread_context = action.is_go,
                                        .callbacks = node || (info && is_nginx(*info)),
                                        .libuv = node,
                                        .java = info && info->runtime == discovery::Runtime::kJava,
                                        .propagate = propagates(info.get())});
      if (info && info->go_sdk) {
        go_sdks_[action.pid] = {info->go_sdk, propagates(info.get())};
      }
      if (status && action.is_go) {
        go_programs_->select(action.pid, info ? info->go_sdk : nullptr);
      }
    } else {
      status = capture_->deselect(action.pid);
      go_programs_->deselect(action.pid);
      go_sdks_.erase(action.pid);
    }
    if (!status) {
      static log::Limited limited;
      limited.warn("{}", status.error().message);
    }
  }
}

void Agent::settle(uint32_t pid) {
  if (!processes_->view()->snapshot()->find(pid)) {
    apply({{.kind = discovery::Action::Kind::kDeselect, .pid = pid}});
  }
}

void Agent::run_watcher() {
  uint64_t losses_read_ns = 0;
  uint64_t lost = 0;
  uint64_t lost_before = 0;
  uint64_t over_limit_before = 0;
  while (true) {
    const bool stopping = !watching_;
    const Result<size_t> count = capture_->poll_processes(
        stopping ? 0 : kWatcherWaitMilliseconds, [this](const kernel::ProcessEvent& event) {
          switch (event.kind) {
            case kernel::ProcessEvent::Kind::kFork:
              apply(processes_->on_fork(event.parent_pid, event.pid));
              settle(event.pid);
              break;
            case kernel::ProcessEvent::Kind::kExec:
              apply(processes_->on_exec(event.pid));
              settle(event.pid);
              break;
            case kernel::ProcessEvent::Kind::kExit:
              apply(processes_->on_exit(event.pid));
              break;
            case kernel::ProcessEvent::Kind::kListen:
              apply(processes_->on_listen(event.pid, event.port));
              go_programs_->on_listen(event.pid);
              settle(event.pid);
              break;
            case kernel::ProcessEvent::Kind::kGoRefused:
              log::warn(
                  "process {}: its goroutines are not where they should be; its calls have no "
                  "parents but those that they name themselves",
                  event.pid);
              break;
          }
        });
    if (!count) {
      static log::Limited limited;
      limited.error("{}", count.error().message);
    }
    if (stopping && (!count || *count == 0)) {
      break;
    }
    judge_anew();
    watch_go_sdks();
    if (const uint64_t now_ns = log::monotonic_ns(); now_ns - losses_read_ns > kSecond) {
      losses_read_ns = now_ns;  // a system call for each of them
      lost = capture_->counters()["lost_process_ring_full"];
    }
    if (lost != lost_before) {
      lost_before = lost;
      log::warn("process events were lost ({} so far): reading /proc again", lost);
      apply(processes_->scan_running());
    }
    if (const uint64_t over = processes_->counters().over_limit; over != over_limit_before) {
      over_limit_before = over;
      static log::Limited limited;
      limited.warn("{} selected processes are not traced: capture.max_processes allows no more",
                   over);
    }
    if (kubernetes_) {
      if (const model::WorkloadChanges changes = kubernetes_->cluster().take_changes();
          !changes.empty()) {
        apply_to_running(processes_->on_workloads(changes));
      }
      apply_to_running(processes_->on_time());
    }
    if (const Result<bool> attached = capture_->attach_ticks_if_wanted(); !attached) {
      log::warn("outgoing calls of event loops stay roots: {}", attached.error().message);
    } else if (*attached) {
      log::info(
          "a traced event loop calls out: following its turns, which costs every system call of "
          "this host 0.1 us");
    }
  }
}

void Agent::collect_stages(selfobs::Samples& samples) const {
  constexpr std::string_view kHelp = "how long each stage takes for what one look at a ring finds";
  samples.histogram("zerospan_stage_seconds", kHelp, ring_wait_.value(), {{"stage", "ring"}});
  samples.histogram("zerospan_stage_seconds", kHelp, pipeline_time_.value(),
                    {{"stage", "pipeline"}});
  if (kubernetes_) {
    kubernetes_->collect(samples);
  }
  const GoPrograms::Counters go = go_programs_->counters();
  samples.gauge("zerospan_go_files", "files of Go programs that are known",
                static_cast<double>(go.files));
  samples.gauge("zerospan_go_processes", "Go processes whose goroutines are told",
                static_cast<double>(go.told));
  samples.gauge("zerospan_go_probes", "uprobes placed in files of Go programs",
                static_cast<double>(go.probes));
  samples.counter("zerospan_go_failures_total",
                  "Go programs that could not be read, or in which no probe could be placed",
                  static_cast<double>(go.failures));
  for (size_t i = 0; i < workers_.size(); ++i) {
    samples.gauge("zerospan_ring_peak_bytes", "the most that one look found in a ring",
                  static_cast<double>(workers_[i]->ring_peak_bytes), {{"ring", std::to_string(i)}});
  }
}

std::vector<Remark> Agent::remarks() const {
  std::vector<Remark> all;
  for (const auto& worker : workers_) {
    const std::deque<Remark>& some = worker->pipeline->remarks();
    all.insert(all.end(), some.begin(), some.end());
  }
  std::sort(all.begin(), all.end(),
            [](const Remark& a, const Remark& b) { return a.time_ns < b.time_ns; });
  return all;
}

Statistics Agent::statistics() const {
  Statistics statistics;
  for (const auto& [name, value] : capture_->counters()) {
    statistics.kernel.emplace(name, value);
  }
  for (const auto& worker : workers_) {
    const std::lock_guard lock(worker->mutex);
    add(statistics.pipeline, worker->published);
  }
  statistics.processes = processes_->counters();
  if (injection_) {
    statistics.injection = injection_->report();
  }
  return statistics;
}

}  // namespace zerospan::app
