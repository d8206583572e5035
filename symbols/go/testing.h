// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// For tests only: the parts of Go programs, made by hand.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "symbols/elf/testing.h"

namespace zerospan::symbols::go {

constexpr uint64_t kTextAddress = 0x401000;
constexpr uint64_t kTableAddress = 0x500000;
constexpr uint64_t kDataAddress = 0x600000;
constexpr uint64_t kInfoAddress = 0x700000;

enum class TableFormat : uint8_t {
  kGo116,  // addresses
  kGo118,  // offsets from the beginning of the text, which the table has
  kGo120,
  kGo126,  // the same, but the module data has it
};

// pclntab of functions of 16 bytes each, in this order from kTextAddress on.
[[nodiscard]] std::string make_table(TableFormat format, const std::vector<std::string>& names);

// runtime.moduledata as far as it is read.
[[nodiscard]] std::string make_module_data();

// .go.buildinfo with strings in it.
[[nodiscard]] std::string make_build_info(const std::string& version, const std::string& modules);

// A whole program: text, table, module data and build information.
[[nodiscard]] std::vector<elf::Piece> make_program(TableFormat format,
                                                   const std::vector<std::string>& names);

}  // namespace zerospan::symbols::go
