// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "exporter/otlp/json_encoder.h"
#include "exporter/otlp/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  std::string fixed;
  zerospan::otlp::append_as_utf8(input, fixed);
  const bool valid = zerospan::otlp::is_valid_utf8(input);
  if (!zerospan::otlp::is_valid_utf8(fixed) || (valid && fixed != input) ||
      fixed.size() > 3 * input.size()) {
    std::abort();
  }
  // An independent parser must read back just that text.
  std::string quoted;
  zerospan::otlp::append_json_string(input, quoted);
  const auto parsed = nlohmann::json::parse(quoted, nullptr, false);
  if (!parsed.is_string() || parsed.get_ref<const std::string&>() != fixed) {
    std::abort();
  }
  return 0;
}
