// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Look-up of a few symbols by name in .symtab, then .dynsym (gABI "Symbol Table"), in one pass.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "agent/core/result.h"
#include "symbols/elf/file.h"

namespace zerospan::symbols::elf {

struct Symbol {
  uint64_t address = 0;
  uint64_t size = 0;  // 0 where the table does not say
};

// For each name its first defined symbol with an address; thread-local symbols and undefined ones
// are none. A file without symbols gives none; kMalformed for tables outside of the file.
[[nodiscard]] Result<std::vector<std::optional<Symbol>>> find_symbols(
    const File& file, std::span<const std::string_view> names);

}  // namespace zerospan::symbols::elf
