// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Patterns of Go's routers (https://pkg.go.dev/net/http#hdr-Patterns-ServeMux, and chi's). Pure.
#pragma once

#include <string_view>

namespace zerospan::spans {

// The path of a pattern, without the method and the host that it may begin with, if it is one that
// the request-target in origin form fits; else empty. A view into `pattern`.
[[nodiscard]] std::string_view route_of_pattern(std::string_view pattern, std::string_view target);

}  // namespace zerospan::spans
