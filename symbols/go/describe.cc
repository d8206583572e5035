// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/go/describe.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace zerospan::symbols::go {
namespace {

// Module paths and names come from a file that anybody may have written.
std::string printable(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c != '\n' && (c < ' ' || c == '\x7f'); }, '?');
  return text;
}

std::string text_of(const Module& module) {
  std::string text = module.path;
  if (!module.version.empty()) {
    text += ' ' + module.version;
  }
  if (!module.replaced_path.empty()) {
    text += " (for " + module.replaced_path + ')';
  }
  return text;
}

}  // namespace

std::string describe(const GoBinary& binary) {
  std::string text;
  const auto out = std::back_inserter(text);
  fmt::format_to(out, "Go            {}{}, {}{}\n", binary.build.go_version,
                 binary.version.is_release ? "" : " (no release)", to_string(binary.machine),
                 binary.position_independent ? ", position-independent" : "");
  fmt::format_to(out, "main module   {}\n",
                 binary.build.main.path.empty() ? "none" : text_of(binary.build.main));
  fmt::format_to(out, "modules       {}\n", binary.build.modules.size());
  if (!binary.build_id.empty()) {
    fmt::format_to(out, "build id      {}\n", binary.build_id);
  }
  if (!binary.go_build_id.empty()) {
    fmt::format_to(out, "Go build id   {}\n", binary.go_build_id);
  }
  fmt::format_to(out, "functions     {}\n", binary.function_count);
  fmt::format_to(out, "OpenTelemetry {}\n",
                 binary.otel.sdk               ? "its own SDK is linked"
                 : binary.otel.modules.empty() ? "none"
                                               : "only the API");
  if (binary.otel.sdk) {
    fmt::format_to(out, "  if it runs, it makes these spans: {}\n", to_text(binary.otel.makes));
  }
  for (const Module& module : binary.otel.modules) {
    fmt::format_to(out, "  {}\n", text_of(module));
  }
  fmt::format_to(out, "offsets       {}\n", to_string(binary.offsets.source()));
  for (const FieldInfo& info : kFields) {
    if (const auto offset = binary.offsets.get(info.id)) {
      fmt::format_to(out, "  {:<4} {}.{}\n", *offset, info.type, info.field);
    }
  }
  const auto variable = [&](const char* name, const std::optional<uint64_t>& address) {
    fmt::format_to(out, "  {} {}\n", address ? fmt::format("{:#x}", *address) : "-", name);
  };
  fmt::format_to(out, "variables     of the runtime\n");
  variable("runtime.sched.goidgen", binary.runtime.goidgen);
  variable("runtime.allgs", binary.runtime.allgs);
  for (const uint64_t address : binary.runtime.maybe_allp) {
    variable("maybe runtime.allp", address);
  }
  fmt::format_to(out, "  {} g of a thread, from its fs base\n",
                 binary.runtime.tls ? std::to_string(*binary.runtime.tls) : "-");
  fmt::format_to(out, "probes        {}\n", binary.probes.size());
  for (const ProbeSite& probe : binary.probes) {
    fmt::format_to(out, "  {:#x} +{:<3} {}{} at `{}`: {}\n", probe.address, probe.site.offset,
                   to_string(probe.site.kind), probe.site.may_repeat ? ", may repeat" : "",
                   probe.site.instruction, probe.function);
  }
  for (const auto& [function, why] : binary.unplaced) {
    fmt::format_to(out, "no probe      {}: {}\n", function, why);
  }
  for (const std::string& notice : binary.notices) {
    fmt::format_to(out, "notice        {}\n", notice);
  }
  return printable(std::move(text));
}

}  // namespace zerospan::symbols::go
