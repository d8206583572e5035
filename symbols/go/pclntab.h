// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The function table of a Go program (runtime.pclntab): names and addresses of all functions, there
// even in a stripped one. Formats of Go 1.16, 1.18 and 1.20 to 1.27 (internal/abi/symtab.go,
// runtime/symtab.go, debug/gosym/pclntab.go).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "agent/core/result.h"
#include "symbols/elf/file.h"

namespace zerospan::symbols::go {

struct Function {
  uint64_t address = 0;
  uint64_t size = 0;  // to the next function: padding included
};

// Refers to its file. Immutable; any thread.
class FunctionTable {
 public:
  // By its section's name, else by a scan of the file's read-only and relocated data for a header
  // that is plausible in all its fields. kNotFound if there is none; kUnsupported if it is there
  // but it cannot be known where code begins, as Go 1.26 no longer says it in the table, and the
  // module data that does could not be found.
  [[nodiscard]] static Result<FunctionTable> open(const elf::File& file);

  [[nodiscard]] uint64_t function_count() const { return header_.function_count; }

  // For each name its function, in one pass over the table: nothing is kept but what is found. None
  // for functions that the program does not have, or only inlined. Names as the linker knows them:
  // "net/http.(*persistConn).roundTrip".
  [[nodiscard]] Result<std::vector<std::optional<Function>>> find(
      std::span<const std::string_view> names) const;

 private:
  struct Header {
    uint64_t address = 0;
    uint64_t offset = 0;  // in the file
    uint64_t size = 0;    // of the section or what is left of the segment
    uint32_t magic = 0;
    uint64_t function_count = 0;
    uint64_t text_start = 0;  // as the table says it; 0 in Go 1.16, and from 1.26
    uint64_t names = 0;       // offsets from the table's beginning
    uint64_t names_end = 0;
    uint64_t functions = 0;
  };

  FunctionTable(const elf::File& file, const Header& header) : file_(&file), header_(header) {}

  [[nodiscard]] static std::optional<Header> read_header(const elf::File& file, uint64_t address,
                                                         uint64_t size);
  [[nodiscard]] static std::optional<Header> search(const elf::File& file);
  [[nodiscard]] std::optional<uint64_t> find_text_start() const;
  [[nodiscard]] bool believable_text_start(uint64_t address) const;

  const elf::File* file_;
  Header header_;
  uint64_t text_start_ = 0;  // what entries are relative to; 0 in Go 1.16, where they are addresses
};

}  // namespace zerospan::symbols::go
