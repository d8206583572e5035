// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/k8s/cluster.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace zerospan::k8s {
namespace {

constexpr std::string_view kSystemNamespace = "kube-system";  // whose uid is the cluster's
constexpr size_t kMaxContainersAskedFor = 256;                // of one pod

std::optional<Peers::Kind> peer_kind(size_t collection) {
  switch (collection) {
    case kServices:
      return Peers::Kind::kService;
    case kEndpointSlices:
      return Peers::Kind::kEndpointSlice;
    default:
      return std::nullopt;
  }
}

// Where an owner that has an owner itself is found; empty for all others.
std::string path_of(const Owner& owner, const std::string& namespace_name) {
  const std::string in = "/namespaces/" + namespace_name + "/";
  if (owner.kind == "ReplicaSet" && owner.api_version == "apps/v1") {
    return "/apis/apps/v1" + in + "replicasets/" + owner.name;
  }
  if (owner.kind == "Job" && owner.api_version == "batch/v1") {
    return "/apis/batch/v1" + in + "jobs/" + owner.name;
  }
  return {};
}

}  // namespace

Cluster::Cluster(ClusterOptions options, ErrorHandler on_error)
    : options_(std::move(options)), on_error_(std::move(on_error)) {}

std::vector<Collection> Cluster::collections(const std::string& node_name, bool peers) {
  std::vector<Collection> collections(peers ? 4 : 2);
  collections[kPods].name = "pods";
  collections[kPods].path = "/api/v1/pods";
  collections[kPods].field_selector = node_name.empty() ? "" : "spec.nodeName=" + node_name;
  collections[kNamespaces].name = "namespaces";
  collections[kNamespaces].path = "/api/v1/namespaces";
  collections[kNamespaces].metadata_only = true;
  if (peers) {
    collections[kServices].name = "services";
    collections[kServices].path = "/api/v1/services";
    collections[kEndpointSlices].name = "endpointslices";
    collections[kEndpointSlices].path = "/apis/discovery.k8s.io/v1/endpointslices";
  }
  return collections;
}

void Cluster::set_get(GetMetadata get) {
  const std::lock_guard lock(mutex_);
  get_ = std::move(get);
  for (auto& [uid, entry] : pods_) {
    if (has_owner_of_owner(entry.pod)) {
      want_owner(*entry.pod.owner, entry.pod.namespace_name);
    }
  }
}

Cluster::PodEntry* Cluster::find_pod(std::string_view pod_uid, std::string_view container_id) {
  for (const std::string_view key : {pod_uid, container_id}) {
    if (key.empty()) {
      continue;
    }
    std::string uid(key);
    if (const auto alias = aliases_.find(uid); alias != aliases_.end()) {
      uid = alias->second;
    }
    if (const auto found = pods_.find(uid); found != pods_.end()) {
      return &found->second;
    }
  }
  return nullptr;
}

bool Cluster::has_owner_of_owner(const Pod& pod) const {
  return pod.owner && !path_of(*pod.owner, pod.namespace_name).empty();
}

std::shared_ptr<const model::Workload> Cluster::make(const PodEntry& entry,
                                                     std::string_view container_id) const {
  const Pod& pod = entry.pod;
  const auto found =
      std::find_if(pod.containers.begin(), pod.containers.end(),
                   [&](const Container& container) { return container.id == container_id; });
  const Container* const container =
      container_id.empty() || found == pod.containers.end() ? nullptr : &*found;
  PodOwners owners{pod.owner, std::nullopt};
  bool owners_known = true;
  if (has_owner_of_owner(pod)) {
    const auto owner = owners_.find(pod.owner->uid);
    owners_known = owner != owners_.end() && owner->second.known;
    if (owners_known) {
      owners.top = owner->second.controller;
    }
  }
  const auto name_space = namespaces_.find(pod.namespace_name);
  const std::optional<Choice> choice =
      choose(options_.choice, pod, owners, owners_known,
             name_space == namespaces_.end() ? nullptr : &name_space->second.labels,
             container == nullptr ? std::string_view{} : container->name);
  if (!choice) {
    return nullptr;
  }
  auto workload = std::make_shared<model::Workload>();
  workload->chosen = choice->chosen;
  workload->reason = choice->reason;
  workload->complete = owners_known && (container != nullptr || container_id.empty());
  if (choice->chosen) {
    add_attributes(options_.attributes, pod, owners, container, cluster_uid_, *workload);
  }
  return workload;
}

