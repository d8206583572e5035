// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Could the first bytes of a direction be AMQP's? Pure, any thread.
#pragma once

#include <string_view>

namespace zerospan::protocols::amqp {

// A client's protocol header, or the frame of a method that only one side sends.
[[nodiscard]] bool detect(std::string_view first_bytes);

}  // namespace zerospan::protocols::amqp
