// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Inspects a file as a Go program: build information, table of functions, offsets, probe sites.
// What comes out must be inside of the file.

#include <cstdlib>
#include <memory>

#include "symbols/go/describe.h"
#include "symbols/go/inspect.h"

namespace elf = zerospan::symbols::elf;
namespace go = zerospan::symbols::go;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file =
      elf::File::open(std::make_unique<elf::MemorySource>(std::as_bytes(std::span(data, size))));
  if (!file) {
    return 0;
  }
  static const go::InspectOptions options{
      {"main.main", "net/http.serverHandler.ServeHTTP", "net/http.(*conn).serve", "z.serve"}};
  const auto binary = go::inspect(*file, options);
  if (!binary) {
    return 0;
  }
  for (const go::ProbeSite& probe : binary->probes) {
    if (probe.file_offset >= size || probe.address < probe.function_address ||
        !file->executable(probe.function_address)) {
      std::abort();
    }
  }
  if (go::describe(*binary).find('\x1b') != std::string::npos) {
    std::abort();
  }
  return 0;
}
