// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Whose pattern, by the first byte; a pattern, and behind the first line break a request-target.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "agent/spans/go_pattern.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  const auto router = static_cast<zerospan::model::Router>(data[0] % 5);
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t end = text.find('\n');
  const std::string_view pattern = text.substr(0, end);
  const std::string_view target = end == std::string_view::npos ? "" : text.substr(end + 1);
  const std::string_view route = zerospan::spans::route_of_pattern(router, pattern, target);
  if (!route.empty() && (!pattern.ends_with(route) || !route.starts_with('/'))) {
    std::abort();
  }
  return 0;
}
