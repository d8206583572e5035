// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Is a connection MongoDB's? Asked with the first bytes of one direction: the header of a message
// tells, of a request or of an answer.
#pragma once

#include <string_view>

namespace zerospan::protocols::mongodb {

[[nodiscard]] bool detect(std::string_view first_bytes);

}  // namespace zerospan::protocols::mongodb
