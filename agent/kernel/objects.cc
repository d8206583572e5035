// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/kernel/objects.h"

#include <bpf/btf.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "go.skel.h"
#include "go_old.skel.h"
#include "go_route.skel.h"
#include "io_uring.skel.h"
#include "mute.skel.h"
#include "process.skel.h"
#include "propagate.skel.h"
#include "sock_event.skel.h"
#include "sock_fexit.skel.h"
#include "sock_fexit_old.skel.h"
#include "sock_kprobe.skel.h"
#include "sock_kprobe_old.skel.h"
#include "sock_length.skel.h"
#include "sock_state.skel.h"
#include "sock_state_old.skel.h"
#include "syscall_exit.skel.h"
#include "syscall_exit_old.skel.h"
#include "tick.skel.h"
#include "tick_old.skel.h"

namespace zerospan::kernel {

namespace {

thread_local std::string libbpf_messages;

// A kernel without IPv6, or whose module was not loaded yet, has none of its functions.
bool has_ipv6() {
  return ::access("/proc/net/if_inet6", F_OK) == 0;
}

// The functions of bpf/probes/sock_kprobe.bpf.c.
std::vector<const char*> socket_functions(const char* ipv4, const char* ipv6, const char* local) {
  std::vector<const char*> functions = {ipv4, local};
  if (has_ipv6()) {
    functions.push_back(ipv6);
  }
  return functions;
}

// The objects that are built twice: the other one, for kernels before 5.13, has the same programs,
// maps and settings (docs/decisions/0016-kernels-before-5-13.md). It is right on x86-64 alone.
#if defined(__x86_64__)
#define ZEROSPAN_BUILT_TWICE(name)                     \
  int create_skeleton(name##_bpf* skeleton) {          \
    return name##_bpf__create_skeleton(skeleton);      \
  }                                                    \
  const void* old_object(name##_bpf*, size_t* bytes) { \
    return name##_old_bpf::elf_bytes(bytes);           \
  }
ZEROSPAN_BUILT_TWICE(go)
ZEROSPAN_BUILT_TWICE(sock_fexit)
ZEROSPAN_BUILT_TWICE(sock_kprobe)
ZEROSPAN_BUILT_TWICE(sock_state)
ZEROSPAN_BUILT_TWICE(syscall_exit)
ZEROSPAN_BUILT_TWICE(tick)
#undef ZEROSPAN_BUILT_TWICE
#endif

}  // namespace

int collect_libbpf_message(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG) {
    return 0;
  }
  va_list again;
  va_copy(again, arguments);
  const int length = std::vsnprintf(nullptr, 0, format, arguments);
  if (length > 0 && libbpf_messages.size() < 4096) {
    std::string text(static_cast<size_t>(length) + 1, '\0');
    std::vsnprintf(text.data(), text.size(), format, again);
    text.pop_back();
    // The verifier's log: what it was about, and at its end why.
    constexpr size_t kEnds = 400;
    if (text.size() > 2 * kEnds) {
      text.replace(kEnds, text.size() - 2 * kEnds, "\n[...]\n");
    }
    libbpf_messages += text;
  }
  va_end(again);
  return length;
}

std::string take_libbpf_messages() {
  std::string messages = std::move(libbpf_messages);
  libbpf_messages.clear();
  while (!messages.empty() && messages.back() == '\n') {
    messages.pop_back();
  }
  return messages;
}

Error bpf_error(int error_number, const std::string& what) {
  Error error = error_from_errno(error_number, what);
  const std::string messages = take_libbpf_messages();
  if (messages.find("cannot use helper bpf_probe_read") != std::string::npos) {
    error.code = ErrorCode::kUnsupported;
    error.message +=
        "; this kernel lets no BPF program read its memory (lockdown in mode confidentiality)";
  } else if (messages.find("END PROG LOAD LOG") != std::string::npos) {
    error.code = ErrorCode::kUnsupported;
    error.message += "; this kernel's verifier refused it";
  } else if (messages.find("failed to find valid kernel BTF") != std::string::npos) {
    error.code = ErrorCode::kUnsupported;
    error.message += "; this needs /sys/kernel/btf/vmlinux itself, capture.btf does not do";
  } else if (error.code == ErrorCode::kPermission) {
    error.message +=
        "; run as root, or grant CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE and "
        "CAP_DAC_READ_SEARCH, for uprobes CAP_SYS_ADMIN too";
  }
  if (!messages.empty()) {
    error.message += " (" + messages + ")";
  }
  return error;
}

