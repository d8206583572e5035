// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/cgroup.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

// Whatever a cgroup file says, the container is empty or 64 hex digits of it, and the pod empty or
// a UUID or 32 hex digits.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const zerospan::discovery::Cgroup cgroup = zerospan::discovery::read_cgroup(text);
  const std::string& id = cgroup.container_id;
  if (!id.empty() &&
      (id.size() != 64 || id.find_first_not_of("0123456789abcdef") != std::string::npos ||
       text.find(id) == std::string_view::npos)) {
    std::abort();
  }
  const std::string& pod = cgroup.pod_uid;
  if (!pod.empty() && ((pod.size() != 36 && pod.size() != 32) ||
                       pod.find_first_not_of("0123456789abcdef-") != std::string::npos)) {
    std::abort();
  }
  return 0;
}
