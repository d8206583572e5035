// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/postgresql/detect.h"

#include "agent/protocols/postgresql/messages.h"

namespace zerospan::protocols::postgresql {

bool detect(std::string_view first_bytes) {
  // The highest byte of a length that is believed here is zero: a text protocol has a letter there.
  constexpr uint32_t kUsualBytes = 1U << 24U;
  if (may_be_startup(first_bytes)) {
    return true;
  }
  if (first_bytes.size() < kHeaderBytes) {
    return false;
  }
  const auto request = tells_request(first_bytes[0]);
  return request && read_u32(first_bytes.substr(1)) < kUsualBytes &&
         begins_with_messages(*request, first_bytes);
}

}  // namespace zerospan::protocols::postgresql
