// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What a receiver answers to an export: partial success, and how long to wait before a retry
// (https://opentelemetry.io/docs/specs/otlp/). The bytes are a peer's and may be anything; every
// function here is total and bounded by its input, which transports cap. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace zerospan::otlp {

enum class Encoding : uint8_t { kProtobuf = 0, kJson = 1 };

struct PartialSuccess {
  uint64_t rejected_spans = 0;  // as the peer says; may be more than were sent
  std::string message;          // for the operator; at most 1 KiB
};

// Decodes an ExportTraceServiceResponse. Empty bytes are a full success. nullopt: not decodable.
[[nodiscard]] std::optional<PartialSuccess> decode_export_response(Encoding encoding,
                                                                   std::string_view bytes);

// The google.rpc.RetryInfo inside a serialised google.rpc.Status: the value of gRPC's trailer
// grpc-status-details-bin, or an OTLP/HTTP error body. nullopt: none, or not decodable. Never
// negative; at most a day.
[[nodiscard]] std::optional<std::chrono::milliseconds> retry_delay_from_status(
    std::string_view status_bytes);

// The value of HTTP's Retry-After (RFC 9110 section 10.2.3): seconds, or an IMF-fixdate that is
// compared with `now`. nullopt: neither. Never negative; at most a day.
[[nodiscard]] std::optional<std::chrono::milliseconds> retry_delay_from_header(
    std::string_view value, std::chrono::system_clock::time_point now);

}  // namespace zerospan::otlp
