// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/core/span_class.h"

#include <array>
#include <string_view>

namespace zerospan {

std::string to_text(SpanClasses classes) {
  constexpr std::array<std::string_view, 11> kNames = {
      "HTTP server", "HTTP client", "gRPC server", "gRPC client", "PostgreSQL", "MySQL",
      "Redis",       "Memcached",   "Kafka",       "RabbitMQ",    "MongoDB"};
  std::string text;
  for (size_t i = 0; i < kNames.size(); ++i) {
    if ((classes >> i & 1U) != 0) {
      text += text.empty() ? "" : ", ";
      text += kNames[i];
    }
  }
  return text.empty() ? "none" : text;
}

}  // namespace zerospan
