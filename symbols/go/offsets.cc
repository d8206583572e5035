// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/go/offsets.h"

#include <algorithm>
#include <vector>

#include "symbols/dwarf/fields.h"

namespace zerospan::symbols::go {
namespace {

struct Covered {
  std::string_view module;
  Version first;
  Version last;
};
struct Known {
  Field field;
  Version since;
  int32_t offset;  // -1: not there
};

constexpr auto kCovered = std::to_array<Covered>({
#define ZS_GO_COVERED(module, a, b, c, d, e, f) {module, {a, b, c}, {d, e, f}},
#define ZS_GO_OFFSET(field, a, b, c, offset)
#include "symbols/go/offsets.def"
#undef ZS_GO_COVERED
#undef ZS_GO_OFFSET
});

constexpr auto kKnown = std::to_array<Known>({
#define ZS_GO_COVERED(module, a, b, c, d, e, f)
#define ZS_GO_OFFSET(field, a, b, c, offset) {Field::field, {a, b, c}, offset},
#include "symbols/go/offsets.def"
#undef ZS_GO_COVERED
#undef ZS_GO_OFFSET
});

// Go's linker gives every type of a program to this compilation unit
// (cmd/link/internal/ld/dwarf.go).
constexpr std::string_view kUnitOfTypes = "runtime";

// Go's own patch releases keep their layouts; of a library's, only those are believed that were
// asked.
bool covers(const Covered& covered, const Version& version) {
  return version.major == covered.first.major && version.minor == covered.first.minor &&
         version >= covered.first && (covered.module == "std" || version <= covered.last);
}

// A fork is another program, whatever its version says.
std::optional<Version> version_of(const BuildInfo& build, std::string_view module) {
  if (module == "std") {
    const auto toolchain = parse_toolchain_version(build.go_version);
    return toolchain && toolchain->is_release ? std::optional(toolchain->number) : std::nullopt;
  }
  const Module* found = build.module(module);
  if (found == nullptr || found->path != module) {
    return std::nullopt;
  }
  return parse_module_version(found->version);
}

}  // namespace

std::string_view to_string(OffsetSource source) {
  switch (source) {
    case OffsetSource::kNone:
      return "none";
    case OffsetSource::kDwarf:
      return "DWARF";
    case OffsetSource::kTable:
      return "table";
  }
  return "none";
}

std::optional<uint32_t> table_offset(Field field, const Version& version) {
  const std::string_view module = kFields[static_cast<size_t>(field)].module;
  if (std::none_of(kCovered.begin(), kCovered.end(), [&](const Covered& covered) {
        return covered.module == module && covers(covered, version);
      })) {
    return std::nullopt;
  }
  int32_t offset = -1;
  for (const Known& known : kKnown) {
    if (known.field == field && known.since <= version) {
      offset = known.offset;
    }
  }
  return offset < 0 ? std::nullopt : std::optional(static_cast<uint32_t>(offset));
}

Offsets table_offsets(const BuildInfo& build, elf::Machine machine) {
  Offsets offsets;
  if (machine != elf::Machine::kX86_64) {
    return offsets;
  }
  for (const FieldInfo& info : kFields) {
    const std::optional<Version> version = version_of(build, info.module);
    const auto offset = version ? table_offset(info.id, *version) : std::nullopt;
    if (offset) {
      offsets.set(info.id, *offset);
      offsets.set_source(OffsetSource::kTable);
    }
  }
  return offsets;
}

Result<Offsets> dwarf_offsets(const elf::File& file) {
  std::vector<dwarf::FieldName> names;
  for (const FieldInfo& info : kFields) {
    names.push_back({info.type, info.field});
  }
  const auto found = dwarf::find_field_offsets(file, names, kUnitOfTypes);
  if (!found) {
    return tl::unexpected(found.error());
  }
  Offsets offsets;
  for (size_t i = 0; i < kFields.size(); ++i) {
    if ((*found)[i] && *(*found)[i] <= UINT32_MAX) {
      offsets.set(kFields[i].id, static_cast<uint32_t>(*(*found)[i]));
      offsets.set_source(OffsetSource::kDwarf);
    }
  }
  if (!offsets.get(Field::kGoid)) {
    return fail(ErrorCode::kNotFound, "The program's DWARF does not have runtime.g.");
  }
  return offsets;
}

}  // namespace zerospan::symbols::go
