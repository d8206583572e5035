// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Versions of Go and of Go modules, as far as layouts depend on them.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>

namespace zerospan::symbols::go {

struct Version {
  uint32_t major = 0;
  uint32_t minor = 0;
  uint32_t patch = 0;
  auto operator<=>(const Version&) const = default;
};

// What runtime.Version() gives: "go1.26.8", "go1.27rc1", "go1.22.3 X:boringcrypto",
// "devel go1.27-0a1b2c". None for what has no number of that form.
struct ToolchainVersion {
  Version number;
  // The layouts are those of the release of that number: no candidate or development version, no
  // vendor's own changes, and no experiment but those that are known not to touch a layout.
  bool is_release = false;
};
[[nodiscard]] std::optional<ToolchainVersion> parse_toolchain_version(std::string_view text);

// A module's release, "v1.64.0"; none for pre-releases and pseudo-versions ("v1.65.0-dev",
// "v0.0.0-20240102030405-0a1b2c3d4e5f"), whose layouts their numbers do not tell.
[[nodiscard]] std::optional<Version> parse_module_version(std::string_view text);

}  // namespace zerospan::symbols::go
