// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Reading a span's attributes back. Views live as long as the span.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "agent/model/span.h"

namespace zerospan::viewer {

// nullptr if the span has no such attribute.
[[nodiscard]] std::optional<model::AttributeView> find_attribute(const model::Span& span,
                                                                 std::string_view key);
// Empty or 0 if there is no such attribute of that type.
[[nodiscard]] std::string_view text_attribute(const model::Span& span, std::string_view key);
[[nodiscard]] int64_t int_attribute(const model::Span& span, std::string_view key);

// service.name of the span's resource, "unknown_service" without one (as the resource conventions
// have it).
[[nodiscard]] std::string_view service_name(const model::Span& span);

// "internal", "server", "client", "producer" or "consumer".
[[nodiscard]] std::string_view kind_name(model::SpanKind kind);

[[nodiscard]] uint64_t duration_ns(const model::Span& span);

}  // namespace zerospan::viewer
