// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/mongodb/detect.h"

#include "agent/protocols/mongodb/messages.h"

namespace zerospan::protocols::mongodb {

bool detect(std::string_view first_bytes) {
  return begins_message(first_bytes) != Begin::kNo;
}

}  // namespace zerospan::protocols::mongodb
