// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Could the first bytes of a direction be MQTT's? Pure, any thread.
#pragma once

#include <string_view>

namespace zerospan::protocols::mqtt {

// A CONNECT of a version that is followed; or its first byte, which a server may read by itself.
[[nodiscard]] bool detect(std::string_view first_bytes);

}  // namespace zerospan::protocols::mqtt
