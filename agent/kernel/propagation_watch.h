// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Watches the connections that are under the injecting program: which of them do not get rid of
// what their programs have sent, although nothing is in their way, and which need not be there?
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
[[nodiscard]] bool is_stalled(const zs_watched_socket& before, const zs_watched_socket& now);

class PropagationWatch {
 public:
  struct Seen {
    std::vector<uint64_t> stalled;   // since the last look
    std::vector<uint64_t> off;       // nothing more is injected into them
    std::vector<uint64_t> blocking;  // of the others: in blocking mode
  };

  // Of the sockhash `clients`, whose keys are 64 bits; `outgoing` is the map of that name in
  // bpf/maps/outgoing.h, or -1: none is off. Needs Linux 5.10.
  static Result<PropagationWatch> make(const KernelBtf& btf, int clients, int outgoing);
  PropagationWatch(PropagationWatch&&) noexcept;
  PropagationWatch& operator=(PropagationWatch&&) noexcept;
  ~PropagationWatch();

  // One thread. Keys of `clients`.
  Result<Seen> look();

 private:
  struct Impl;
  explicit PropagationWatch(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace zerospan::kernel
