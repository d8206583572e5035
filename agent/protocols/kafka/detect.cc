// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/kafka/detect.h"

#include "agent/protocols/kafka/connection.h"
#include "agent/protocols/kafka/messages.h"

namespace zerospan::protocols::kafka {

bool detect(std::string_view first_bytes) {
  return begins_with_request(first_bytes, true) != Begin::kNo;
}

}  // namespace zerospan::protocols::kafka
