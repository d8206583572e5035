// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include <cstdint>
#include <cstdlib>

#include "exporter/otlp/export_response.h"
#include "exporter/otlp/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using zerospan::otlp::Encoding;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  for (const Encoding encoding : {Encoding::kProtobuf, Encoding::kJson}) {
    const auto answer = zerospan::otlp::decode_export_response(encoding, input);
    if (answer && !zerospan::otlp::is_valid_utf8(answer->message)) {
      std::abort();
    }
  }
  const auto in_range = [](const std::optional<std::chrono::milliseconds>& delay) {
    return !delay || (delay->count() >= 0 && *delay <= std::chrono::hours(24));
  };
  const auto now = std::chrono::system_clock::from_time_t(1'700'000'000);
  if (!in_range(zerospan::otlp::retry_delay_from_status(input)) ||
      !in_range(zerospan::otlp::retry_delay_from_header(input, now))) {
    std::abort();
  }
  return 0;
}
