// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What is known of one process. Immutable once made, shared by everything that refers to it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/discovery/own_sdk.h"
#include "agent/discovery/runtime.h"
#include "agent/model/span.h"
#include "agent/model/workload.h"

namespace zerospan::discovery {

struct ProcessInfo {
  uint32_t pid = 0;         // thread group id in the initial pid namespace
  uint64_t start_time = 0;  // clock ticks since boot, as in /proc/PID/stat
  uint32_t parent_pid = 0;
  uint32_t namespace_pid = 0;  // in its own pid namespace
  std::string executable;      // path as the process sees it; may be empty
  std::string command;         // comm
  std::string command_line;    // arguments joined by spaces, at most 4 KiB
  uint32_t uid = 0;            // effective
  std::string user;            // on this host; empty if it has no name
  std::string container_id;    // 64 hex digits, or empty
  std::string pod_uid;         // as Cgroup::pod_uid
  Runtime runtime = Runtime::kNative;
  std::string tls_library;             // a path or a name; filled by ProcessTable::inspect only
  std::vector<uint16_t> listen_ports;  // TCP, ascending, as last known
  bool uses_epoll = false;             // had an epoll instance open when last looked at
  bool seccomp_filter = false;         // uretprobes may be unsafe (see the kernel's notes)
  FoundSdk sdk;
  std::shared_ptr<GoSdk> go_sdk;  // of a Go program whose SDK is not switched off; else null
  std::shared_ptr<const model::Workload> workload;  // null: in no pod that is known
  // More is to become known of its pod, within a bounded time: spans are not to leave before.
  bool awaits_workload = false;
  std::shared_ptr<const model::Resource> resource;  // null while it is not known as selected
};

}  // namespace zerospan::discovery
