// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Pointers in the data of a file, before the dynamic linker has seen it. In a position-independent
// file a linker may leave zeros where a pointer goes, and keep its value in a relative relocation
// (R_X86_64_RELATIVE, R_AARCH64_RELATIVE; SHT_RELA).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "symbols/elf/file.h"

namespace zerospan::symbols::elf {

// For each address the pointer that is stored there: from a relocation if there is one, else from
// the bytes; nothing where neither is. One pass over the relocations.
[[nodiscard]] std::vector<std::optional<uint64_t>> read_pointers(
    const File& file, std::span<const uint64_t> addresses);

// Where relocations store this value: at most 16 addresses.
[[nodiscard]] std::vector<uint64_t> relocated_places(const File& file, uint64_t value);

}  // namespace zerospan::symbols::elf
