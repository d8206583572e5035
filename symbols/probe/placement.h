// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Where in a function a uprobe costs least and still sees the call's arguments.
//
// The x86 kernel (arch/x86/kernel/uprobes.c, branch_setup_xol_ops and push_setup_xol_ops) emulates
// `push` of a register, `nop`, and relative `jmp`, `jcc` and `call`; all other instructions it
// steps over in a copy, which costs ten times as much and more. Taken here is only what every
// kernel since 4.18 emulates: no prefixes (a `nop` with one was refused until 6.2), no `nop` of
// several bytes (6.16), no `mov` or `sub`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "agent/core/result.h"

namespace zerospan::symbols::probe {

enum class Kind : uint8_t {
  kEmulated,  // about 1 us in a virtual machine
  kStepped,   // about 20 us there
};
[[nodiscard]] std::string_view to_string(Kind kind);

// Which registers carry arguments, and so must not have been written before the probe.
enum class Abi : uint8_t {
  kGoInternal,  // Go 1.17 and later: RAX, RBX, RCX, RDI, RSI, R8 to R11; R14 is the goroutine
  kSystemV,     // C: RDI, RSI, RDX, RCX, R8, R9
};

struct Site {
  uint64_t offset = 0;  // bytes from the function's entry
  Kind kind = Kind::kStepped;
  // The instruction can be passed again in one call: it is before or at Go's check of the stack's
  // size, and the function is begun anew when the stack has grown.
  bool may_repeat = false;
  std::string instruction;  // AT&T syntax, for people
};

// `code` is the function from its entry to its end (or its first 256 KiB), `address` that of the
// entry. The site is passed once by every call, apart from `may_repeat`; there the argument
// registers and the stack pointer are as they were at the entry. In order of preference: `push` or
// `nop`; a branch that is emulated; the entry, stepped. kUnsupported if there is none (a function
// that only returns, or begins with what uprobes refuse), kMalformed if `code` is no x86-64 code.
// Any thread.
[[nodiscard]] Result<Site> place(std::span<const std::byte> code, uint64_t address, Abi abi);

}  // namespace zerospan::symbols::probe
