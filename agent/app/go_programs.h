// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Go programs: reads a selected program's file, tells the kernel side where its goroutines are, and
// places the probes. Files take up to a second to read, so this has a thread of its own; until it
// is done with a process, that process's calls have no parents. A file is read once, and probed
// once, for all processes that run it; its probes go with the last of them.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "agent/app/go_sdk.h"
#include "agent/core/result.h"
#include "agent/kernel/capture.h"
#include "symbols/go/inspect.h"

namespace zerospan::app {

class GoPrograms {
 public:
  // What is in use of one file. A value.
  struct File {
    std::string go_version;
    symbols::go::OffsetSource offsets = symbols::go::OffsetSource::kNone;
    bool goroutines = false;           // they can be told
    std::vector<std::string> probes;   // functions
    std::vector<std::string> routers;  // functions with a probe for routes, or why there is none
    std::string failure;               // why not, or not all; empty if nothing failed
    std::vector<std::string> otel;     // modules of OpenTelemetry's, with their versions
  };
  struct Counters {
    uint64_t files = 0;
    uint64_t told = 0;  // processes
    uint64_t probes = 0;
    uint64_t failures = 0;
  };

  // `capture` must outlive this. `routes`: routers get probes.
  GoPrograms(kernel::Capture& capture, bool routes);
  ~GoPrograms();
  GoPrograms(const GoPrograms&) = delete;
  GoPrograms& operator=(const GoPrograms&) = delete;

  // Any thread; in order for one process. They return at once.
  // `sdk` is told what becomes known of the program's own SDK; may be null.
  void select(uint32_t pid, std::shared_ptr<discovery::GoSdk> sdk);
  void deselect(uint32_t pid);
  // It begins to listen: a good time to see whether the program's own SDK runs.
  void on_listen(uint32_t pid);
  // Until all that was asked for is done, or for `time`.
  void wait_idle(std::chrono::milliseconds time);

  // Any thread.
  [[nodiscard]] Counters counters() const;
  [[nodiscard]] std::optional<File> file_of(uint32_t pid) const;

 private:
  // Device, inode, size and time of change.
  using FileId = std::tuple<dev_t, ino_t, off_t, int64_t, int64_t>;
  struct Known {
    File summary;
    kernel::GoLayout layout;  // addresses as the file has them
    GoSdkFacts sdk;
    uint64_t entry = 0;
    std::vector<uint64_t> maybe_allp;
    std::vector<kernel::GoProbeSite> sites;
    std::unique_ptr<kernel::Probes> probes;  // while a process is selected
    size_t processes = 0;
  };
  struct Process {
    FileId file;
    bool told = false;      // its goroutines, to the kernel side
    bool complete = false;  // nothing more is to be learned from its memory
    int looks = 0;
  };
  struct Job {
    enum class Kind : uint8_t { kSelect, kDeselect, kListen };
    uint32_t pid = 0;
    Kind kind = Kind::kSelect;
    std::shared_ptr<discovery::GoSdk> sdk{};
  };

  void add(Job job);
  void run();
  void attach(uint32_t pid);
  void attach_sdk(uint32_t pid, std::shared_ptr<discovery::GoSdk> sdk);
  void wait_for_work(std::unique_lock<std::mutex>& lock);
  void tell(uint32_t pid, Known& known, Process process);
  void look_again();
  void detach(uint32_t pid);
  void add_routers(const symbols::go::GoBinary& binary, Known& known) const;
  [[nodiscard]] Known read(uint32_t pid);

  kernel::Capture& capture_;
  const bool routes_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;                          // under the mutex
  bool busy_ = false;                             // under the mutex
  bool stopping_ = false;                         // under the mutex
  std::map<FileId, Known> files_;                 // changed by the thread, under the mutex
  std::unordered_map<uint32_t, Process> by_pid_;  // the same
  bool incomplete_ = false;                       // of the thread: look_again() has to
  uint64_t failures_ = 0;                         // the same
  GoSdkWatch sdks_;                               // of the thread
  std::thread thread_;
};

}  // namespace zerospan::app