std::shared_ptr<const model::Workload> Cluster::workload(std::string_view pod_uid,
                                                         std::string_view container_id) {
  const std::lock_guard lock(mutex_);
  PodEntry* const entry = find_pod(pod_uid, container_id);
  if (entry == nullptr) {
    return nullptr;
  }
  const std::string key(container_id);
  if (const auto known = entry->workloads.find(key); known != entry->workloads.end()) {
    return known->second;
  }
  std::shared_ptr<const model::Workload> workload = make(*entry, container_id);
  if (entry->workloads.size() < kMaxContainersAskedFor) {
    entry->workloads.emplace(key, workload);
  }
  entry->chosen = entry->chosen || (workload && workload->chosen);
  return workload;
}

model::WorkloadChanges Cluster::take_changes() {
  const std::lock_guard lock(mutex_);
  return std::exchange(changes_, {});
}

// All processes of the pod are to be looked at again.
void Cluster::tell(const PodEntry& entry) {
  changes_.keys.insert(entry.pod.uid);
  if (!entry.pod.config_hash.empty()) {
    changes_.keys.insert(entry.pod.config_hash);
  }
  for (const Container& container : entry.pod.containers) {
    if (!container.id.empty()) {
      changes_.keys.insert(container.id);
    }
  }
}

// What was asked for is made anew, and told if it is different.
void Cluster::refresh(PodEntry& entry) {
  bool changed = false;
  const bool was_chosen = entry.chosen;
  entry.chosen = false;
  entry.workloads.try_emplace(std::string{});
  for (auto& [container_id, workload] : entry.workloads) {
    std::shared_ptr<const model::Workload> now = make(entry, container_id);
    entry.chosen = entry.chosen || (now && now->chosen);
    if ((now == nullptr) != (workload == nullptr) || (now && !(*now == *workload))) {
      workload = std::move(now);
      changed = true;
    }
  }
  if (changed) {
    tell(entry);
    changes_.chosen = changes_.chosen || (entry.chosen && !was_chosen);
  }
}

void Cluster::put_pod(Pod&& pod) {
  const std::string uid = pod.uid;
  PodEntry& entry = pods_[uid];
  entry.list = lists_[kPods];
  const bool same = entry.pod == pod;
  if (same) {
    return;
  }
  for (const Container& container : entry.pod.containers) {
    aliases_.erase(container.id);
  }
  entry.pod = std::move(pod);
  for (const Container& container : entry.pod.containers) {
    if (!container.id.empty()) {
      aliases_[container.id] = uid;
    }
  }
  if (!entry.pod.config_hash.empty()) {
    aliases_[entry.pod.config_hash] = uid;
  }
  if (has_owner_of_owner(entry.pod)) {
    want_owner(*entry.pod.owner, entry.pod.namespace_name);
  }
  refresh(entry);
}

void Cluster::remove_pod(const std::string& uid) {
  const auto found = pods_.find(uid);
  if (found == pods_.end()) {
    return;
  }
  tell(found->second);
  for (const Container& container : found->second.pod.containers) {
    aliases_.erase(container.id);
  }
  // The file's pod may have a new mirror already.
  if (const auto alias = aliases_.find(found->second.pod.config_hash);
      alias != aliases_.end() && alias->second == uid) {
    aliases_.erase(alias);
  }
  pods_.erase(found);
}

void Cluster::refresh_namespace(const std::string& name) {
  for (auto& [uid, entry] : pods_) {
    if (entry.pod.namespace_name == name) {
      refresh(entry);
    }
  }
}

void Cluster::want_owner(const Owner& owner, const std::string& namespace_name) {
  if (!get_ || owners_.contains(owner.uid)) {
    return;
  }
  const bool asked = get_(
      path_of(owner, namespace_name),
      [this, uid = owner.uid](const Result<nlohmann::json>& object) { on_owner(uid, object); });
  if (asked) {
    owners_.try_emplace(owner.uid);
  } else {
    ++owners_failed_;
  }
}

