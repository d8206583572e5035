// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// All processes of the host, and which of them are traced.
//
// Owned and called by the watcher's thread, which feeds it the kernel's events in order and applies
// the actions that it returns. Workers read through view(). Counters may be read by any thread.
//
// Events may be late, doubled or lost: every call reads /proc for the truth, a pid that was reused
// is known by its start time, and scan_running() may be called again at any time to make up for
// lost events. A process is judged when it is first seen, at exec and when it starts to listen; a
// change of user between those is not noticed.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "agent/core/result.h"
#include "agent/discovery/cgroup.h"
#include "agent/discovery/process_info.h"
#include "agent/discovery/process_view.h"
#include "agent/discovery/procfs.h"
#include "agent/discovery/resource.h"
#include "agent/discovery/selector.h"
#include "agent/model/workload.h"

namespace zerospan::discovery {

struct Action {
  // kSelectCgroup: what is executed in this cgroup from now on is to be captured at once.
  enum class Kind : uint8_t { kSelect, kDeselect, kSelectCgroup, kDeselectCgroup };
  Kind kind = Kind::kSelect;
  uint32_t pid = 0;
  // With kSelect; what was true when the process was looked at. A program makes its epoll instance
  // after it was started, so false says nothing about one that was just executed.
  bool is_go = false;
  bool uses_epoll = false;
  uint64_t cgroup_id = 0;  // with k...Cgroup; of the unified hierarchy

  bool operator==(const Action&) const = default;
};
using Actions = std::vector<Action>;

// Null if nothing is known of the pod, nor of the container. Either key may be empty.
using WorkloadLookup = std::function<std::shared_ptr<const model::Workload>(
    std::string_view pod_uid, std::string_view container_id)>;

struct ProcessTableOptions {
  SelectorOptions selection;
  WorkloadLookup workloads;  // with selection.pods; called from the watcher's thread
  // How long a new process of a pod that is not known, or not wholly, waits for it. Until then it
  // is captured, and its spans wait; after that it is not, if nothing but its pod could choose it.
  std::chrono::nanoseconds workload_patience = std::chrono::seconds(10);
  std::string cgroup_root;  // where cgroup v2 is mounted; empty: nowhere
  ResourceOptions resource;
  std::string passwd_path = "/etc/passwd";                    // of the host
  std::chrono::nanoseconds grace = std::chrono::seconds(30);  // how long ended processes are kept
  size_t max_ended = 4096;                                    // the oldest go first
  size_t max_selected = 16'384;  // processes beyond are not traced, and counted
};

struct ProcessTableCounters {
  uint64_t known = 0;     // live processes
  uint64_t selected = 0;  // of them
  uint64_t forks = 0;
  uint64_t execs = 0;
  uint64_t exits = 0;
  uint64_t listens = 0;
  uint64_t vanished = 0;       // ended before they could be read
  uint64_t unreadable = 0;     // /proc, environments or descriptors that we may not read
  uint64_t over_limit = 0;     // not traced because of max_selected
  uint64_t malformed_elf = 0;  // executables that are no ELF files as we know them
  uint64_t malformed_resource_attributes = 0;
  uint64_t awaiting_workload = 0;      // now
  uint64_t workloads_never_known = 0;  // processes that waited for their pod in vain
};

// Names of users from a passwd(5) file. Read again when it has changed.
class UserNames {
 public:
  explicit UserNames(std::string path) : path_(std::move(path)) {}
  [[nodiscard]] std::string name(uint32_t uid);

 private:
  void load();
  std::string path_;
  std::unordered_map<uint32_t, std::string> names_;
  std::tuple<int64_t, int64_t, uint64_t> version_;  // mtime and inode of what was read
};

class ProcessTable {
 public:
  using Clock = std::function<uint64_t()>;  // nanoseconds, monotonic

  ProcessTable(ProcessTableOptions options, ProcFs procfs, Clock clock);

  // At start, once the events are attached; and after lost events. Actions for what changed.
  [[nodiscard]] Actions scan_running();
  // Other rules from now on, for all processes: judges and names them anew. `max_selected` and what
  // is about files stays as it was.
  [[nodiscard]] Actions reconfigure(const SelectorOptions& selection,
                                    const ResourceOptions& resource);
  // A process (not a thread) was made.
  [[nodiscard]] Actions on_fork(uint32_t parent_pid, uint32_t child_pid);
  [[nodiscard]] Actions on_exec(uint32_t pid);
  // The last thread of a process ended.
  [[nodiscard]] Actions on_exit(uint32_t pid);
  // A socket of a process entered LISTEN.
  [[nodiscard]] Actions on_listen(uint32_t pid, uint16_t port);
  // The look-up of workloads gives something else for these.
  [[nodiscard]] Actions on_workloads(const model::WorkloadChanges& changes);
  // Now and then, some times a second: ends waits that last too long.
  [[nodiscard]] Actions on_time();

