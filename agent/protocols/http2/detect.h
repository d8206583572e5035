// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Is a connection HTTP/2? Asked with the first bytes of an operation.
#pragma once

#include <string_view>

#include "agent/model/connection.h"

namespace zerospan::protocols::http2 {

// The client's connection preface (RFC 9113 section 3.4), whole or at least "PRI ", or frames that
// begin with the operation: the server's SETTINGS, or for a connection that was open before us any
// frame that a payload of another protocol is unlikely to look like. DATA alone does not do.
// Either direction may carry either kind, so `direction` does not change the answer.
[[nodiscard]] bool detect(model::Direction direction, std::string_view first_bytes);

}  // namespace zerospan::protocols::http2
