// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/amqp/detect.h"

#include "agent/protocols/amqp/methods.h"

namespace zerospan::protocols::amqp {

bool detect(std::string_view first_bytes) {
  return begins(first_bytes) != Begin::kNo;
}

}  // namespace zerospan::protocols::amqp
