// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What of the API's objects is kept. Plain values, and how they are read; any JSON is allowed.
// Source: https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.34/ (Pod, ObjectMeta).
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace zerospan::k8s {

using TextMap = std::map<std::string, std::string, std::less<>>;

// The one that controls an object: metadata.ownerReferences with controller true.
struct Owner {
  std::string api_version;  // "apps/v1"
  std::string kind;         // "ReplicaSet"
  std::string name;
  std::string uid;

  bool operator==(const Owner&) const = default;
};

struct Container {
  std::string name;
  std::string id;     // without the runtime's "containerd://"; empty until it was made
  std::string image;  // as the pod's author wrote it

  bool operator==(const Container&) const = default;
};

struct Pod {
  std::string uid;
  // By which the kubelet names the cgroup of a pod that it read from a file, in place of the uid
  // (annotation kubernetes.io/config.hash of the pod's mirror in the API). Else empty.
  std::string config_hash;
  std::string name;
  std::string namespace_name;
  std::string ip;          // empty: has none yet
  std::string start_time;  // RFC 3339; empty: the kubelet has not seen it yet
  TextMap labels;
  TextMap annotations;
  std::optional<Owner> owner;
  std::vector<Container> containers;  // of all kinds: init, ordinary, ephemeral

  bool operator==(const Pod&) const = default;
};

[[nodiscard]] Pod read_pod(const nlohmann::json& object);

[[nodiscard]] std::optional<Owner> read_owner(const nlohmann::json& object);
[[nodiscard]] TextMap read_labels(const nlohmann::json& object);
// metadata.name, metadata.uid and so on; empty if it is not there.
[[nodiscard]] std::string read_metadata(const nlohmann::json& object, std::string_view key);

// The parts of a reference to an image
// (https://github.com/distribution/reference/blob/main/reference.go).
struct ImageReference {
  std::string name;    // with the registry, as it stands there
  std::string tag;     // may be empty
  std::string digest;  // "sha256:..."; may be empty
};
[[nodiscard]] ImageReference parse_image(std::string_view image);

}  // namespace zerospan::k8s