void Cluster::on_owner(const std::string& uid, const Result<nlohmann::json>& object) {
  const std::lock_guard lock(mutex_);
  const auto found = owners_.find(uid);
  if (found == owners_.end()) {
    return;
  }
  found->second.known = true;
  if (!object) {
    ++owners_failed_;
  } else if (read_metadata(*object, "uid") == uid) {  // not another one of the same name
    found->second.controller = read_owner(*object);
  }
  for (auto& [pod_uid, entry] : pods_) {
    if (entry.pod.owner && entry.pod.owner->uid == uid) {
      refresh(entry);
    }
  }
}

void Cluster::drop_unused_owners() {
  std::unordered_map<std::string, OwnerEntry> used;
  for (const auto& [uid, entry] : pods_) {
    if (entry.pod.owner) {
      if (const auto found = owners_.find(entry.pod.owner->uid); found != owners_.end()) {
        used.insert(*found);
      }
    }
  }
  owners_ = std::move(used);
}

void Cluster::reconfigure(ClusterOptions options) {
  const std::lock_guard lock(mutex_);
  options_ = std::move(options);
  for (auto& [uid, entry] : pods_) {
    refresh(entry);
  }
}

Cluster::Counters Cluster::counters() const {
  const std::lock_guard lock(mutex_);
  const auto chosen =
      std::count_if(pods_.begin(), pods_.end(), [](const auto& pod) { return pod.second.chosen; });
  return {.pods = pods_.size(),
          .chosen_pods = static_cast<uint64_t>(chosen),
          .namespaces = namespaces_.size(),
          .owners = owners_.size(),
          .owners_failed = owners_failed_};
}

void Cluster::on_list_begin(size_t collection) {
  if (const auto kind = peer_kind(collection)) {
    peers_.begin_list(*kind);
    return;
  }
  const std::lock_guard lock(mutex_);
  ++lists_[collection];
}

void Cluster::on_object(size_t collection, const nlohmann::json& object) {
  if (const auto kind = peer_kind(collection)) {
    peers_.put(*kind, object);
    return;
  }
  const std::lock_guard lock(mutex_);
  if (collection == kPods) {
    put_pod(read_pod(object));
    return;
  }
  const std::string name = read_metadata(object, "name");
  NamespaceEntry& entry = namespaces_[name];
  NamespaceEntry now{read_metadata(object, "uid"), read_labels(object), lists_[kNamespaces]};
  const bool same = now.uid == entry.uid && now.labels == entry.labels;
  entry = std::move(now);
  if (name == kSystemNamespace && cluster_uid_ != entry.uid) {
    cluster_uid_ = entry.uid;
    for (auto& [uid, pod] : pods_) {
      refresh(pod);
    }
  } else if (!same) {
    refresh_namespace(name);
  }
}

void Cluster::on_deleted(size_t collection, const nlohmann::json& object) {
  if (const auto kind = peer_kind(collection)) {
    peers_.remove(*kind, object);
    return;
  }
  const std::lock_guard lock(mutex_);
  if (collection == kPods) {
    remove_pod(read_metadata(object, "uid"));
    drop_unused_owners();
    return;
  }
  const std::string name = read_metadata(object, "name");
  const auto found = namespaces_.find(name);
  if (found != namespaces_.end() && found->second.uid == read_metadata(object, "uid")) {
    namespaces_.erase(found);
    refresh_namespace(name);
  }
}

void Cluster::on_list_end(size_t collection) {
  if (const auto kind = peer_kind(collection)) {
    peers_.end_list(*kind);
    return;
  }
  const std::lock_guard lock(mutex_);
  std::vector<std::string> gone;
  if (collection == kPods) {
    for (const auto& [uid, entry] : pods_) {
      if (entry.list < lists_[collection]) {
        gone.push_back(uid);
      }
    }
    for (const std::string& uid : gone) {
      remove_pod(uid);
    }
    drop_unused_owners();
    return;
  }
  for (const auto& [name, entry] : namespaces_) {
    if (entry.list < lists_[collection]) {
      gone.push_back(name);
    }
  }
  for (const std::string& name : gone) {
    namespaces_.erase(name);
    refresh_namespace(name);
  }
}

void Cluster::on_error(size_t collection, const Error& error) {
  if (on_error_) {
    on_error_(collections("", true)[collection].name, error);
  }
}

}  // namespace zerospan::k8s