template <typename Skeleton>
SkeletonPtr<Skeleton> open_object(const KernelBtf& btf) {
  const bpf_object_open_opts options = btf.open_options();
  if constexpr (requires(Skeleton* skeleton, size_t* bytes) { old_object(skeleton, bytes); }) {
    if (!kernel_is_at_least(5, 13)) {
      // As Skeleton::open() does it.
      SkeletonPtr<Skeleton> skeleton(static_cast<Skeleton*>(std::calloc(1, sizeof(Skeleton))));
      int error = skeleton ? create_skeleton(skeleton.get()) : -ENOMEM;
      if (error == 0) {
        bpf_object_skeleton& parts = *skeleton->skeleton;
        parts.data = old_object(skeleton.get(), &parts.data_sz);
        error = bpf_object__open_skeleton(&parts, &options);
      }
      if (error != 0) {
        skeleton.reset();
        errno = -error;
      }
      return skeleton;
    }
  }
  return SkeletonPtr<Skeleton>(Skeleton::open(&options));
}

template SkeletonPtr<go_bpf> open_object(const KernelBtf& btf);
template SkeletonPtr<go_route_bpf> open_object(const KernelBtf& btf);
template SkeletonPtr<io_uring_bpf> open_object(const KernelBtf& btf);
template SkeletonPtr<mute_bpf> open_object(const KernelBtf& btf);
template SkeletonPtr<process_bpf> open_object(const KernelBtf& btf);
template SkeletonPtr<propagate_bpf> open_object(const KernelBtf& btf);
template SkeletonPtr<sock_event_bpf> open_object(const KernelBtf& btf);
template SkeletonPtr<sock_fexit_bpf> open_object(const KernelBtf& btf);
template SkeletonPtr<sock_kprobe_bpf> open_object(const KernelBtf& btf);
template SkeletonPtr<sock_length_bpf> open_object(const KernelBtf& btf);
template SkeletonPtr<sock_state_bpf> open_object(const KernelBtf& btf);
template SkeletonPtr<syscall_exit_bpf> open_object(const KernelBtf& btf);
template SkeletonPtr<tick_bpf> open_object(const KernelBtf& btf);

// BPF_F_NO_PREALLOC in tracing programs came with the BPF memory allocator in 6.1; the verifier
// refuses it before. The ability cannot be probed apart from loading, so the release decides.
void preallocate_if_needed(bpf_object* object) {
  if (kernel_is_at_least(6, 1)) {
    return;
  }
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    if (bpf_map__type(map) == BPF_MAP_TYPE_HASH) {
      bpf_map__set_map_flags(map, bpf_map__map_flags(map) & ~static_cast<__u32>(BPF_F_NO_PREALLOC));
    }
  }
}

// Where it is built so, the mode can be chosen at start and be changed (kernel/sched/core.c,
// preempt=).
bool kernel_preempts() {
  utsname name{};
  if (::uname(&name) == 0 && std::string_view(name.version).find("PREEMPT") == std::string::npos) {
    return false;
  }
  // "none (voluntary) full": the mode in force is in brackets. Only where debugfs is mounted.
  std::ifstream file("/sys/kernel/debug/sched/preempt");
  std::string modes;
  std::getline(file, modes);
  return modes.find("(none)") == std::string::npos &&
         modes.find("(voluntary)") == std::string::npos;
}

bool needs_events() {
  return kernel_is_at_least(7, 0);
}

