// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Where the fields of Go structs are that the agent reads from a program's memory, for one program.
// From its own DWARF where it has some, else from a table by version (offsets.def), which is never
// stretched beyond the versions it was made from.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "symbols/elf/file.h"
#include "symbols/go/build_info.h"
#include "symbols/go/version.h"

namespace zerospan::symbols::go {

enum class Field : uint8_t {
#define ZS_GO_FIELD(name, module, type, field) name,
#include "symbols/go/fields.def"
#undef ZS_GO_FIELD
};

struct FieldInfo {
  Field id;
  std::string_view module;  // "std", or the path of the module that has the type
  std::string_view type;
  std::string_view field;
};

inline constexpr auto kFields = std::to_array<FieldInfo>({
#define ZS_GO_FIELD(name, module, type, field) {Field::name, module, type, field},
#include "symbols/go/fields.def"
#undef ZS_GO_FIELD
});

enum class OffsetSource : uint8_t { kNone, kDwarf, kTable };
[[nodiscard]] std::string_view to_string(OffsetSource source);

// A value.
class Offsets {
 public:
  // In bytes from the struct's beginning; none if the field is not in this version, the type is not
  // in the program, or it is not known.
  [[nodiscard]] std::optional<uint32_t> get(Field field) const {
    return entries_[static_cast<size_t>(field)];
  }
  [[nodiscard]] OffsetSource source() const { return source_; }

  void set(Field field, uint32_t offset) { entries_[static_cast<size_t>(field)] = offset; }
  void set_source(OffsetSource source) { source_ = source; }

 private:
  std::array<std::optional<uint32_t>, kFields.size()> entries_{};
  OffsetSource source_ = OffsetSource::kNone;
};

// What the table says of a field in that version of its module. None in a minor version that was
// not asked. Go's later patch releases are believed: in all minor versions the first and the last
// one are the same. A library's are not: google.golang.org/grpc 1.83.1 changed a layout.
[[nodiscard]] std::optional<uint32_t> table_offset(Field field, const Version& version);

// All fields of the table that hold for this program: linux/amd64 only, since the table is.
[[nodiscard]] Offsets table_offsets(const BuildInfo& build, elf::Machine machine);

// kNotFound if the program has no DWARF, or that of another language only.
[[nodiscard]] Result<Offsets> dwarf_offsets(const elf::File& file);

}  // namespace zerospan::symbols::go
