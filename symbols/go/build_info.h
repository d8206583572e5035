// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What the go command wrote into a program about its build (debug/buildinfo, runtime/debug of Go
// 1.26): both the pointers of Go 1.13 to 1.17 and the strings of Go 1.18 and later.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/core/result.h"
#include "symbols/elf/file.h"

namespace zerospan::symbols::go {

// A module as it was built: if it was replaced, `path` and `version` are the replacement's.
struct Module {
  std::string path;
  std::string version;        // "" for a replacement by a folder, "(devel)" for a main module
  std::string replaced_path;  // what go.mod asked for; empty if it was not replaced
  bool operator==(const Module&) const = default;
};

struct BuildInfo {
  std::string go_version;    // "go1.26.8"
  std::string main_package;  // its import path; empty in a program that was built without modules
  Module main;
  std::vector<Module> modules;  // the other ones that packages come from; at most 10,000

  // By the path that importers use, be it replaced or not; null if there is none.
  [[nodiscard]] const Module* module(std::string_view path) const;
};

// kNotFound for a program that has none (not Go, or stripped of it), kMalformed for one that breaks
// its format. Reads at most 4 MiB of module text, and at most 64 MiB in search of it.
[[nodiscard]] Result<BuildInfo> read_build_info(const elf::File& file);

// Of the text alone ("path\t...", "mod\t...", "dep\t...", "=>\t..."), without its frame. Lines of
// other kinds are left out.
void parse_module_text(std::string_view text, BuildInfo& info);

}  // namespace zerospan::symbols::go