bool has_events() {
  return ::access("/sys/kernel/tracing/events/sock/sock_send_length/id", R_OK) == 0 ||
         ::access("/sys/kernel/debug/tracing/events/sock/sock_send_length/id", R_OK) == 0;
}

void prepare(sock_length_bpf& skeleton) {
  skeleton.rodata->zs_streams_by_event = needs_events();
}

void prepare(sock_fexit_bpf& skeleton) {
  const std::unique_ptr<btf, decltype(&btf__free)> types(btf__load_vmlinux_btf(), &btf__free);
  const auto load_if_there = [&types](bpf_program* program, const char* function) {
    bpf_program__set_autoload(
        program, types && btf__find_by_name_kind(types.get(), function, BTF_KIND_FUNC) > 0);
  };
  // Up to 6.4.
  load_if_there(skeleton.progs.sock_fexit__page, "inet_sendpage");
  load_if_there(skeleton.progs.sock_fexit__page_unix, "unix_stream_sendpage");
  bpf_program__set_autoload(skeleton.progs.sock_fexit__send6, has_ipv6());
  bpf_program__set_autoload(skeleton.progs.sock_fexit__receive6, has_ipv6());
}

void prepare(sock_kprobe_bpf& skeleton) {
  for (bpf_program* program :
       {skeleton.progs.sock_kprobe__send, skeleton.progs.sock_kprobe__receive,
        skeleton.progs.sock_kprobe__pages, skeleton.progs.sock_kprobe__send_page,
        skeleton.progs.sock_kprobe__sent, skeleton.progs.sock_kprobe__received}) {
    FunctionProbes::prepare(program);
  }
}

Status attach(sock_kprobe_bpf& skeleton, const std::string& context, FunctionProbes& probes) {
  using Where = FunctionProbes::Where;
  // Without a function's name in its section none of the probes is attached by this.
  if (const int error = attach_skeleton(skeleton.skeleton); error != 0) {
    return tl::unexpected(bpf_error(-error, context));
  }
  const std::vector<const char*> sends =
      socket_functions("inet_sendmsg", "inet6_sendmsg", "unix_stream_sendmsg");
  const std::vector<const char*> receives =
      socket_functions("inet_recvmsg", "inet6_recvmsg", "unix_stream_recvmsg");
  constexpr auto kSplices =
      std::to_array<const char*>({"tcp_splice_read", "unix_stream_splice_read"});
  // Up to 6.4.
  constexpr auto kPage = std::to_array<const char*>({"inet_sendpage"});
  constexpr auto kUnixPage = std::to_array<const char*>({"unix_stream_sendpage"});
  struct Probe {
    bpf_program* program;
    Where where;
    std::span<const char* const> functions;
    bool may_be_missing;
  };
  // Ends first: a beginning without an end would be counted as a loss.
  for (const Probe& probe : std::to_array<Probe>({
           {skeleton.progs.sock_kprobe__sent, Where::kEnd, sends, false},
           {skeleton.progs.sock_kprobe__received, Where::kEnd, receives, false},
           {skeleton.progs.sock_kprobe__received, Where::kEnd, kSplices, false},
           {skeleton.progs.sock_kprobe__sent, Where::kEnd, kPage, true},
           {skeleton.progs.sock_kprobe__sent, Where::kEnd, kUnixPage, true},
           {skeleton.progs.sock_kprobe__send, Where::kBegin, sends, false},
           {skeleton.progs.sock_kprobe__receive, Where::kBegin, receives, false},
           {skeleton.progs.sock_kprobe__pages, Where::kBegin, kSplices, false},
           {skeleton.progs.sock_kprobe__pages, Where::kBegin, kUnixPage, true},
           {skeleton.progs.sock_kprobe__send_page, Where::kBegin, kPage, true},
       })) {
    if (probe.may_be_missing && kernel_is_at_least(6, 5)) {
      continue;
    }
    if (Status status = probes.attach(probe.program, probe.where, probe.functions); !status) {
      take_libbpf_messages();
      return tl::unexpected(status.error().with_context(context));
    }
  }
  return {};
}

}  // namespace zerospan::kernel
