// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Spans for tests and benchmarks: the typical one, and random ones that reach every field.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "agent/model/span.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb.h"

namespace zerospan::otlp::testing {

// An HTTP server span with twelve attributes.
[[nodiscard]] model::Span typical_span(uint64_t number);

// Every field may be empty, at its limit or ill-formed UTF-8 (bad_utf8).
[[nodiscard]] std::vector<model::Span> random_spans(std::minstd_rand& random, bool bad_utf8);

// The same request built field by field through the generated classes, for spans whose strings are
// valid UTF-8 and whose resources have distinct ids.
[[nodiscard]] opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest to_message(
    const std::vector<model::Span>& spans, const std::string& scope_version);

}  // namespace zerospan::otlp::testing
