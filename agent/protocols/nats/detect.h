// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Could the first bytes of a direction be NATS's? Pure, any thread.
#pragma once

#include <string_view>

namespace zerospan::protocols::nats {

// A server's INFO or a client's CONNECT, of which the first word alone may be there; or, of a
// connection that was open before, a whole line of a message.
[[nodiscard]] bool detect(std::string_view first_bytes);

}  // namespace zerospan::protocols::nats
