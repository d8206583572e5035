// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "agent/discovery/resource_attributes.h"
#include "agent/discovery/service_name.h"

// Input: the executable's path, the working directory and the arguments, separated by NUL bytes as
// in /proc/PID/cmdline. The name is never empty, bounded, and UTF-8.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace zerospan::discovery;
  std::vector<std::string> parts(1);
  for (size_t i = 0; i < size; ++i) {
    if (data[i] == 0) {
      parts.emplace_back();
    } else {
      parts.back() += static_cast<char>(data[i]);
    }
  }
  parts.resize(std::max<size_t>(parts.size(), 2));
  const std::string executable = parts[0];
  const std::string directory = parts[1];
  const std::span<const std::string> arguments = std::span(parts).subspan(2);
  for (int runtime = 0; runtime <= static_cast<int>(Runtime::kDotnet); ++runtime) {
    const NameEvidence evidence{.executable = executable,
                                .command = "comm",
                                .arguments = arguments,
                                .runtime = static_cast<Runtime>(runtime),
                                .working_directory = directory};
    for (const bool with_package : {false, true}) {
      PackageName package;
      if (with_package) {
        package = [](std::string_view script) { return std::string(script); };
      }
      const std::string name = guess_service_name(evidence, package);
      if (name.empty() || name.size() > 3 * 255 || to_utf8(name) != name) {
        std::abort();
      }
    }
  }
  static_cast<void>(stated_java_name(arguments));
  static_cast<void>(runtime_from_executable(executable));
  static_cast<void>(tls_library(runtime_from_libraries(arguments), arguments));
  return 0;
}
