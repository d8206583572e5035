// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Is a connection Kafka's? Asked with the first bytes of one direction: only a request tells, with
// its length in front, or without it where that was read by itself.
#pragma once

#include <string_view>

namespace zerospan::protocols::kafka {

[[nodiscard]] bool detect(std::string_view first_bytes);

}  // namespace zerospan::protocols::kafka
