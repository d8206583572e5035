// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Watches the connections that are under the injecting program: which of them do not get rid of
// what their programs have sent, although nothing is in their way?
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "agent/core/result.h"
#include "agent/kernel/btf.h"
#include "agent/kernel/skeleton.h"
#include "bpf/abi/propagate_watch.h"

struct propagate_watch_bpf;

namespace zerospan::kernel {

// Two looks at one socket, a second or more apart. True if bytes waited all the time that TCP had
// not sent, with nothing on its way whose acknowledgement it could have waited for, and room for
// them at the peer. A slow network, a peer that does not read and TCP_CORK (which ends by itself
// after 200 ms) are none of that.
[[nodiscard]] bool is_stalled(const zs_send_progress& before, const zs_send_progress& now);

class StalledSockets {
 public:
  // Of the sockhash `map`, whose keys are 64 bits. Needs Linux 5.10.
  static Result<StalledSockets> make(const KernelBtf& btf, int map);
  StalledSockets(StalledSockets&&) noexcept;
  StalledSockets& operator=(StalledSockets&&) noexcept;
  ~StalledSockets();

  // One thread. The keys of those that are stalled since the last look.
  Result<std::vector<uint64_t>> look();

 private:
  struct Impl;
  explicit StalledSockets(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace zerospan::kernel
