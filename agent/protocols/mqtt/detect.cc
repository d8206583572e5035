// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/mqtt/detect.h"

#include "agent/protocols/mqtt/packets.h"

namespace zerospan::protocols::mqtt {

bool detect(std::string_view first_bytes) {
  if (first_bytes.empty() || first_bytes.front() != kConnect << 4U) {
    return false;
  }
  if (first_bytes.size() == 1) {
    return true;
  }
  // Its length has one byte or two, and what is captured of it ends behind ten.
  return first_bytes.size() >= 10 &&
         (read_version(first_bytes.substr(2)) != 0 || read_version(first_bytes.substr(3)) != 0);
}

}  // namespace zerospan::protocols::mqtt
