// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// At most one `run` on a host: two of them would make every span twice.
//
// What agents on one host share, also in containers with file systems and networks of their own, is
// the host's pid namespace, without which zerospan traces nothing. So the lock is flock(2) on that
// namespace itself (/proc/self/ns/pid, namespaces(7)): nothing is left behind on a disk, and the
// kernel gives it back however the process ends.
#pragma once

#include <cstdint>
#include <optional>

#include "agent/core/unique_fd.h"

namespace zerospan::app {

struct HostLock {
  UniqueFd held;                  // ours as long as this is open
  std::optional<uint32_t> other;  // the pid of the agent that has it; 0: not known which
};

// Does not wait. Any process may take such a lock, so one that could not be an agent (it may not
// load BPF programs) is passed over with a warning; then, and where nothing can be told, neither
// member is set.
[[nodiscard]] HostLock take_host_lock();

}  // namespace zerospan::app
