// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/k8s/pod.h"

#include <array>
#include <nlohmann/json.hpp>

namespace zerospan::k8s {
namespace {

using nlohmann::json;

// nullptr if it is not there.
const json* member(const json& object, std::string_view key) {
  if (!object.is_object()) {
    return nullptr;
  }
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

const json* member(const json& object, std::string_view outer, std::string_view inner) {
  const json* const found = member(object, outer);
  return found == nullptr ? nullptr : member(*found, inner);
}

std::string text(const json* value) {
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

TextMap text_map(const json* value) {
  TextMap map;
  if (value != nullptr && value->is_object()) {
    for (const auto& [key, entry] : value->items()) {
      if (entry.is_string()) {
        map.emplace(key, entry.get<std::string>());
      }
    }
  }
  return map;
}

constexpr std::array<std::string_view, 3> kContainers = {"initContainers", "containers",
                                                         "ephemeralContainers"};
constexpr std::array<std::string_view, 3> kStatuses = {"initContainerStatuses", "containerStatuses",
                                                       "ephemeralContainerStatuses"};

std::vector<Container> read_containers(const json& pod) {
  std::vector<Container> containers;
  for (size_t i = 0; i < kContainers.size(); ++i) {
    const size_t first = containers.size();
    if (const json* const list = member(pod, "spec", kContainers[i]);
        list != nullptr && list->is_array()) {
      for (const json& entry : *list) {
        containers.push_back({text(member(entry, "name")), {}, text(member(entry, "image"))});
      }
    }
    const json* const statuses = member(pod, "status", kStatuses[i]);
    if (statuses == nullptr || !statuses->is_array()) {
      continue;
    }
    for (const json& status : *statuses) {
      const std::string name = text(member(status, "name"));
      const std::string id = text(member(status, "containerID"));
      const size_t scheme = id.find("://");
      for (size_t at = first; at < containers.size(); ++at) {
        if (containers[at].name == name && scheme != std::string::npos) {
          containers[at].id = id.substr(scheme + 3);
        }
      }
    }
  }
  return containers;
}

}  // namespace

std::string read_metadata(const json& object, std::string_view key) {
  return text(member(object, "metadata", key));
}

TextMap read_labels(const json& object) {
  return text_map(member(object, "metadata", "labels"));
}

std::optional<Owner> read_owner(const json& object) {
  const json* const owners = member(object, "metadata", "ownerReferences");
  if (owners == nullptr || !owners->is_array()) {
    return std::nullopt;
  }
  for (const json& owner : *owners) {
    const json* const controller = member(owner, "controller");
    if (controller != nullptr && controller->is_boolean() && controller->get<bool>()) {
      return Owner{text(member(owner, "apiVersion")), text(member(owner, "kind")),
                   text(member(owner, "name")), text(member(owner, "uid"))};
    }
  }
  return std::nullopt;
}

Pod read_pod(const json& object) {
  Pod pod;
  pod.uid = read_metadata(object, "uid");
  pod.name = read_metadata(object, "name");
  pod.namespace_name = read_metadata(object, "namespace");
  pod.ip = text(member(object, "status", "podIP"));
  pod.start_time = text(member(object, "status", "startTime"));
  pod.labels = read_labels(object);
  pod.annotations = text_map(member(object, "metadata", "annotations"));
  if (const auto hash = pod.annotations.find("kubernetes.io/config.hash");
      hash != pod.annotations.end()) {
    pod.config_hash = hash->second;
  }
  pod.owner = read_owner(object);
  pod.containers = read_containers(object);
  return pod;
}

ImageReference parse_image(std::string_view image) {
  ImageReference reference;
  if (const size_t at = image.find('@'); at != std::string_view::npos) {
    reference.digest = image.substr(at + 1);
    image = image.substr(0, at);
  }
  // A colon before the last slash is of the registry's port.
  const size_t slash = image.rfind('/');
  const size_t colon = image.rfind(':');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    reference.tag = image.substr(colon + 1);
    image = image.substr(0, colon);
  }
  reference.name = image;
  return reference;
}

}  // namespace zerospan::k8s
