// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/runtime.h"

#include <array>
#include <utility>

namespace zerospan::discovery {
namespace {

// python3.11, ruby2.7, php-fpm8.2: the name with its version cut off.
std::string_view without_version(std::string_view name) {
  const size_t end = name.find_last_not_of("0123456789.");
  return end == std::string_view::npos ? name : name.substr(0, end + 1);
}

}  // namespace

std::string_view base_name(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string_view to_string(Runtime runtime) {
  switch (runtime) {
    case Runtime::kNative:
      return "native";
    case Runtime::kGo:
      return "Go";
    case Runtime::kNode:
      return "Node.js";
    case Runtime::kPython:
      return "Python";
    case Runtime::kJava:
      return "Java";
    case Runtime::kRuby:
      return "Ruby";
    case Runtime::kPhp:
      return "PHP";
    case Runtime::kDotnet:
      return ".NET";
  }
  return "native";
}

std::string_view runtime_attribute(Runtime runtime, std::string_view executable) {
  switch (runtime) {
    case Runtime::kGo:
      return "go";
    case Runtime::kNode:
      return "nodejs";
    case Runtime::kPython:
      return base_name(executable).starts_with("pypy") ? "pypy" : "cpython";
    case Runtime::kRuby:
      return base_name(executable).starts_with("truffleruby") ? "truffleruby" : "ruby";
    case Runtime::kDotnet:
      return ".NET";
    case Runtime::kNative:
    case Runtime::kJava:
    case Runtime::kPhp:
      break;
  }
  return {};
}

Runtime runtime_from_executable(std::string_view executable) {
  const std::string_view name = without_version(base_name(executable));
  constexpr std::array<std::pair<std::string_view, Runtime>, 13> kNames = {{
      {"node", Runtime::kNode},
      {"nodejs", Runtime::kNode},
      {"python", Runtime::kPython},
      {"pypy", Runtime::kPython},
      {"uwsgi", Runtime::kPython},
      {"java", Runtime::kJava},
      {"ruby", Runtime::kRuby},
      {"truffleruby", Runtime::kRuby},
      {"php", Runtime::kPhp},
      {"php-fpm", Runtime::kPhp},
      {"php-cgi", Runtime::kPhp},
      {"frankenphp", Runtime::kPhp},
      {"dotnet", Runtime::kDotnet},
  }};
  for (const auto& [known, runtime] : kNames) {
    if (name == known) {
      return runtime;
    }
  }
  return Runtime::kNative;
}

Runtime runtime_from_libraries(std::span<const std::string> libraries) {
  for (const std::string& path : libraries) {
    const std::string_view name = base_name(path);
    if (name == "libjvm.so") {
      return Runtime::kJava;
    }
    if (name == "libcoreclr.so") {
      return Runtime::kDotnet;
    }
    if (name.starts_with("libpython")) {
      return Runtime::kPython;
    }
    if (name.starts_with("libruby")) {
      return Runtime::kRuby;
    }
    if (name.starts_with("libnode.so")) {
      return Runtime::kNode;
    }
  }
  return Runtime::kNative;
}

std::string tls_library(Runtime runtime, std::span<const std::string> libraries) {
  constexpr std::array<std::string_view, 8> kPrefixes = {
      "libssl.so", "libssl-",    "libgnutls.so",  "libssl3.so",
      "libnss3",   "libmbedtls", "libwolfssl.so", "libs2n.so"};
  for (const std::string_view prefix : kPrefixes) {
    for (const std::string& path : libraries) {
      if (base_name(path).starts_with(prefix)) {
        return path;
      }
    }
  }
  if (runtime == Runtime::kGo) {
    return "crypto/tls (Go)";
  }
  if (runtime == Runtime::kJava) {
    return "JSSE (Java)";
  }
  return {};
}

}  // namespace zerospan::discovery
