// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/cassandra/detect.h"

#include "agent/protocols/cassandra/messages.h"

namespace zerospan::protocols::cassandra {

bool detect(std::string_view first_bytes) {
  return begins_with(first_bytes).has_value();
}

}  // namespace zerospan::protocols::cassandra
