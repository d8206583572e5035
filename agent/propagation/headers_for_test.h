// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Makes header blocks for the tests and the fuzz target of this folder.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/model/exchange.h"

namespace zerospan::propagation {

using HeaderFields = std::vector<std::pair<std::string_view, std::string_view>>;

inline model::HeaderBlock header_block(const HeaderFields& fields) {
  model::HeaderBlock block;
  for (const auto& [name, value] : fields) {
    block.append_field(name, value);
  }
  return block;
}

}  // namespace zerospan::propagation
