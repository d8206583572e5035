// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Which container a process is in, from the text of /proc/PID/cgroup. Pure.
#pragma once

#include <string>
#include <string_view>

namespace zerospan::discovery {

// The 64 hex digits of the innermost container, or an empty string. Knows the cgroup v1 and v2
// paths that containerd, CRI-O, Docker and Podman make, under the cgroupfs and the systemd driver,
// in Kubernetes and alone. A container's monitor (conmon) is not in the container. Any text is
// allowed.
[[nodiscard]] std::string container_id_from_cgroup(std::string_view cgroup);

}  // namespace zerospan::discovery
