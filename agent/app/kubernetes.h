// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The cluster as the API server tells of it, followed by a thread of its own.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "agent/config/config.h"
#include "agent/core/result.h"
#include "agent/k8s/api/client.h"
#include "agent/k8s/cluster.h"
#include "agent/selfobs/metrics.h"

namespace zerospan::app {

class Kubernetes {
 public:
  static Result<std::unique_ptr<Kubernetes>> start(const config::Kubernetes& config);
  ~Kubernetes();
  Kubernetes(const Kubernetes&) = delete;
  Kubernetes& operator=(const Kubernetes&) = delete;

  // Whether everything was listed once, before `patience` was over.
  bool wait_synced(std::chrono::milliseconds patience) const;
  [[nodiscard]] k8s::Cluster& cluster() { return cluster_; }
  // Any thread.
  void collect(selfobs::Samples& samples) const;

 private:
  explicit Kubernetes(const config::Kubernetes& config);
  k8s::Cluster cluster_;
  std::vector<k8s::Collection> collections_;
  std::unique_ptr<k8s::Client> client_;  // after what it calls
};

// Where the unified hierarchy of cgroups is mounted, as /proc/self/mounts says; empty: nowhere.
[[nodiscard]] std::string find_cgroup_root();

}  // namespace zerospan::app
