// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Why an exchange has no whole answer, as an error.type. Pure functions.
#pragma once

#include <optional>
#include <string_view>

#include "agent/model/exchange.h"

namespace zerospan::spans {

// Empty: it has one. `reset`: of the HTTP/2 stream.
[[nodiscard]] std::string_view interruption(
    const model::Exchange& exchange, const std::optional<model::StreamReset>& reset = std::nullopt);

}  // namespace zerospan::spans
