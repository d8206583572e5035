// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Which container and which pod a process is in, from the text of /proc/PID/cgroup. Pure.
#pragma once

#include <string>
#include <string_view>

namespace zerospan::discovery {

struct Cgroup {
  std::string container_id{};  // 64 hex digits of the innermost container, or empty
  // As the kubelet names the pod's cgroup: a UUID in its usual form, or for a pod of a file
  // (a static pod) 32 hex digits, which its mirror in the API has as an annotation. Empty: no pod.
  std::string pod_uid{};
  std::string path{};  // in the unified hierarchy (cgroup v2), from the mount's root; may be empty
};

// Knows the cgroup v1 and v2 paths that containerd, CRI-O, Docker and Podman make, under the
// cgroupfs and the systemd driver, in Kubernetes, in a node that is a container itself (kind), and
// alone. A container's monitor (conmon) is not in the container. Any text is allowed.
[[nodiscard]] Cgroup read_cgroup(std::string_view text);

}  // namespace zerospan::discovery
