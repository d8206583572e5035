// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What is common to all that load BPF objects: how libbpf's failures are told, what an object needs
// between open and load, and how it is attached. Of this folder alone. Any thread may call it.
#pragma once

#include <bpf/libbpf.h>

#include <cstdarg>
#include <string>

#include "agent/core/result.h"
#include "agent/kernel/btf.h"
#include "agent/kernel/function_probes.h"
#include "agent/kernel/skeleton.h"
#include "sock_fexit.skel.h"
#include "sock_kprobe.skel.h"
#include "sock_length.skel.h"

namespace zerospan::kernel {

// libbpf explains failures only through this callback. The thread's last lines become part of the
// error that the operator reads.
int collect_libbpf_message(libbpf_print_level level, const char* format, va_list arguments);
std::string take_libbpf_messages();
Error bpf_error(int error_number, const std::string& what);

struct LinkDeleter {
  void operator()(bpf_link* link) const { bpf_link__destroy(link); }
};

// Opens what this kernel can load, for any of the skeletons. Null, and errno: libbpf has said why.
template <typename Skeleton>
SkeletonPtr<Skeleton> open_object(const KernelBtf& btf);

void preallocate_if_needed(bpf_object* object);

// May the kernel preempt itself? True if that cannot be told.
bool kernel_preempts();

// See bpf/probes/sock_event.bpf.c.
bool needs_events();
// perf takes tracepoints by their numbers in tracefs.
bool has_events();

constexpr const char* kWithoutEvents =
    "from kernel 7.0 on capture kind tracepoint needs them; mount tracefs at /sys/kernel/tracing";

// What an object needs between open and load, and how it is attached, where that differs.
template <typename Skeleton>
void prepare(Skeleton&) {}

void prepare(sock_length_bpf& skeleton);
void prepare(sock_fexit_bpf& skeleton);
void prepare(sock_kprobe_bpf& skeleton);

template <typename Skeleton>
Status attach(Skeleton& skeleton, const std::string& context, FunctionProbes&) {
  if (const int error = attach_skeleton(skeleton.skeleton); error != 0) {
    return tl::unexpected(bpf_error(-error, context));
  }
  return {};
}

Status attach(sock_kprobe_bpf& skeleton, const std::string& context, FunctionProbes& probes);

}  // namespace zerospan::kernel
