// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Spans of one request, ordered by the resource that made them, as OTLP nests them. Shared by both
// encodings. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "agent/model/span.h"

namespace zerospan::otlp {

// The instrumentation scope that every span is exported under.
struct Scope {
  std::string name = "zerospan";
  std::string version;
};

struct ResourceGroup {
  const model::Resource* resource = nullptr;  // null: spans without one
  std::vector<const model::Span*> spans;      // in the order given
};

// Groups in the order in which their first span comes. Resources are the same when their id is.
// Pointers are into `spans`.
[[nodiscard]] std::vector<ResourceGroup> group_by_resource(std::span<const model::Span> spans);

// Span.flags: W3C trace flags in bits 0 to 7, and whether the parent is remote in bits 8 and 9.
[[nodiscard]] uint32_t span_flags(const model::Span& span);

}  // namespace zerospan::otlp
