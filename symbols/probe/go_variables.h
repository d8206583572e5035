// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Where variables of Go's runtime are. A stripped program has no names of variables, but its code
// has their addresses, and the functions' names stay. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace zerospan::symbols::probe {

// x86-64 code of runtime.newproc1, and the address of its first byte. It adds 16, a batch of ids,
// to goidgen (runtime/proc.go).
[[nodiscard]] std::optional<uint64_t> find_goidgen(std::span<const std::byte> code,
                                                   uint64_t address);
// Slices in variables of which the code uses all three words: address, length and capacity. At most
// 16. runtime.allgadd appends to allgs; runtime.procresize has allp among others.
[[nodiscard]] std::vector<uint64_t> find_slices(std::span<const std::byte> code, uint64_t address);
// The same of runtime.systemstack, which begins with the thread's g. Only where C brings variables
// of its own into the program's thread-local storage, this is not -8.
[[nodiscard]] std::optional<int64_t> find_tls(std::span<const std::byte> code, uint64_t address);

// x86-64 code of a closure (Go has its variables in RDX at the entry): where among these, in bytes,
// the pointer is to the struct whose 32-bit field at `field` the closure increases by two.
// grpc-go's client gives its streams their numbers in such a one.
[[nodiscard]] std::optional<uint32_t> find_captured(std::span<const std::byte> code,
                                                    uint32_t field);

// Where a function stores a string into a struct: its length is there already, its address still
// in a register. Registers are numbers of words in struct pt_regs (x86-64: r15 is 0, rdi is 14).
struct StringStore {
  uint64_t offset = 0;  // in bytes from the function's entry; the kernel emulates what is there
  std::string instruction;
  uint32_t field = 0;  // of the string, in bytes from the struct's beginning
  uint8_t base = 0;    // of the struct
  uint8_t address = 0;
};

// x86-64 code of a function that stores into the string at `field` of a struct. Go stores the
// length, asks whether the garbage collector wants to know of the address, branches on that, and
// stores the address: the branch is the place. None if there is no such place, or more than one.
[[nodiscard]] std::optional<StringStore> find_string_store(std::span<const std::byte> code,
                                                           uint32_t field);

}  // namespace zerospan::symbols::probe
