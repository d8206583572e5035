// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Kprobes where functions of the kernel begin and end.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "agent/core/result.h"

struct bpf_link;
struct bpf_program;

namespace zerospan::kernel {

// Owns the probes that it has placed; they are gone when it is destroyed. One thread at a time.
//
// A probe where a function ends needs room in the kernel for each call that is under way, or that
// call's end is missed; a thread that waits in a receive is such a call. From Linux 6.14 the room
// is each thread's own (kernel/trace/fgraph.c). Before, it is the probe's, it is few calls for
// probes of perf_event_open and of BPF (fprobe), and only probes that tracefs makes can be given
// more (Documentation/trace/kprobetrace.rst, MAXACTIVE): 4096 calls of each function here. Their
// definitions, not armed, outlive a process that is killed; the next one removes them.
class FunctionProbes {
 public:
  FunctionProbes();
  ~FunctionProbes();
  FunctionProbes(FunctionProbes&&) noexcept;
  FunctionProbes& operator=(FunctionProbes&&) noexcept;
  FunctionProbes(const FunctionProbes&) = delete;
  FunctionProbes& operator=(const FunctionProbes&) = delete;

  // Before the program is loaded.
  static void prepare(bpf_program* program);

  enum class Where : uint8_t { kBegin, kEnd };
  // One program for all of these functions. Errors name the function, and what to do.
  Status attach(bpf_program* program, Where where, std::span<const char* const> functions);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// By the running kernel's release; false if that cannot be read.
[[nodiscard]] bool kernel_is_at_least(unsigned major, unsigned minor);

}  // namespace zerospan::kernel
