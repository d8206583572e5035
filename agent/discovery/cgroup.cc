// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/cgroup.h"

#include <algorithm>
#include <array>

namespace zerospan::discovery {
namespace {

constexpr size_t kIdLength = 64;
constexpr size_t kUuidLength = 36;
constexpr size_t kStaticPodLength = 32;
constexpr std::array<size_t, 4> kHyphens = {8, 13, 18, 23};

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

bool is_id(std::string_view text) {
  return text.size() == kIdLength && std::all_of(text.begin(), text.end(), is_hex);
}

// One component of a path: ID, RUNTIME-ID.scope (systemd driver), or PARENT:RUNTIME:ID.
std::string_view id_of_component(std::string_view component) {
  if (component.find("conmon") != std::string_view::npos) {
    return {};
  }
  for (const std::string_view suffix : {".scope", ".service", ".slice"}) {
    if (component.ends_with(suffix)) {
      component.remove_suffix(suffix.size());
    }
  }
  const size_t separator = component.find_last_of("-:");
  if (separator != std::string_view::npos) {
    component.remove_prefix(separator + 1);
  }
  return is_id(component) ? component : std::string_view{};
}

// The UUID at the beginning of `text`, whose hyphens systemd's driver writes as underscores.
std::string leading_uuid(std::string_view text) {
  if (text.size() < kUuidLength) {
    return {};
  }
  std::string uuid(text.substr(0, kUuidLength));
  for (size_t i = 0; i < kUuidLength; ++i) {
    if (std::find(kHyphens.begin(), kHyphens.end(), i) != kHyphens.end()) {
      if (uuid[i] != '-' && uuid[i] != '_') {
        return {};
      }
      uuid[i] = '-';
    } else if (!is_hex(uuid[i])) {
      return {};
    }
  }
  return uuid;
}

// podUID, or kubepods[-QOS]-podUID.slice, perhaps with :RUNTIME:ID behind it.
std::string pod_of_component(std::string_view component) {
  constexpr std::string_view kPod = "pod";
  for (size_t at = component.find(kPod); at != std::string_view::npos;
       at = component.find(kPod, at + 1)) {
    if (at != 0 && component[at - 1] != '-') {
      continue;
    }
    const std::string_view rest = component.substr(at + kPod.size());
    std::string uid = leading_uuid(rest);
    if (uid.empty() && rest.size() >= kStaticPodLength &&
        std::all_of(rest.begin(), rest.begin() + kStaticPodLength, is_hex)) {
      uid = rest.substr(0, kStaticPodLength);
    }
    const std::string_view behind = rest.substr(uid.size());
    if (!uid.empty() && (behind.empty() || behind[0] == ':' || behind.starts_with(".slice"))) {
      return uid;
    }
  }
  return {};
}

}  // namespace

Cgroup read_cgroup(std::string_view text) {
  Cgroup cgroup;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    // hierarchy-ID:controller-list:cgroup-path (cgroups(7))
    const size_t first = line.find(':');
    const size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) {
      continue;
    }
    std::string_view path = line.substr(second + 1);
    if (line.starts_with("0::")) {
      cgroup.path = path;
    }
    // From the end: in nested containers (a node in a container) the last one is the process's.
    // The pod is the one around that container, or that of a process between the two.
    while (!path.empty() && (cgroup.container_id.empty() || cgroup.pod_uid.empty())) {
      const size_t slash = path.rfind('/');
      const std::string_view component =
          slash == std::string_view::npos ? path : path.substr(slash + 1);
      path = slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
      if (cgroup.pod_uid.empty()) {
        cgroup.pod_uid = pod_of_component(component);
      }
      if (const std::string_view id = id_of_component(component);
          cgroup.container_id.empty() && !id.empty()) {
        cgroup.container_id = id;
        continue;
      }
      // A container around the pod is the node.
      if (!cgroup.pod_uid.empty()) {
        break;
      }
    }
  }
  return cgroup;
}

}  // namespace zerospan::discovery
