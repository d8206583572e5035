// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Is a connection Redis's? Asked with the first bytes of one direction: only a command tells, an
// answer may be anything.
#pragma once

#include <string_view>

namespace zerospan::protocols::redis {

[[nodiscard]] bool detect(std::string_view first_bytes);

}  // namespace zerospan::protocols::redis
