// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The pods of this node and the namespaces of the cluster, kept as the API tells of them, and what
// follows from them for each container. What is known stays when the API server is away.
//
// The client's thread feeds it; workload() and take_changes() may be called from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/core/result.h"
#include "agent/k8s/api/client.h"
#include "agent/k8s/choice.h"
#include "agent/k8s/peers.h"
#include "agent/k8s/pod.h"
#include "agent/k8s/pod_attributes.h"
#include "agent/model/workload.h"

namespace zerospan::k8s {

struct ClusterOptions {
  ChoiceOptions choice;
  AttributeOptions attributes;
};

// Indexes of Cluster::collections().
// The last two only if peers are asked for.
enum ClusterCollection : size_t { kPods, kNamespaces, kServices, kEndpointSlices };

class Cluster final : public Observer {
 public:
  // Gets one object's metadata, as Client::get() does; called with the cluster's lock held.
  using GetMetadata = std::function<bool(std::string path, Client::Done done)>;
  using ErrorHandler = std::function<void(const std::string& collection, const Error& error)>;

  // Without `on_error` errors are not told. `node_name` empty: the pods of all nodes.
  explicit Cluster(ClusterOptions options, ErrorHandler on_error = nullptr);

  // What the client is to follow: pods of this node, the metadata of all namespaces, and, for
  // `peers`, all Services and EndpointSlices.
  [[nodiscard]] static std::vector<Collection> collections(const std::string& node_name,
                                                           bool peers);
  [[nodiscard]] const Peers& peers() const { return peers_; }
  // Owners of owners (a ReplicaSet's Deployment, a Job's CronJob) are got one by one, each once
  // while a pod has it: a list of them would be the whole cluster's. Until it is set they stay
  // unknown; null: none is got any more.
  void set_get(GetMetadata get);

  // Null: the pod or its namespace is not known (yet). The same object as long as nothing changes.
  // `pod_uid` is the uid or a static pod's hash, and may be empty; so may the container's id.
  [[nodiscard]] std::shared_ptr<const model::Workload> workload(std::string_view pod_uid,
                                                                std::string_view container_id);
  // Since the last call.
  [[nodiscard]] model::WorkloadChanges take_changes();
  // Other rules or attributes from now on.
  void reconfigure(ClusterOptions options);

  struct Counters {
    uint64_t pods = 0;  // now
    uint64_t chosen_pods = 0;
    uint64_t namespaces = 0;
    uint64_t owners = 0;
    uint64_t owners_failed = 0;  // could not be got
  };
  [[nodiscard]] Counters counters() const;

  void on_list_begin(size_t collection) override;
  void on_object(size_t collection, const nlohmann::json& object) override;
  void on_deleted(size_t collection, const nlohmann::json& object) override;
  void on_list_end(size_t collection) override;
  void on_error(size_t collection, const Error& error) override;

 private:
  struct PodEntry {
    Pod pod;
    uint64_t list = 0;  // the number of the last list that had it, or during which it came
    // By container id, those that were asked for; with an empty id what is true of all.
    std::unordered_map<std::string, std::shared_ptr<const model::Workload>> workloads;
    bool chosen = false;  // one of the workloads is
  };
  struct NamespaceEntry {
    std::string uid;
    TextMap labels;
    uint64_t list = 0;
  };
  struct OwnerEntry {
    bool known = false;  // also if it could not be got
    std::optional<Owner> controller;
  };

  [[nodiscard]] PodEntry* find_pod(std::string_view pod_uid, std::string_view container_id);
  [[nodiscard]] std::shared_ptr<const model::Workload> make(const PodEntry& entry,
                                                            std::string_view container_id) const;
  [[nodiscard]] bool has_owner_of_owner(const Pod& pod) const;
  void put_pod(Pod&& pod);
  void remove_pod(const std::string& uid);
  void tell(const PodEntry& entry);
  void refresh(PodEntry& entry);
  void refresh_namespace(const std::string& name);
  void want_owner(const Owner& owner, const std::string& namespace_name);
  void on_owner(const std::string& uid, const Result<nlohmann::json>& object);
  void drop_unused_owners();

  mutable std::mutex mutex_;
  ClusterOptions options_;
  ErrorHandler on_error_;
  GetMetadata get_;
  std::array<uint64_t, 2> lists_{};                       // begun, by collection
  std::unordered_map<std::string, PodEntry> pods_;        // by uid
  std::unordered_map<std::string, std::string> aliases_;  // container ids and hashes -> uid
  std::unordered_map<std::string, NamespaceEntry> namespaces_;
  std::string cluster_uid_;
  std::unordered_map<std::string, OwnerEntry> owners_;  // ReplicaSets and Jobs, by uid
  uint64_t owners_failed_ = 0;
  model::WorkloadChanges changes_;
  Peers peers_;  // with a lock of its own
};

}  // namespace zerospan::k8s
