// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/resource_attributes.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

// Every key and value is UTF-8 (so converting again changes nothing), keys are unique and not
// empty.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using zerospan::discovery::to_utf8;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto attributes = zerospan::discovery::parse_resource_attributes(text);
  if (!attributes) {
    return 0;
  }
  for (size_t i = 0; i < attributes->size(); ++i) {
    const auto& [key, value] = (*attributes)[i];
    if (key.empty() || to_utf8(key) != key || to_utf8(value) != value) {
      std::abort();
    }
    for (size_t j = 0; j < i; ++j) {
      if ((*attributes)[j].first == key) {
        std::abort();
      }
    }
  }
  return 0;
}
