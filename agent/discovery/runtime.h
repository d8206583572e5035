// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Which language runtime a process is, by the name of its executable, its ELF file and its mapped
// libraries. A guess: good enough for names and for `zerospan check`, and never needed for
// correctness. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace zerospan::discovery {

enum class Runtime : uint8_t {
  kNative = 0,
  kGo,
  kNode,
  kPython,
  kJava,
  kRuby,
  kPhp,
  kDotnet,
};

// For the operator: "native", "Go", "Node.js", ...
[[nodiscard]] std::string_view to_string(Runtime runtime);

// process.runtime.name as the semantic conventions fill it for this runtime; empty where it cannot
// be known from outside (Java's is a property inside the virtual machine) or is not defined.
[[nodiscard]] std::string_view runtime_attribute(Runtime runtime, std::string_view executable);

// `executable` is a path or a name.
[[nodiscard]] Runtime runtime_from_executable(std::string_view executable);
// For embedded runtimes and .NET's own executables; kNative when no library tells.
[[nodiscard]] Runtime runtime_from_libraries(std::span<const std::string> libraries);

// Which TLS library a process uses, from the paths of its mapped files; empty when none is known.
// Go and Java bring their own, and a static one cannot be seen here.
[[nodiscard]] std::string tls_library(Runtime runtime, std::span<const std::string> libraries);

// What is after the last '/'.
[[nodiscard]] std::string_view base_name(std::string_view path);

}  // namespace zerospan::discovery
