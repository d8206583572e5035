// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>
#include <optional>
#include <thread>

#include "agent/app/agent.h"
#include "agent/app/commands.h"
#include "agent/app/go_routes.h"
#include "agent/app/injection.h"
#include "agent/app/settings.h"
#include "agent/discovery/resource.h"
#include "agent/kernel/btf.h"
#include "agent/kernel/capabilities.h"
#include "agent/kernel/socket_programs.h"
#include "agent/selfobs/logging.h"
#include "agent/viewer/terminal.h"
#include "symbols/go/describe.h"

namespace zerospan::app {

namespace {

namespace log = selfobs::log;

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// "none [integrity] confidentiality" has the state in force in brackets.
std::string lockdown() {
  const std::string line = first_line("/sys/kernel/security/lockdown");
  const size_t open = line.find('[');
  const size_t close = line.find(']');
  return open == std::string::npos || close == std::string::npos
             ? "unknown (securityfs is not mounted)"
             : line.substr(open + 1, close - open - 1);
}

void print_row(const char* mark, const std::string& what, const std::string& detail) {
  std::printf("  %-4s %s%s%s\n", mark, what.c_str(), detail.empty() ? "" : "\n       ",
              detail.c_str());
}

// Whether trace context can be injected.
bool check_injection(const std::string& btf_file) {
  const Result<kernel::KernelBtf> btf = kernel::KernelBtf::find(btf_file);
  const Result<std::vector<propagation::SelfTestCheck>> checks =
      btf ? test_injection(kernel::InjectionTrial::make(*btf), std::stop_token())
          : tl::unexpected(btf.error());
  const char* const name = "sockets under injection behave as without it";
  if (!checks) {
    print_row("NO", name, checks.error().message);
    return false;
  }
  std::string detail;
  bool all = true;
  for (const propagation::SelfTestCheck& check : *checks) {
    if (!check.passed()) {
      all = all && check.of_blocking;
      const auto about = std::find_if(
          propagation::self_test_checks().begin(), propagation::self_test_checks().end(),
          [&check](const auto& known) { return known.name == check.name; });
      detail += (detail.empty() ? "" : "\n       ") + std::string(check.name) + ": " +
                std::string(about->about) + ": expected " + check.expected + ", seen " + check.seen;
    }
  }
  if (all && !detail.empty()) {
    detail = "but for those in blocking mode, which are left alone\n       " + detail;
  }
  print_row(all ? "yes" : "NO", name, detail);
  if (const Result<std::vector<kernel::SocketProgram>> others = kernel::foreign_socket_programs();
      others) {
    if (const std::string reason = kernel::reason_to_stand_aside(*others); !reason.empty()) {
      print_row("NO", "no other agent's program at the messages of sockets", reason);
      return false;
    }
  }
  return all;
}

int check_host(const config::Config& config) {
  std::printf("Kernel %s, lockdown %s, user id %u\n\n",
              first_line("/proc/sys/kernel/osrelease").c_str(), lockdown().c_str(), ::geteuid());
  std::array<char, 64> link{};
  const ssize_t length = ::readlink("/proc/self/ns/pid", link.data(), link.size() - 1);
  // PROC_PID_INIT_INO of include/linux/proc_ns.h: the initial pid namespace has this inode on every
  // kernel.
  const bool host_pids =
      length > 0 && std::string(link.data(), static_cast<size_t>(length)) == "pid:[4026531836]";
  print_row(
      host_pids ? "yes" : "NO", "initial pid namespace",
      host_pids
          ? ""
          : "process ids would not match the kernel's: use hostPID: true, or run on the host");
  std::string_view capture;  // the kind that is used
  bool all = host_pids;
  const std::vector<kernel::Capability> capabilities =
      kernel::probe_capabilities(config.capture.btf);
  for (const kernel::Capability& capability : capabilities) {
    print_row(capability.available ? "yes" : "NO", capability.name, capability.detail);
    if (capability.kind == kernel::CaptureKind::kAuto) {
      all = all && capability.available;
    } else if (capability.available && capture.empty()) {
      capture = to_string(capability.kind);
      all = all && capability.kind != kernel::CaptureKind::kSyscall;
    }
  }
  const bool injects = check_injection(config.capture.btf);
  if (capture.empty() || !host_pids) {
    std::printf("\nzerospan cannot trace here.\n");
    return 1;
  }
  std::printf("\nzerospan can %s by capture kind %.*s%s.\n",
              !all      ? "trace here"
              : injects ? "do everything that it knows of here,"
                        : "do everything but inject trace context here,",
              static_cast<int>(capture.size()), capture.data(),
              all ? "" : ", with the losses named above");
  return 0;
}

uint64_t value_of(const std::map<std::string, uint64_t>& flat, const char* name) {
  const auto found = flat.find(name);
  return found == flat.end() ? 0 : found->second;
}

// Why there may be no span, from what was seen; the most likely cause first.
std::string explain(const std::map<std::string, uint64_t>& seen,
                    const discovery::ProcessInfo& info) {
  if (value_of(seen, "spans_made") > 0) {
    return "It is traced.";
  }
  if (value_of(seen, "spans_left_to_sdk") > 0) {
    return "All its spans are left to its own OpenTelemetry SDK; --sdk-spans all makes them too.";
  }
  if (value_of(seen, "operations_seen") == 0) {
    return "No stream socket was used while we looked: send it a request, or look longer with "
           "--duration.";
  }
  if (value_of(seen, "connections_known") == 0) {
    return info.tls_library.empty() ? "Its connections do not speak a protocol that zerospan knows."
                                    : "Its connections do not begin like a known protocol, and it "
                                      "has a TLS library loaded: what is encrypted "
                                      "is not seen.";
  }
  if (value_of(seen, "exchanges") == 0) {
    return "Its connections begin like HTTP, but no exchange has ended yet.";
  }
  return "Exchanges were seen, but no span was made: the sampler dropped them.";
}

// What is known of a Go program's goroutines, and what its probes have seen.
void print_go(const GoPrograms::File& file, const std::optional<kernel::GoState>& state,
              const std::map<std::string, uint64_t>& seen) {
  std::printf("\nGo program (%s)\n", file.go_version.empty() ? "?" : file.go_version.c_str());
  const auto print = [](const char* what, const std::string& value) {
    std::printf("  %-24s %s\n", what, value.c_str());
  };
  print("offsets", std::string(to_string(file.offsets)));
  std::string verdict = "not told: its calls have no parents";
  if (state) {
    switch (state->verdict) {
      case kernel::GoState::Verdict::kUnverified:
        verdict = "not verified yet: " + std::to_string(state->checks_passed) + " looks";
        break;
      case kernel::GoState::Verdict::kVerified:
        verdict =
            "verified in its memory, " + std::to_string(state->checks_failed) + " looks failed";
        break;
      case kernel::GoState::Verdict::kRefused:
        verdict = "refused: not where they should be; its calls have no parents";
        break;
    }
  }
  print("goroutines", verdict);
  for (const std::string& probe : file.probes) {
    print("probe", probe);
  }
  for (const std::string& router : file.routers) {
    print("router", router);
  }
  for (const char* name :
       {"go_calls", "go_calls_unreadable", "go_streams", "go_streams_unreadable", "go_routes",
        "go_routes_unknown", "routes_refused", "go_ancestors_sought", "go_ancestors_not_found",
        "go_uncertain", "parents_by_goroutine"}) {
    print(name, std::to_string(value_of(seen, name)));
  }
  if (!file.failure.empty()) {
    print("failure", file.failure);
  }
}

// The SDK that the process carries itself, and what is left to it.
void print_sdk(const discovery::ProcessInfo& info, const std::optional<GoPrograms::File>& go,
               bool withheld) {
  using State = discovery::GoSdk::State;
  std::string what = info.sdk.name;
  std::string state = "in use";
  model::OwnSdk spans = info.sdk.spans;
  if (go) {
    for (const std::string& module : go->otel) {
      what += (what.empty() ? "" : ", ") + module;
    }
    switch (info.go_sdk ? info.go_sdk->state() : State::kNone) {
      case State::kUnknown:
        state = "not known yet whether it is in use";
        break;
      case State::kNone:
        state = "makes no spans that zerospan makes";
        break;
      case State::kIdle:
        state = "not in use: no span processor runs";
        break;
      case State::kRuns:
        spans = info.go_sdk->linked();
        break;
    }
  }
  if (!info.sdk.switched_by.empty() && !what.empty()) {
    state = "switched off by " + info.sdk.switched_by;
  }
  const auto print = [](const char* name, const std::string& value) {
    std::printf("  %-24s %s\n", name, value.c_str());
  };
  print("own SDK", what.empty() ? "none" : what);
  if (!what.empty()) {
    print("it is", state);
    print("spans left to it", to_text(withheld ? spans.makes : 0) +
                                  (withheld || spans.makes == 0 ? "" : " (sdk_spans is all)"));
  }
}

int check_process(const config::Command& command, uint32_t pid) {
  config::Config config = command.config;
  config.selection = {};
  config.selection.include.pids = {pid};
  discovery::ProcFs procfs("/proc");
  const discovery::Host host = discovery::read_host("/", procfs);
  discovery::ProcessTable table(process_table_options(config, host), std::move(procfs),
                                &log::monotonic_ns);
  const Result<discovery::ProcessTable::Inspection> inspection = table.inspect(pid);
  if (!inspection) {
    return failed(inspection.error().with_context("process " + std::to_string(pid)));
  }
  const discovery::ProcessInfo& info = inspection->info;
  std::printf("Process %u: %s\n", pid, info.command_line.c_str());
  const auto print = [](const char* what, const std::string& value) {
    std::printf("  %-24s %s\n", what, value.empty() ? "-" : value.c_str());
  };
  print("executable", info.executable);
  print("runtime", std::string(discovery::to_string(info.runtime)));
  print("user", info.user.empty() ? std::to_string(info.uid) : info.user);
  print("container", info.container_id);
  print("TLS library", info.tls_library);
  std::string ports;
  for (const uint16_t port : info.listen_ports) {
    ports += (ports.empty() ? "" : ", ") + std::to_string(port);
  }
  print("listens on", ports);
  print("event loop", info.uses_epoll ? "yes (epoll)" : "no");
  print("seccomp filter", info.seccomp_filter ? "yes" : "no");
  print("selection",
        std::string(inspection->decision.selected ? "can be selected" : "not selected") + ": " +
            inspection->decision.reason);

  // Without it the kernel does not count its programs' runs.
  const std::optional<kernel::StatisticsSwitch> counting = kernel::StatisticsSwitch::turn_on();
  const auto duration = command.duration.value_or(std::chrono::seconds(3));
  Result<std::unique_ptr<Agent>> agent = Agent::start(
      config, [](std::vector<model::Span>&&) {}, 0, nullptr);
  if (!agent) {
    return failed(agent.error());
  }
  std::printf("\nLooking at its sockets for %.1f s ...\n\n",
              static_cast<double>(duration.count()) / 1000.0);
  std::fflush(stdout);
  std::this_thread::sleep_for(duration);
  const std::optional<GoPrograms::File> go = (*agent)->go_programs().file_of(pid);
  const std::optional<kernel::GoState> go_state = (*agent)->capture().go_state(pid);
  const std::vector<kernel::ProgramStatistics> programs = (*agent)->capture().programs();
  const std::shared_ptr<const discovery::ProcessInfo> now = (*agent)->process(pid);
  (*agent)->stop();
  const Statistics statistics = (*agent)->statistics();
  const std::map<std::string, uint64_t> seen = flatten(statistics);
  for (const char* name :
       {"operations_seen", "operations_muted", "connections_known", "connections_muted",
        "connections_unrecognised", "exchanges", "exchanges_incomplete", "spans_made",
        "spans_not_sampled", "spans_health_checks", "spans_left_to_sdk", "parents_left_to_sdk",
        "roots_without_evidence", "roots_ambiguous"}) {
    print(name, std::to_string(value_of(seen, name)));
  }
  for (const auto& [name, count] : losses(statistics)) {
    print(name.c_str(), std::to_string(count));
  }
  if (now) {
    print_sdk(*now, go, config.sdk_spans == config::SdkSpans::kComplement);
  }
  if (go) {
    print_go(*go, go_state, seen);
  }
  std::printf("\nHooks, with their runs for all of the host\n");
  for (const kernel::ProgramStatistics& program : programs) {
    print(program.name.c_str(), std::to_string(program.run_count));
  }
  if (const std::vector<Remark> remarks = (*agent)->remarks(); !remarks.empty()) {
    std::printf("\nLast reasons for what is missing\n");
    for (const Remark& remark : remarks) {
      std::printf("  %s\n", viewer::escape(remark.text, false).c_str());
    }
  }
  std::printf("\n%s\n", explain(seen, info).c_str());
  return 0;
}

int check_executable(const std::string& path) {
  const Result<symbols::go::GoBinary> binary = symbols::go::inspect(path);
  if (!binary) {
    return failed(binary.error());
  }
  std::fputs(symbols::go::describe(*binary).c_str(), stdout);
  const std::vector<GoRouter> routers = go_routers(*binary);
  std::printf("routers       %zu\n", routers.size());
  for (const GoRouter& router : routers) {
    std::printf("  %s: %s\n", viewer::escape(router.function, false).c_str(),
                router.site ? router.site->probe == kernel::GoProbe::kRouteServe
                                  ? "its routes are read, over HTTP/1 only"
                                  : "its routes are read"
                            : viewer::escape("no routes. " + router.why_not, false).c_str());
  }
  return 0;
}

}  // namespace

int failed(const Error& error) {
  std::fprintf(stderr, "zerospan: %s\n", error.message.c_str());
  return 1;
}

int run_check(const config::Command& command) {
  if (!command.check_executable.empty()) {
    return check_executable(command.check_executable);
  }
  log::Options options = log_options(command.config);
  options.level = log::Level::kWarn;
  log::configure(options);
  return command.check_pid ? check_process(command, *command.check_pid)
                           : check_host(command.config);
}

}  // namespace zerospan::app
