// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/k8s/pod_attributes.h"

#include <fmt/format.h>

#include <array>
#include <string_view>
#include <utility>

namespace zerospan::k8s {
namespace {

constexpr std::string_view kStatedPrefix = "resource.opentelemetry.io/";

// In the order in which service.name is taken from them.
constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kOwnerNames = {{
    {"Deployment", "k8s.deployment.name"},
    {"ReplicaSet", "k8s.replicaset.name"},
    {"StatefulSet", "k8s.statefulset.name"},
    {"DaemonSet", "k8s.daemonset.name"},
    {"CronJob", "k8s.cronjob.name"},
    {"Job", "k8s.job.name"},
}};

std::string find(const TextMap& map, std::string_view key) {
  const auto found = map.find(key);
  return found == map.end() ? std::string{} : found->second;
}

// <tag>@<digest>, else <digest>, else <tag>.
std::string version_of(const ImageReference& image) {
  return image.tag.empty() || image.digest.empty() ? image.digest + image.tag
                                                   : image.tag + "@" + image.digest;
}

}  // namespace

void add_attributes(const AttributeOptions& options, const Pod& pod, const PodOwners& owners,
                    const Container* container, const std::string& cluster_uid,
                    model::Workload& workload) {
  const auto put = [&workload](std::string key, std::string value) {
    if (!value.empty()) {
      workload.observed.push_back({std::move(key), std::move(value)});
    }
  };
  put("k8s.cluster.name", options.cluster_name);
  put("k8s.cluster.uid", cluster_uid);
  put("k8s.node.name", options.node_name);
  put("host.name", options.node_name);  // the agent's own container has another one
  put("k8s.namespace.name", pod.namespace_name);
  put("k8s.pod.name", pod.name);
  put("k8s.pod.uid", pod.uid);
  put("k8s.pod.ip", pod.ip);
  put("k8s.pod.start_time", pod.start_time);
  for (const auto& [kind, key] : kOwnerNames) {
    for (const std::optional<Owner>* owner : {&owners.top, &owners.controller}) {
      if (*owner && (*owner)->kind == kind) {
        put(std::string(key), (*owner)->name);
        if (workload.service_name.empty()) {
          workload.service_name = (*owner)->name;
        }
      }
    }
  }
  if (workload.service_name.empty()) {
    workload.service_name = pod.name;
  }
  for (const std::string& key : options.labels) {
    put("k8s.pod.label." + key, find(pod.labels, key));
  }
  for (const std::string& key : options.annotations) {
    put("k8s.pod.annotation." + key, find(pod.annotations, key));
  }
  put("service.namespace", pod.namespace_name);
  std::string version;
  if (container != nullptr) {
    const ImageReference image = parse_image(container->image);
    put("k8s.container.name", container->name);
    put("container.image.name", image.name);
    if (!image.tag.empty()) {
      workload.observed.push_back({"container.image.tags", std::vector<std::string>{image.tag}});
    }
    put("service.instance.id",
        fmt::format("{}.{}.{}", pod.namespace_name, pod.name, container->name));
    version = version_of(image);
  }
  if (options.well_known_labels) {
    for (const char* const key : {"app.kubernetes.io/name", "app.kubernetes.io/instance"}) {
      if (std::string value = find(pod.labels, key); !value.empty()) {
        workload.service_name = std::move(value);
      }
    }
    if (std::string value = find(pod.labels, "app.kubernetes.io/version"); !value.empty()) {
      version = std::move(value);
    }
  }
  put("service.version", std::move(version));
  for (const auto& [key, value] : pod.annotations) {
    if (key.starts_with(kStatedPrefix) && key.size() > kStatedPrefix.size() && !value.empty()) {
      workload.stated.push_back({key.substr(kStatedPrefix.size()), value});
    }
  }
}

}  // namespace zerospan::k8s
