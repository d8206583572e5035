// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Which routers of a Go program can be asked for the routes of its requests, and how. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/kernel/capture.h"
#include "symbols/go/inspect.h"

namespace zerospan::app {

struct GoRouter {
  std::string function;
  std::optional<kernel::GoProbeSite> site;
  std::string why_not;  // no site: a sentence
};

// Those that the program has.
[[nodiscard]] std::vector<GoRouter> go_routers(const symbols::go::GoBinary& binary);

}  // namespace zerospan::app
