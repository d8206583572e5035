// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Is a connection Cassandra's? Asked with the first bytes of one direction: the header of a frame
// tells, of a request or of an answer, and the body's beginning must fit to it.
#pragma once

#include <string_view>

namespace zerospan::protocols::cassandra {

[[nodiscard]] bool detect(std::string_view first_bytes);

}  // namespace zerospan::protocols::cassandra