  [[nodiscard]] std::shared_ptr<const ProcessView> view() const { return view_; }
  [[nodiscard]] ProcessTableCounters counters() const;

  struct Inspection {
    ProcessInfo info;
    Decision decision;
  };
  // Everything about one process, selected or not, for `zerospan check --pid`. Changes nothing.
  [[nodiscard]] Result<Inspection> inspect(uint32_t pid);

 private:
  struct Entry {
    uint64_t start_time = 0;
    bool below_included = false;
    bool below_excluded = false;
    std::vector<uint16_t> ports;              // kept only where a rule asks for ports
    std::string pod_uid, container_id;        // kept only where pods are chosen
    uint64_t cgroup_id = 0;                   // told to the kernel's side for this process; 0: none
    uint64_t awaits_until_ns = 0;             // for its workload; 0: has not waited yet
    std::shared_ptr<const ProcessInfo> info;  // selected processes only
  };
  // Listen tables of one pass, by network namespace.
  using Namespaces = std::map<std::string, ListenTable>;
  struct Facts;

  [[nodiscard]] Result<Facts> gather(uint32_t pid, ProcStat stat, const Entry& entry,
                                     Namespaces& namespaces, bool everything);
  void complete(Facts& facts, const Entry& entry, Namespaces& namespaces, bool everything);
  void load_container(Facts& facts) const;
  void load_ports(Facts& facts, const Entry& entry, Namespaces& namespaces);
  void judge(uint32_t pid, ProcStat stat, Entry entry, Namespaces& namespaces, bool always_act,
             Actions& actions);
  void inherit_lineage(uint32_t pid, const Entry* parent, Entry& entry) const;
  void select(uint32_t pid, Entry entry, std::shared_ptr<const ProcessInfo> info, bool always_act,
              Actions& actions);
  void forget(uint32_t pid, Actions& actions);
  void await_workload(uint32_t pid, uint64_t until_ns, Entry& entry, ProcessInfo& info);
  [[nodiscard]] uint64_t deadline() const;
  [[nodiscard]] uint64_t awaited_until(const std::string& pod_uid);
  [[nodiscard]] bool may_await(const Entry& entry) const;
  void set_cgroup(Entry& entry, uint64_t cgroup_id, Actions& actions);
  [[nodiscard]] uint64_t cgroup_id(const Cgroup& cgroup) const;
  void expire();
  void publish();
  [[nodiscard]] bool is_go(uint32_t pid);
  [[nodiscard]] std::string package_name(uint32_t pid, std::string_view script) const;

  ProcessTableOptions options_;
  Selector selector_;
  ResourceBuilder resources_;
  ProcFs procfs_;
  Clock clock_;
  UserNames users_;
  std::unordered_map<uint32_t, Entry> entries_;

  struct Ended {
    uint64_t until_ns;
    std::shared_ptr<const ProcessInfo> info;
  };
  std::deque<Ended> ended_;
  std::vector<uint32_t> awaiting_;                          // pids; some may not wait any more
  std::unordered_map<std::string, uint64_t> unknown_pods_;  // until when they are waited for
  std::unordered_map<uint64_t, uint32_t> cgroups_;  // told to the kernel's side, by how many
  bool renewing_ = false;  // what is known of a selected process is replaced in any case
  ProcessSnapshot current_;
  bool changed_ = false;
  std::shared_ptr<ProcessView> view_ = std::make_shared<ProcessView>();

  // Whether a file is a Go program, by device, inode and modification time.
  using FileId = std::tuple<uint64_t, uint64_t, int64_t, int64_t>;
  std::map<FileId, bool> go_files_;

  struct AtomicCounters {
    std::atomic<uint64_t> known{0}, selected{0}, forks{0}, execs{0}, exits{0}, listens{0},
        vanished{0}, unreadable{0}, over_limit{0}, malformed_elf{0}, awaiting{0}, never_known{0};
  };
  AtomicCounters counters_;
};

}  // namespace zerospan::discovery
