// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// /proc, read in bounded pieces. The root is given, so that a test can make a tree of its own.
//
// Processes end while they are read: every function then returns kNotFound, which is normal.
// Nothing here keeps state; any thread may call.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/core/result.h"
#include "agent/core/unique_fd.h"

namespace zerospan::discovery {

struct ProcStat {
  std::string command;  // comm
  char state = '?';
  uint32_t parent_pid = 0;
  bool kernel_thread = false;
  uint64_t start_time = 0;  // clock ticks since boot; with the pid it names a process for good
};

struct ProcStatus {
  uint32_t uid = 0;            // effective
  uint32_t namespace_pid = 0;  // the pid in the process's own pid namespace
  bool seccomp_filter = false;
};

struct ProcFds {
  std::vector<uint64_t> socket_inodes;
  bool epoll = false;
};

// Listening TCP sockets of one network namespace: inode -> port.
using ListenTable = std::unordered_map<uint64_t, uint16_t>;

class ProcFs {
 public:
  explicit ProcFs(std::string root = "/proc") : root_(std::move(root)) {}

  [[nodiscard]] Result<std::vector<uint32_t>> pids() const;
  [[nodiscard]] Result<ProcStat> stat(uint32_t pid) const;
  [[nodiscard]] Result<ProcStatus> status(uint32_t pid) const;
  // At most 128 KiB; the last argument may be cut. Trailing empty arguments (of programs that write
  // a title over their arguments) are removed. Empty for zombies and kernel threads.
  [[nodiscard]] Result<std::vector<std::string>> arguments(uint32_t pid) const;
  // NUL-separated, as it was when the program started, at most 128 KiB.
  [[nodiscard]] Result<std::string> environment(uint32_t pid) const;
  // Without the kernel's " (deleted)".
  [[nodiscard]] Result<std::string> executable(uint32_t pid) const;
  // For reading the executable's file, also across mount namespaces and after its deletion.
  [[nodiscard]] Result<UniqueFd> open_executable(uint32_t pid) const;
  [[nodiscard]] Result<std::string> working_directory(uint32_t pid) const;
  [[nodiscard]] Result<std::string> cgroup(uint32_t pid) const;
  [[nodiscard]] Result<ProcFds> fds(uint32_t pid) const;
  // Paths of the mapped files, each once.
  [[nodiscard]] Result<std::vector<std::string>> mapped_files(uint32_t pid) const;
  // Something that is equal for processes of one network namespace, and not otherwise.
  [[nodiscard]] Result<std::string> network_namespace(uint32_t pid) const;
  [[nodiscard]] Result<ListenTable> listening(uint32_t pid) const;
  // A regular file of at most `limit` bytes as the process sees it: `path` is absolute in its root
  // directory, or relative to its working directory. Never leaves the process's root.
  [[nodiscard]] Result<std::string> file_of(uint32_t pid, std::string_view path,
                                            size_t limit) const;
  // The names in a directory as the process sees it, at most 4,096; `path` is absolute.
  [[nodiscard]] std::vector<std::string> directory_of(uint32_t pid, std::string_view path) const;
  // A file below the root itself, such as "sys/kernel/random/boot_id".
  [[nodiscard]] Result<std::string> file(std::string_view path) const;

 private:
  [[nodiscard]] std::string path_of(uint32_t pid, std::string_view name) const;
  std::string root_;
};

// The value of an environment variable; nullptr data() if it is not set.
[[nodiscard]] std::string_view find_variable(std::string_view environment, std::string_view name);

// A whole file, cut at `limit` bytes.
[[nodiscard]] Result<std::string> read_file(const std::string& path, size_t limit);

}  // namespace zerospan::discovery
