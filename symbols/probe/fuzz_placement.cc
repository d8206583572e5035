// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Places a probe in arbitrary bytes. The first byte chooses the ABI.

#include <cstdlib>
#include <span>

#include "symbols/probe/arm64.h"
#include "symbols/probe/go_variables.h"
#include "symbols/probe/placement.h"

namespace probe = zerospan::symbols::probe;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  const auto code = std::as_bytes(std::span(data, size)).subspan(1);
  static_cast<void>(probe::find_goidgen(code, 0x401000));
  static_cast<void>(probe::find_tls(code, 0x401000));
  if (probe::find_slices(code, 0x401000).size() > 16) {
    std::abort();
  }
  const auto store = probe::find_string_store(code, 0x70);
  if (store && (store->offset >= code.size() || store->base > 14 || store->address > 14 ||
                store->field != 0x70)) {
    std::abort();
  }
  const auto stored = probe::arm64::find_string_store(code, 0x70);
  if (probe::arm64::find_slices(code, 0x401000).size() > 16 ||
      (stored && (stored->offset + 4 > code.size() || stored->base > 30 || stored->address > 30))) {
    std::abort();
  }
  static_cast<void>(probe::arm64::find_goidgen(code, 0x401000));
  static_cast<void>(probe::arm64::find_captured(code, 0x70));
  const auto abi = (data[0] & 1U) != 0 ? probe::Abi::kGoInternal : probe::Abi::kSystemV;
  if (const auto site = probe::arm64::place(code, 0x401000, abi);
      site && (site->offset % 4 != 0 || site->offset + 4 > code.size())) {
    std::abort();
  }
  const auto site = probe::place(code, 0x401000, abi);
  if (!site) {
    return 0;
  }
  if (site->offset >= code.size() || site->instruction.empty() ||
      (site->kind == probe::Kind::kStepped && site->offset != 0)) {
    std::abort();
  }
  // `ret` is never probed.
  const auto first = std::to_integer<uint8_t>(code[site->offset]);
  if (first == 0xc3 || first == 0xc2 || first == 0xcc) {
    std::abort();
  }
  return 0;
}
