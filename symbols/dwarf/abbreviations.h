// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// One table of .debug_abbrev (DWARF 5 section 7.5.3): how the entries of a unit are laid out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "agent/core/result.h"

namespace zerospan::symbols::dwarf {

struct AttributeSpec {
  uint16_t name = 0;
  uint16_t form = 0;
  uint64_t implicit = 0;  // the value, for DW_FORM_implicit_const
};

struct Abbreviation {
  uint16_t tag = 0;
  bool has_children = false;
  std::span<const AttributeSpec> attributes;
};

// Immutable once parsed.
class AbbreviationTable {
 public:
  // Of the table at `offset` of the section. Takes from `budget` one for each attribute and each
  // abbreviation; kMalformed when it is spent, so that many units with one large table cost no more
  // than the budget.
  [[nodiscard]] static Result<AbbreviationTable> parse(std::span<const std::byte> section,
                                                       uint64_t offset, size_t& budget);

  // Null if the code is not in the table.
  [[nodiscard]] const Abbreviation* find(uint64_t code) const;

 private:
  std::vector<AttributeSpec> attributes_;
  std::vector<Abbreviation> dense_;  // by code - 1: compilers number them so
  std::unordered_map<uint64_t, Abbreviation> sparse_;
};

}  // namespace zerospan::symbols::dwarf
