// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The text of modules, and the versions in it.

#include <cstdlib>
#include <string_view>

#include "symbols/go/inspect.h"

namespace go = zerospan::symbols::go;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  go::BuildInfo build;
  build.go_version = text.substr(0, text.find('\n'));
  go::parse_module_text(text, build);
  for (const go::Module& module : build.modules) {
    const std::string& path = module.replaced_path.empty() ? module.path : module.replaced_path;
    if (build.module(path) == nullptr) {
      std::abort();
    }
    static_cast<void>(go::parse_module_version(module.version));
  }
  if (go::find_otel(build).modules.size() > build.modules.size()) {
    std::abort();
  }
  static_cast<void>(
      go::table_offsets(build, zerospan::symbols::elf::Machine::kX86_64).get(go::Field::kGoid));
  return 0;
}
