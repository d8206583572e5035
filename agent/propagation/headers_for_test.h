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
  std::string raw;
  for (const auto& [name, value] : fields) {
    raw.append(name).append(value);
  }
  model::HeaderBlock block;
  block.assign_raw(raw);
  size_t at = 0;
  for (const auto& [name, value] : fields) {
    block.add_field(static_cast<uint32_t>(at), static_cast<uint32_t>(name.size()),
                    static_cast<uint32_t>(at + name.size()), static_cast<uint32_t>(value.size()));
    at += name.size() + value.size();
  }
  return block;
}

}  // namespace zerospan::propagation
