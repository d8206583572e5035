// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <functional>
#include <optional>
#include <random>
#include <string_view>

#include "agent/app/agent.h"
#include "agent/app/commands.h"
#include "agent/app/host_lock.h"
#include "agent/app/reload.h"
#include "agent/app/settings.h"
#include "agent/app/span_output.h"
#include "agent/selfobs/logging.h"
#include "agent/selfobs/server.h"

namespace zerospan::app {

namespace {

namespace log = selfobs::log;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kTick{40};

constexpr std::chrono::seconds kInjectionWait{60};  // for the self-test

constexpr int kAnotherRuns = 3;  // exit code

// Blocked in all threads, taken by wait_for_signal() in the main one.
sigset_t block_signals(bool with_hangup) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  if (with_hangup) {
    sigaddset(&signals, SIGHUP);
  }
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

// Its number; not positive: none came.
int wait_for_signal(const sigset_t& signals, std::chrono::milliseconds time) {
  const timespec timeout{time.count() / 1000, (time.count() % 1000) * 1'000'000};
  return sigtimedwait(&signals, nullptr, &timeout);
}

Status check_pids(const config::Config& config) {
  for (const uint32_t pid : config.selection.include.pids) {
    if (::kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH) {
      return fail(ErrorCode::kNotFound,
                  "process " + std::to_string(pid) + " does not exist (--pid)");
    }
  }
  return {};
}

uint64_t random_seed() {
  std::random_device device;
  return uint64_t{device()} << 32U | device();
}

std::string to_text(const config::ListenAddress& address) {
  const bool ipv6 = address.host.find(':') != std::string::npos;
  return (ipv6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

void collect_programs(const kernel::Capture& capture, selfobs::Samples& samples) {
  for (const kernel::ProgramStatistics& program : capture.programs()) {
    const selfobs::Labels labels = {{"program", program.name}};
    samples.gauge("zerospan_bpf_program_attached", "BPF programs that are attached", 1, labels);
    samples.counter("zerospan_bpf_program_missed_total",
                    "events that the kernel skipped because the program was running",
                    static_cast<double>(program.recursion_misses), labels);
    if (program.run_count > 0) {
      samples.counter("zerospan_bpf_program_runs_total", "runs, while BPF statistics are on",
                      static_cast<double>(program.run_count), labels);
      samples.counter("zerospan_bpf_program_seconds_total", "run time, while BPF statistics are on",
                      static_cast<double>(program.run_time_ns) / 1e9, labels);
    }
  }
}

}  // namespace

int run_live(const config::Command& command) {
  const config::Config& config = command.config;
  const bool runs = command.command == config::SubCommand::kRun;
  const sigset_t signals = block_signals(runs);
  log::configure(log_options(config));
  // Kernels before 5.11 count BPF maps against this limit; where it cannot be raised, later ones do
  // not mind.
  const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
  ::setrlimit(RLIMIT_MEMLOCK, &unlimited);

  HostLock host_lock;
  if (runs && config.one_per_host) {
    host_lock = take_host_lock();
    if (host_lock.other) {
      failed({ErrorCode::kUnavailable,
              "another zerospan run is at work on this host, process " +
                  std::to_string(*host_lock.other) +
                  ": stop it, or let both make spans by --beside-others (one_per_host: false)"});
      return kAnotherRuns;
    }
  }
  const bool recording_only = command.command == config::SubCommand::kRecord;
  const bool traces = command.command == config::SubCommand::kTrace;
  Result<std::unique_ptr<SpanOutput>> output =
      recording_only
          ? make_trace_output(config, config::OutputFormat::kJson,
                              command.spans_file.empty() ? "/dev/null" : command.spans_file)
      : traces ? make_trace_output(config, command.format, command.output)
               : make_export_output(config);
  if (!output) {
    return failed(output.error());
  }
  if (const Status status = check_pids(config); !status) {
    return failed(status.error());
  }
  const uint64_t seed = random_seed();
  std::unique_ptr<kernel::RecordingWriter> recording;
  if (recording_only) {
    Result<std::unique_ptr<kernel::RecordingWriter>> created =
        kernel::RecordingWriter::create(command.output, seed);
    if (!created) {
      return failed(created.error());
    }
    recording = std::move(*created);
  }

  selfobs::Readiness readiness;
  selfobs::Metrics metrics;
  std::optional<selfobs::Server> server;
  if (runs && config.metrics.listen) {
    Result<selfobs::Server> started =
        selfobs::Server::start(to_text(*config.metrics.listen), metrics, readiness);
    if (started) {
      server = std::move(*started);
      log::info("metrics at port {}", server->port());
    } else {
      log::warn("{}; going on without /metrics", started.error().message);
    }
  }

  Result<std::unique_ptr<Agent>> agent = Agent::start(
      config, [&out = **output](std::vector<model::Span>&& spans) { out.offer(std::move(spans)); },
      seed, recording.get());
  if (!agent) {
    return failed(agent.error());
  }
  const std::optional<kernel::StatisticsSwitch> bpf_statistics =
      config.metrics.bpf_stats ? kernel::StatisticsSwitch::turn_on() : std::nullopt;
  const auto gather = [&] {
    Statistics statistics = (*agent)->statistics();
    (*output)->count(statistics);
    return statistics;
  };
  Reloader reloader(command, [&](const config::ConfigChange& change) -> Status {
    const auto has_changed = [&](std::string_view beginning) {
      return std::any_of(change.applied.begin(), change.applied.end(),
                         [&](const std::string& key) { return key.starts_with(beginning); });
    };
    // Those of before may have ended since.
    if (has_changed("selection.pids")) {
      if (Status status = check_pids(change.config); !status) {
        return status;
      }
    }
    std::function<void()> send_elsewhere;
    if (has_changed("exporter.")) {
      Result<std::function<void()>> prepared = (*output)->prepare(change.config);
      if (!prepared) {
        return tl::unexpected(prepared.error());
      }
      send_elsewhere = std::move(*prepared);
    }
    if (Status status = (*agent)->reconfigure(change.config); !status) {
      return status;
    }
    if (send_elsewhere) {
      send_elsewhere();
    }
    log::configure(log_options(change.config));
    return {};
  });
  metrics.add([&](selfobs::Samples& samples) {
    collect(gather(), samples);
    reloader.collect(samples);
    (*agent)->collect_stages(samples);
    collect_programs((*agent)->capture(), samples);
    selfobs::collect_process(samples);
  });
  if ((*agent)->capture().kind() == kernel::CaptureKind::kSyscall) {
    log::warn(
        "capturing at the end of system calls, which costs every process of this host; `zerospan "
        "check` says why");
  }
  readiness.set_ready();
  // Who waits for the line below is going to send something.
  if ((*agent)->injection() != nullptr) {
    (*agent)->injection()->wait_decided(kInjectionWait);
  }
  std::fputs("zerospan: ready\n", stderr);

  const std::optional<Clock::time_point> end =
      command.duration ? std::optional(Clock::now() + *command.duration) : std::nullopt;
  while (!(end && Clock::now() >= *end)) {
    const int signal = wait_for_signal(signals, kTick);
    if (signal == SIGHUP) {
      reloader.read_now();
    } else if (signal > 0) {
      break;
    }
    if (runs) {
      reloader.tick();
    }
    (*output)->tick();
  }

  readiness.set_not_ready("shutting down");
  (*agent)->stop();
  (*output)->finish(reloader.config().shutdown_deadline);
  server.reset();
  const Statistics statistics = gather();
  int exit_code = 0;
  if (recording) {
    const uint64_t entries = recording->entries();
    if (const Status closed = recording->close(); !closed) {
      exit_code = failed(closed.error());
    } else {
      std::fprintf(stderr, "zerospan: %llu entries in %s\n",
                   static_cast<unsigned long long>(entries), command.output.c_str());
    }
  }
  if (!command.stats_file.empty()) {
    if (const Status written = write_statistics(command.stats_file, statistics); !written) {
      exit_code = failed(written.error());
    }
  }
  if (traces) {
    std::fputs((*output)->summary(statistics).c_str(), stderr);
  }
  return exit_code;
}

}  // namespace zerospan::app
