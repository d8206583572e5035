// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// One unit of .debug_info: its header (DWARF 5 section 7.5.1), and its attributes' values.
#pragma once

#include <cstdint>
#include <optional>

#include "symbols/dwarf/abbreviations.h"
#include "symbols/dwarf/reader.h"

namespace zerospan::symbols::dwarf {

struct UnitHeader {
  uint64_t begin = 0;  // position of the header; references in the unit count from here
  uint64_t end = 0;    // position behind the unit
  uint16_t version = 0;
  uint8_t address_size = 0;
  uint8_t offset_size = 4;  // 8 in the 64-bit format
  uint64_t abbreviations = 0;
  uint64_t string_offsets_base = 0;  // DW_AT_str_offsets_base; known after the first entry
};

// Leaves the reader at the first entry, limited to the unit. A version that is not 2 to 5 has no
// entry that can be read: then only `begin` and `end` are set. None if the header is broken.
[[nodiscard]] std::optional<UnitHeader> read_unit_header(Reader& reader);

// What an attribute's value is, as far as anybody here asks.
struct Value {
  enum class Kind : uint8_t {
    kOther,             // stepped over
    kNumber,            // of a constant, a flag, or a sibling relative to the unit
    kStringOffset,      // into .debug_str
    kLineStringOffset,  // into .debug_line_str
    kStringIndex,       // into .debug_str_offsets
    kMemberOffset,      // of a location expression DW_OP_plus_uconst
    kInlineString,
  };
  Kind kind = Kind::kOther;
  uint64_t number = 0;
  std::string_view text;  // of kInlineString; valid until the reader's next call
};

// Reads the value and leaves the reader behind it; a form that is not known fails the reader,
// because nothing behind it can be found.
[[nodiscard]] Value read_value(Reader& reader, const UnitHeader& unit, const AttributeSpec& spec);

}  // namespace zerospan::symbols::dwarf
