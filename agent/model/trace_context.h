// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Trace and span identity (W3C Trace Context, https://www.w3.org/TR/trace-context/). Plain values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace zerospan::model {

// Bytes in network order: bytes[0] is the first pair of hex digits.
struct TraceId {
  std::array<uint8_t, 16> bytes{};
  [[nodiscard]] bool valid() const { return *this != TraceId{}; }
  auto operator<=>(const TraceId&) const = default;
  // The id whose bytes are `high`, then `low`, both in big-endian order.
  [[nodiscard]] static TraceId from_u64(uint64_t high, uint64_t low);
  [[nodiscard]] uint64_t low_u64() const;
};

struct SpanId {
  std::array<uint8_t, 8> bytes{};
  [[nodiscard]] bool valid() const { return *this != SpanId{}; }
  auto operator<=>(const SpanId&) const = default;
  // The id whose bytes are `value` in big-endian order.
  [[nodiscard]] static SpanId from_u64(uint64_t value);
  [[nodiscard]] uint64_t to_u64() const;
};

// Lower-case hex: 32 and 16 digits.
[[nodiscard]] std::string to_hex(const TraceId& id);
[[nodiscard]] std::string to_hex(const SpanId& id);

// What a peer told us about the trace that a message belongs to, in whatever header format it used.
struct RemoteContext {
  TraceId trace_id;
  SpanId span_id;
  // Unset: the peer deferred the decision (B3 without a sampling state, X-Ray "Sampled=?").
  std::optional<bool> sampled;
  std::string trace_state;  // W3C tracestate, already validated and joined; may be empty
};

// W3C Baggage entries, percent-decoded.
using Baggage = std::vector<std::pair<std::string, std::string>>;

}  // namespace zerospan::model
