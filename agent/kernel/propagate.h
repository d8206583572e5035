// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Puts the programs of bpf/probes/propagate.bpf.c in place. Nothing is replaced: the one at the
// sockets' operations is a BPF link, beside which others may stand (bpf_link of cgroups,
// Linux 5.7), and the one at their messages belongs to a map of our own.
#pragma once

#include <memory>
#include <string>

#include "agent/core/result.h"

struct bpf_link;
struct propagate_bpf;

namespace zerospan::kernel {

// Owns what it has attached; gone when it is destroyed. Connections that were taken by then stay in
// the map until that goes. One thread at a time.
class PropagationLinks {
 public:
  // `programs` are loaded, and outlive this. `cgroup_root`: where the unified hierarchy is mounted;
  // empty: nowhere. Errors say what to do.
  Status attach(const propagate_bpf& programs, const std::string& cgroup_root);

 private:
  struct Destroy {
    void operator()(bpf_link* link) const;
  };
  std::unique_ptr<bpf_link, Destroy> established_;
};

}  // namespace zerospan::kernel
