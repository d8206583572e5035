// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What to call a process that says nothing about itself. Pure.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "agent/discovery/runtime.h"

namespace zerospan::discovery {

struct NameEvidence {
  std::string_view executable;  // path
  std::string_view command;     // comm
  std::span<const std::string> arguments;
  Runtime runtime = Runtime::kNative;
  std::string_view working_directory;  // path; may be empty
};

// The name in the package.json nearest to a script, empty if there is none. The argument is the
// script's path as it stands on the command line, perhaps relative to the working directory.
using PackageName = std::function<std::string(std::string_view script)>;

// A service name: never empty, valid UTF-8, of bounded length. The executable's base name, or that
// of the link by which it was started; for an interpreter what it runs (python app.py -> app,
// python -m pkg.mod -> pkg.mod, gunicorn shop.wsgi:app -> shop.wsgi, node server.js -> the
// package's name or server, java -jar cart-1.2.jar -> cart, java com.example.Main ->
// com.example.Main, puma -> its directory or tag). Any arguments are allowed.
[[nodiscard]] std::string guess_service_name(const NameEvidence& evidence,
                                             const PackageName& package_name);

// The service name that a Java command line states (-Dotel.service.name=NAME, the same setting as
// OTEL_SERVICE_NAME for the Java agent); empty if none.
[[nodiscard]] std::string_view stated_java_name(std::span<const std::string> arguments);

}  // namespace zerospan::discovery
