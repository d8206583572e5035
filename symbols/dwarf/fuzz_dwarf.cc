// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Looks for fields in the debug information of a file. An input that is no ELF file is taken for a
// table of abbreviations, so that it needs no container.

#include <array>
#include <cstdlib>
#include <memory>

#include "symbols/dwarf/abbreviations.h"
#include "symbols/dwarf/fields.h"

namespace dwarf = zerospan::symbols::dwarf;
namespace elf = zerospan::symbols::elf;

namespace {

void walk(const elf::File& file, std::string_view unit) {
  constexpr std::array<dwarf::FieldName, 4> kNames = {
      {{"t", "f"}, {"a::t", "f"}, {"runtime.g", "goid"}, {"s", "b"}}};
  const auto found = dwarf::find_field_offsets(file, kNames, unit);
  if (found && found->size() != kNames.size()) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> bytes = std::as_bytes(std::span(data, size));
  if (const auto file = elf::File::open(std::make_unique<elf::MemorySource>(bytes))) {
    walk(*file, {});
    walk(*file, "runtime");
    return 0;
  }
  // The input as a table of abbreviations.
  size_t budget = 100'000;
  if (const auto table = dwarf::AbbreviationTable::parse(bytes, 0, budget)) {
    for (uint64_t code = 0; code < 300; ++code) {
      if (const dwarf::Abbreviation* abbreviation = table->find(code)) {
        for (const dwarf::AttributeSpec& spec : abbreviation->attributes) {
          budget += spec.form;
        }
      }
    }
  }
  return 0;
}
