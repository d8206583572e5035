// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What an orchestrator knows of one container of a pod, as far as the processes in it need it.
// Immutable once made. A plain value.
#pragma once

#include <string>
#include <unordered_set>
#include <vector>

#include "agent/model/span.h"

namespace zerospan::model {

struct Workload {
  bool chosen = false;  // its processes are to be traced
  std::string reason;   // why, or why not; for the operator, without a full stop
  // False: something that belongs into `observed` is still to come (the container's name, an
  // owner), so that spans wait for it a while.
  bool complete = true;
  // k8s.*, container.*, and service.* as they follow from those: weaker than what the operator has
  // configured for all processes.
  std::vector<ResourceAttribute> observed;
  // What the pod's author has stated (annotations): stronger than that, and weaker than what the
  // process's own environment says.
  std::vector<ResourceAttribute> stated;
  std::string service_name;  // if nobody has stated one; may be empty

  bool operator==(const Workload&) const = default;
};

// Containers of which something else is known than before.
struct WorkloadChanges {
  std::unordered_set<std::string> keys;  // uids of pods (also static pods' hashes), container ids
  bool chosen = false;                   // one of them was not to be traced, and is now

  [[nodiscard]] bool empty() const { return keys.empty(); }
};

}  // namespace zerospan::model
