// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What the agent knows of a Go program's file:
//
//	zerospan_describe_go FILE [FUNCTION ...]
//
// With functions, those get the probe sites; without, those that the agent uses. Time and peak
// memory go to standard error.
#include <sys/resource.h>

#include <chrono>
#include <cstdio>

#include "symbols/go/describe.h"
#include "symbols/go/inspect.h"

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s FILE [FUNCTION ...]\n", argv[0]);
    return 2;
  }
  zerospan::symbols::go::InspectOptions options;
  if (argc > 2) {
    options.functions.assign(argv + 2, argv + argc);
  }
  const auto begin = std::chrono::steady_clock::now();
  const auto binary = zerospan::symbols::go::inspect(argv[1], options);
  const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - begin;
  if (!binary) {
    std::fprintf(stderr, "%s\n", binary.error().message.c_str());
    return 1;
  }
  std::fputs(zerospan::symbols::go::describe(*binary).c_str(), stdout);
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  std::fprintf(stderr, "%.1f ms, at most %.1f MiB of memory\n", taken.count(),
               static_cast<double>(usage.ru_maxrss) / 1024);
  return 0;
}
