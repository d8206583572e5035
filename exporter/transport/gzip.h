// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// gzip (RFC 1952) of request bodies. Pure.
#pragma once

#include <string>
#include <string_view>

#include "agent/core/result.h"

namespace zerospan::transport {

// Replaces `out`. At zlib's fastest level: spans of one batch repeat each other so much that higher
// levels cost several times the CPU for a few percent.
[[nodiscard]] Status gzip(std::string_view bytes, std::string& out);

}  // namespace zerospan::transport
