// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/kernel/capabilities.h"

#include <bpf/libbpf.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <memory>
#include <utility>

#include "agent/kernel/btf.h"
#include "agent/kernel/objects.h"
#include "go.skel.h"
#include "go_route.skel.h"
#include "mute.skel.h"
#include "process.skel.h"
#include "propagate.skel.h"
#include "sock_event.skel.h"
#include "sock_state.skel.h"
#include "syscall_exit.skel.h"
#include "tick.skel.h"

namespace zerospan::kernel {

namespace {

// Where a uprobe is tried: never called.
extern "C" [[gnu::used, gnu::noinline]] void zerospan_uprobe_site() {
  asm volatile("");
}

// In the file of this program. 0: not found.
size_t uprobe_site_offset() {
  const auto address = reinterpret_cast<uintptr_t>(&zerospan_uprobe_site);
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    unsigned long begin = 0;
    unsigned long end = 0;
    unsigned long offset = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx %*s %lx", &begin, &end, &offset) == 3 &&
        begin <= address && address < end) {
      return address - begin + offset;
    }
  }
  return 0;
}

// Loads and attaches all programs of an object as Capture does. Those for uprobes wait for a file
// to be placed in, and the kernel asks for more when that is done: one, if named, is tried.
template <typename Skeleton>
Capability try_object(const KernelBtf& btf, const char* name, const char* lost,
                      CaptureKind kind = CaptureKind::kAuto, const char* uprobe = nullptr) {
  take_libbpf_messages();
  const SkeletonPtr<Skeleton> skeleton = open_object<Skeleton>(btf);
  int error = skeleton ? 0 : -errno;
  if (skeleton) {
    prepare(*skeleton);
    preallocate_if_needed(skeleton->obj);
    error = Skeleton::load(skeleton.get());
  }
  Status status;
  if (error != 0) {
    status = tl::unexpected(bpf_error(-error, lost));
  } else {
    FunctionProbes probes;
    status = attach(*skeleton, lost, probes);
  }
  if (status && uprobe != nullptr) {
    bpf_uprobe_opts at{};
    at.sz = sizeof(at);
    const std::unique_ptr<bpf_link, LinkDeleter> link(
        bpf_program__attach_uprobe_opts(bpf_object__find_program_by_name(skeleton->obj, uprobe), -1,
                                        "/proc/self/exe", uprobe_site_offset(), &at));
    if (!link) {
      status = tl::unexpected(bpf_error(errno, lost));
    }
  }
  return {name, status.has_value(), status ? "" : status.error().message, kind};
}

}  // namespace

std::vector<Capability> probe_capabilities(const std::string& btf_file) {
  libbpf_set_print(collect_libbpf_message);
  libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
  std::vector<Capability> result;
  const Result<KernelBtf> found = KernelBtf::find(btf_file);
  if (!found) {
    // Nothing can be loaded: the same reason for all of them would hide it.
    result.push_back({"kernel BTF", false, "nothing can be captured: " + found.error().message});
    return result;
  }
  const KernelBtf& btf = *found;
  result.push_back({"kernel BTF (" + btf.description() + ")", true, ""});
  result.push_back(try_object<sock_length_bpf>(
      btf, "socket tracepoints (capture kind tracepoint, kernel 6.3+)",
      "without them another capture kind is used", CaptureKind::kTracepoint));
  if (needs_events()) {
    result.push_back(has_events() ? try_object<sock_event_bpf>(
                                        btf, "tracepoints through perf (kernel 7.0+)",
                                        "from kernel 7.0 on capture kind tracepoint needs them")
                                  : Capability{"tracepoints through perf (kernel 7.0+)", false,
                                               kWithoutEvents, CaptureKind::kAuto});
  }
  result.push_back(try_object<sock_fexit_bpf>(btf, "ends of socket functions (capture kind fentry)",
                                              "without them another capture kind is used",
                                              CaptureKind::kFentry));
  result.push_back(try_object<sock_kprobe_bpf>(
      btf, "kprobes on socket functions (capture kind kprobe)",
      "without them another capture kind is used", CaptureKind::kKprobe));
  if (kernel_preempts()) {
    std::swap(result.back(), *(result.end() - 2));
  }
  result.push_back(try_object<syscall_exit_bpf>(
      btf, "system call tracepoint (capture kind syscall)",
      "it is the last resort, where there is no other capture kind", CaptureKind::kSyscall));
  result.push_back(try_object<sock_state_bpf>(btf, "TCP state tracepoint",
                                              "without it the ends of connections are not seen"));
  result.push_back(try_object<process_bpf>(btf, "process tracepoints",
                                           "without them new processes are not seen"));
  result.push_back(try_object<tick_bpf>(btf, "event loop turns (system call entry)",
                                        "without them outgoing calls of event loops stay roots"));
  result.push_back(try_object<tick_bpf>(btf, "uprobes in Node.js (libuv)",
                                        "without them most outgoing calls of Node.js stay roots",
                                        CaptureKind::kAuto, "tick__after_events"));
  result.push_back(try_object<go_bpf>(btf, "uprobes in Go programs",
                                      "without them calls of Go's net/http stay roots",
                                      CaptureKind::kAuto, "go__round_trip"));
  const bool go = result.back().available;
  result.push_back(try_object<go_route_bpf>(btf, "uprobes in Go routers (kernel 5.15+)",
                                            "without them requests of Go have no routes",
                                            CaptureKind::kAuto, "go_route__mux"));
  if (!go && result.back().available) {
    result.back() = {result.back().name, false,
                     "without them requests of Go have no routes: they are placed together with "
                     "the uprobes in Go programs"};
  }
  result.push_back(try_object<propagate_bpf>(btf, "injection of trace context (kernel 5.17+)",
                                             "without it --propagate does nothing"));
  result.push_back(
      try_object<mute_bpf>(btf, "muting (kernel 5.10+)", "without it zerospan does not start"));
  return result;
}

}  // namespace zerospan::kernel
