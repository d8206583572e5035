// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The grammars of the single propagation headers: text in, context out. Pure, total, thread-safe.
// Arguments are header values; white space around them is ignored.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "agent/model/trace_context.h"

namespace zerospan::propagation {

// W3C Trace Context, section 3.2. The result has no trace_state yet.
[[nodiscard]] std::optional<model::RemoteContext> parse_traceparent(std::string_view value);

// W3C Trace Context, section 3.3: the fields of all `tracestate` headers, in order, as one list.
// Empty when any member is malformed or there are more than 32. Of a key that comes twice the first
// (most recent) member stays. What is over 512 characters is shortened as section 3.3.1.5 says:
// members longer than 128 characters go first, then members from the end.
[[nodiscard]] std::string join_tracestate(std::span<const std::string_view> values);

// The single `b3` header: {trace id}-{span id}[-{state}[-{parent span id}]].
[[nodiscard]] std::optional<model::RemoteContext> parse_b3_single(std::string_view value);

struct B3Headers {
  std::string_view trace_id;
  std::string_view span_id;
  std::string_view sampled;  // empty: absent
  std::string_view flags;    // empty: absent
};
[[nodiscard]] std::optional<model::RemoteContext> parse_b3_multi(const B3Headers& headers);

// `uber-trace-id`: {trace id}:{span id}:{parent span id}:{flags}, the colons perhaps as %3A.
[[nodiscard]] std::optional<model::RemoteContext> parse_jaeger(std::string_view value);

// `X-Amzn-Trace-Id`: Root=1-{8 hex}-{24 hex};Parent={16 hex};Sampled={0,1,?}, in any order.
[[nodiscard]] std::optional<model::RemoteContext> parse_xray(std::string_view value);

// W3C Baggage, section 3: adds the members of one field's value to `out`. `budget` is how many
// bytes of the header may still be read; what is over it is not.
void parse_baggage(std::string_view value, size_t& budget, model::Baggage& out);

}  // namespace zerospan::propagation
