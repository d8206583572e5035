// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/app/host_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <string>

#include "agent/core/result.h"
#include "agent/selfobs/logging.h"

namespace zerospan::app {

namespace {

namespace log = selfobs::log;

constexpr const char* kNamespace = "/proc/self/ns/pid";

// proc_locks(5): "1: FLOCK  ADVISORY  WRITE 4711 00:04:4026531836 0 EOF". 0: not found.
uint32_t owner_of(const struct stat& file) {
  const std::string wanted =
      fmt::format("{:02x}:{:02x}:{}", major(file.st_dev), minor(file.st_dev), file.st_ino);
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream words(line);
    std::string number;
    std::string kind;
    std::string strictness;
    std::string mode;
    std::string inode;
    uint32_t pid = 0;
    if (words >> number >> kind >> strictness >> mode >> pid >> inode && kind == "FLOCK" &&
        inode == wanted) {
      return pid;
    }
  }
  return 0;
}

bool may_load_bpf(uint32_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    constexpr std::string_view kEffective = "CapEff:";
    if (line.starts_with(kEffective)) {
      const uint64_t capabilities =
          std::strtoull(line.c_str() + kEffective.size(), nullptr, 16);  // 0 if it is no number
      return (capabilities & (1ULL << CAP_BPF | 1ULL << CAP_SYS_ADMIN)) != 0;
    }
  }
  return true;
}

}  // namespace

HostLock take_host_lock() {
  HostLock lock;
  UniqueFd file(::open(kNamespace, O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!file.valid() || ::fstat(file.get(), &info) != 0) {
    log::warn("whether another agent runs on this host cannot be told: {}",
              error_from_errno(errno, kNamespace).message);
    return lock;
  }
  if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) {
    lock.held = std::move(file);
    return lock;
  }
  if (errno != EWOULDBLOCK) {
    log::warn("whether another agent runs on this host cannot be told: {}",
              error_from_errno(errno, kNamespace).message);
    return lock;
  }
  const uint32_t owner = owner_of(info);
  if (owner != 0 && !may_load_bpf(owner)) {
    log::warn("process {} has locked {} and can be no agent: going on", owner, kNamespace);
    return lock;
  }
  lock.other = owner;
  return lock;
}

}  // namespace zerospan::app
