// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/redis/detect.h"

#include "agent/protocols/redis/resp.h"

namespace zerospan::protocols::redis {

bool detect(std::string_view first_bytes) {
  return begins_command(first_bytes);
}

}  // namespace zerospan::protocols::redis
