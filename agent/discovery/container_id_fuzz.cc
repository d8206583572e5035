// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/container_id.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

// Whatever a cgroup file says, the result is empty or 64 hex digits of it.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string id = zerospan::discovery::container_id_from_cgroup(text);
  if (!id.empty() &&
      (id.size() != 64 || id.find_first_not_of("0123456789abcdef") != std::string::npos ||
       text.find(id) == std::string_view::npos)) {
    std::abort();
  }
  return 0;
}
