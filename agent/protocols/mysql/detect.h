// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Is a connection MySQL's or MariaDB's? Asked with the first bytes of one direction: the server's
// greeting, or, where the connection was open before us, exactly one command.
#pragma once

#include <string_view>

namespace zerospan::protocols::mysql {

[[nodiscard]] bool detect(std::string_view first_bytes);

}  // namespace zerospan::protocols::mysql
