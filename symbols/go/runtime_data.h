// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Where some of the runtime's variables are. A value.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace zerospan::symbols::go {

// Virtual addresses, as the file has them; none where the code does not look as expected.
struct RuntimeData {
  std::optional<uint64_t> goidgen;  // runtime.sched.goidgen: the highest id of a goroutine so far
  std::optional<uint64_t> allgs;    // runtime.allgs: a slice of *g
  // One of these is runtime.allp, a slice of *p: that with p.id = 0, 1, 2 ... in a process.
  std::vector<uint64_t> maybe_allp;
  std::optional<int64_t> tls;  // where a thread's g is, from the base of its own storage (fs)
  bool operator==(const RuntimeData&) const = default;
};

}  // namespace zerospan::symbols::go
