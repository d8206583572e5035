// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Patterns of Go's routers, as each of them writes them: net/http's ServeMux
// (https://pkg.go.dev/net/http#hdr-Patterns-ServeMux) and chi, gin, echo, gorilla/mux, fiber. Pure.
#pragma once

#include <string_view>

#include "agent/model/connection.h"

namespace zerospan::spans {

// The path of a pattern, without the method and the host that it may begin with, if it is one that
// the request-target in origin form fits; else empty. A view into `pattern`. Where a router would
// look closer (regular expressions, types of parameters) a pattern fits more than it would there.
[[nodiscard]] std::string_view route_of_pattern(model::Router router, std::string_view pattern,
                                                std::string_view target);

}  // namespace zerospan::spans
