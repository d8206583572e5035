// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Where the fields of structs are, from DWARF 4 and 5 (.debug_info, 32- and 64-bit format,
// compressed or not). The unit headers and entries are read once, in order, as a stream: memory is
// the abbreviations, and the places where the wanted names are in .debug_str.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "agent/core/result.h"
#include "symbols/elf/file.h"

namespace zerospan::symbols::dwarf {

struct FieldName {
  // The type as the debug information names it: "net/http.Request" in Go, "ssl_st" in C, with its
  // scopes in C++: "a::b::T". Not the name of a typedef.
  std::string_view type;
  std::string_view field;  // a direct member that is no bit field
};

// For each field its offset in bytes from the struct's beginning; of the first definition of a type
// of that name. With `unit` not empty, only in compilation units of that name: Go's linker puts
// every type of a program into the unit "runtime". The walk ends when all are found.
//
// kNotFound if there is no .debug_info; kMalformed for what breaks its format, or exceeds what is
// believed: 1 GiB of .debug_info, 32 MiB of abbreviations. Split units (.dwo), .debug_types, and
// what dwz moved to another file are not looked at. The names are non-empty, at most 512 bytes.
[[nodiscard]] Result<std::vector<std::optional<uint64_t>>> find_field_offsets(
    const elf::File& file, std::span<const FieldName> fields, std::string_view unit = {});

}  // namespace zerospan::symbols::dwarf
