// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What placement.h and go_variables.h tell of x86-64 code, of arm64's: the same functions with the
// same promises. A decoder of our own reads the few instructions of A64 (Arm Architecture Reference
// Manual, C4.1) that they are about; of all others it knows nothing, and what may depend on them is
// not told.
//
// The arm64 kernel (arch/arm64/kernel/probes/decode-insn.c) simulates branches, all others it steps
// over in a copy. Go's functions begin with a check of the stack's size, whose branch is simulated
// and passed again when the stack has grown: sites `may_repeat`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "agent/core/result.h"
#include "symbols/probe/go_variables.h"
#include "symbols/probe/placement.h"

namespace zerospan::symbols::probe::arm64 {

// Arguments: Go's are in X0 to X15, X26 and X28 (the closure and the goroutine), C's in X0 to X8.
[[nodiscard]] Result<Site> place(std::span<const std::byte> code, uint64_t address, Abi abi);

[[nodiscard]] std::optional<uint64_t> find_goidgen(std::span<const std::byte> code,
                                                   uint64_t address);
[[nodiscard]] std::vector<uint64_t> find_slices(std::span<const std::byte> code, uint64_t address);
// Of a closure, whose variables are in X26 at the entry.
[[nodiscard]] std::optional<uint32_t> find_captured(std::span<const std::byte> code,
                                                    uint32_t field);
[[nodiscard]] std::optional<StringStore> find_string_store(std::span<const std::byte> code,
                                                           uint32_t field);

}  // namespace zerospan::symbols::probe::arm64
