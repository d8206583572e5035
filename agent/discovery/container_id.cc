// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/container_id.h"

#include <algorithm>

namespace zerospan::discovery {
namespace {

constexpr size_t kIdLength = 64;

bool is_id(std::string_view text) {
  return text.size() == kIdLength && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
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

}  // namespace

std::string container_id_from_cgroup(std::string_view cgroup) {
  while (!cgroup.empty()) {
    const size_t end = std::min(cgroup.find('\n'), cgroup.size());
    std::string_view line = cgroup.substr(0, end);
    cgroup.remove_prefix(std::min(end + 1, cgroup.size()));
    // hierarchy-ID:controller-list:cgroup-path (cgroups(7))
    const size_t first = line.find(':');
    const size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) {
      continue;
    }
    std::string_view path = line.substr(second + 1);
    // From the end: in nested containers (a node in a container) the last one is the process's.
    while (!path.empty()) {
      const size_t slash = path.rfind('/');
      const std::string_view component =
          slash == std::string_view::npos ? path : path.substr(slash + 1);
      if (const std::string_view id = id_of_component(component); !id.empty()) {
        return std::string(id);
      }
      path = slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
    }
  }
  return {};
}

}  // namespace zerospan::discovery
