// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/dwarf/abbreviations.h"

#include <algorithm>

#include "symbols/dwarf/constants.h"
#include "symbols/elf/cursor.h"

namespace zerospan::symbols::dwarf {
namespace {

// A number of another size than the format has for it matches no constant here.
uint16_t narrow(uint64_t value) {
  return static_cast<uint16_t>(std::min<uint64_t>(value, UINT16_MAX));
}

}  // namespace

Result<AbbreviationTable> AbbreviationTable::parse(std::span<const std::byte> section,
                                                   uint64_t offset, size_t& budget) {
  const auto malformed = [] {
    return fail(ErrorCode::kMalformed, "The table of abbreviations is cut short or too large.");
  };
  if (offset > section.size()) {
    return malformed();
  }
  struct Entry {
    uint64_t code;
    Abbreviation abbreviation;
    size_t first;
    size_t count;
  };
  AbbreviationTable table;
  std::vector<Entry> entries;
  elf::Cursor cursor(section.subspan(offset));
  while (const uint64_t code = cursor.uleb()) {
    Entry entry{code, {}, table.attributes_.size(), 0};
    entry.abbreviation.tag = narrow(cursor.uleb());
    entry.abbreviation.has_children = cursor.fixed<uint8_t>() != 0;
    for (;;) {
      const uint64_t name = cursor.uleb();
      const uint64_t form = cursor.uleb();
      // DW_FORM_implicit_const is signed; as an offset only values without that bit make sense.
      const uint64_t implicit = form == kFormImplicitConst ? cursor.uleb() : 0;
      if (cursor.failed() || budget == 0) {
        return malformed();
      }
      --budget;
      if (name == 0 && form == 0) {
        break;
      }
      table.attributes_.push_back({narrow(name), narrow(form), implicit});
      ++entry.count;
    }
    entries.push_back(entry);
  }
  if (cursor.failed()) {
    return malformed();
  }
  for (Entry& entry : entries) {
    entry.abbreviation.attributes = std::span(table.attributes_).subspan(entry.first, entry.count);
    if (entry.code == table.dense_.size() + 1) {
      table.dense_.push_back(entry.abbreviation);
    } else {
      table.sparse_.emplace(entry.code, entry.abbreviation);
    }
  }
  return table;
}

const Abbreviation* AbbreviationTable::find(uint64_t code) const {
  if (code - 1 < dense_.size()) {
    return &dense_[code - 1];
  }
  const auto found = sparse_.find(code);
  return found == sparse_.end() ? nullptr : &found->second;
}

}  // namespace zerospan::symbols::dwarf
