// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Is a connection PostgreSQL's, version 3? Asked with the first bytes of one direction: a startup
// message, or messages that tell who speaks.
#pragma once

#include <string_view>

namespace zerospan::protocols::postgresql {

[[nodiscard]] bool detect(std::string_view first_bytes);

}  // namespace zerospan::protocols::postgresql
