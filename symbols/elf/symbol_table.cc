// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/elf/symbol_table.h"

#include <elf.h>

#include <algorithm>

#include "symbols/elf/cursor.h"
#include "symbols/elf/section_stream.h"
#include "symbols/elf/string_search.h"

namespace zerospan::symbols::elf {
namespace {

constexpr uint64_t kMaxStringBytes = uint64_t{1} << 30U;

Status find_in(const File& file, const Section& table, std::span<const std::string_view> names,
               std::vector<std::optional<Symbol>>& found) {
  if (table.link >= file.sections().size()) {
    return fail(ErrorCode::kMalformed, "A symbol table names no table of strings.");
  }
  auto strings = SectionStream::open(file, file.sections()[table.link]);
  if (!strings) {
    return tl::unexpected(strings.error());
  }
  if (strings->size() > kMaxStringBytes) {
    return fail(ErrorCode::kMalformed, "A symbol table's strings are more than is believed.");
  }
  const auto offsets =
      StringOffsets::find([&](std::span<std::byte> out) { return strings->read(out); }, names);
  if (!offsets) {
    return tl::unexpected(offsets.error());
  }
  Window window(file.source(), table.offset, table.size);
  for (uint64_t at = 0;; at += sizeof(Elf64_Sym)) {
    const std::span<const std::byte> bytes = window.at(at, sizeof(Elf64_Sym));
    if (bytes.empty()) {
      return {};
    }
    const auto symbol = load<Elf64_Sym>(bytes);
    if (symbol.st_shndx == SHN_UNDEF || symbol.st_value == 0 ||
        ELF64_ST_TYPE(symbol.st_info) == STT_TLS) {
      continue;
    }
    const std::optional<size_t> name = offsets->name_at(symbol.st_name);
    if (name && !found[*name]) {
      found[*name] = Symbol{symbol.st_value, symbol.st_size};
    }
  }
}

}  // namespace

Result<std::vector<std::optional<Symbol>>> find_symbols(const File& file,
                                                        std::span<const std::string_view> names) {
  std::vector<std::optional<Symbol>> found(names.size());
  for (const uint32_t type : {SHT_SYMTAB, SHT_DYNSYM}) {
    const auto table = std::find_if(file.sections().begin(), file.sections().end(),
                                    [&](const Section& section) { return section.type == type; });
    if (table == file.sections().end()) {
      continue;
    }
    if (const Status status = find_in(file, *table, names, found); !status) {
      return tl::unexpected(status.error());
    }
  }
  return found;
}

}  // namespace zerospan::symbols::elf
