// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// For tests only: programs that a Go toolchain at hand built, against what that toolchain and
// binutils say of them.
#pragma once

#include <string>

#include "symbols/elf/testing.h"
#include "symbols/go/inspect.h"

namespace zerospan::symbols::go {

// How to build, as the go command takes it.
struct Variant {
  std::string name;
  std::string environment;  // "CGO_ENABLED=1"
  std::string flags;        // "-buildmode=pie"
  std::string linker;       // of -ldflags
  bool stripped = false;    // adds -s -w
};

// Builds tests/programs/go in this folder and gives the program's path; `toolchain` is "local", or
// what else GOTOOLCHAIN takes.
[[nodiscard]] std::string build_go(const elf::TemporaryFolder& folder, const std::string& toolchain,
                                   const Variant& variant);

// Everything that can be known otherwise: versions and modules by `go version -m`, addresses of
// functions by `go tool nm` (not stripped), probed instructions by objdump.
void expect_truth(const std::string& path, const GoBinary& binary, bool stripped);

// The same functions are at the same addresses.
void expect_same_code(const GoBinary& binary, const GoBinary& twin);

// Every offset that DWARF gives is the table's, and the other way around for the standard library.
void expect_table_agrees(const GoBinary& binary);

}  // namespace zerospan::symbols::go
