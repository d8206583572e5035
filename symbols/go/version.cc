// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/go/version.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace zerospan::symbols::go {
namespace {

bool take_number(std::string_view& text, uint32_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data()) {
    return false;
  }
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) {
    return false;
  }
  text.remove_prefix(prefix.size());
  return true;
}

// Of src/internal/goexperiment those that change neither the runtime's structs nor net/http's.
bool keeps_layouts(std::string_view experiments) {
  constexpr auto kHarmless = std::to_array<std::string_view>(
      {"boringcrypto", "nocoverageredesign", "noloopvar", "loopvar", "nodwarf5", "jsonv2"});
  while (!experiments.empty()) {
    const size_t comma = experiments.find(',');
    if (std::find(kHarmless.begin(), kHarmless.end(), experiments.substr(0, comma)) ==
        kHarmless.end()) {
      return false;
    }
    experiments.remove_prefix(comma == std::string_view::npos ? experiments.size() : comma + 1);
  }
  return true;
}

}  // namespace

std::optional<ToolchainVersion> parse_toolchain_version(std::string_view text) {
  const bool development = take(text, "devel ");
  ToolchainVersion version;
  if (!take(text, "go") || !take_number(text, version.number.major) || !take(text, ".") ||
      !take_number(text, version.number.minor)) {
    return std::nullopt;
  }
  if (take(text, ".") && !take_number(text, version.number.patch)) {
    return std::nullopt;
  }
  version.is_release = !development && (text.empty() || (take(text, " X:") && keeps_layouts(text)));
  return version;
}

std::optional<Version> parse_module_version(std::string_view text) {
  Version version;
  if (!take(text, "v") || !take_number(text, version.major) || !take(text, ".") ||
      !take_number(text, version.minor) || !take(text, ".") || !take_number(text, version.patch) ||
      !text.empty()) {
    return std::nullopt;
  }
  return version;
}

}  // namespace zerospan::symbols::go
