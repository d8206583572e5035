// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Reads the trace context and the baggage that a peer sent with a request. The agent only reads, so
// of each propagation format there is the extracting half.
//
// Immutable once made: any thread may call the const members of one object at once. Every function
// is total: header fields are hostile bytes, and a field that breaks its format's rules counts as
// absent. Nothing is allocated for a message that carries no context.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/result.h"
#include "agent/model/exchange.h"
#include "agent/model/trace_context.h"

namespace zerospan::propagation {

// Named as OTEL_PROPAGATORS names them
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
enum class Format : uint8_t {
  kTraceContext,  // https://www.w3.org/TR/trace-context/ (Recommendation of 23 November 2021)
  kBaggage,       // https://www.w3.org/TR/baggage/
  kB3,            // https://github.com/openzipkin/b3-propagation
  kB3Multi,  // reads what kB3 reads: OpenTelemetry wants both to accept the single and the multiple
             // header form, the single one first; they differ only in what they would send
  kJaeger,   // https://www.jaegertracing.io/docs/1.76/architecture/apis/ "uber-trace-id"
  kXray,     // https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html, tracing header
};

struct FormatName {
  std::string_view name;
  Format format;
};

// Every format that there is; "none" is not among them.
[[nodiscard]] std::span<const FormatName> format_names();

// The formats for a list of OTEL_PROPAGATORS names. "none" stands alone and gives the empty list. A
// name given twice counts once. An unknown name is an error that lists the known ones.
[[nodiscard]] Result<std::vector<Format>> parse_formats(std::span<const std::string> names);

class Propagators {
 public:
  struct Options {
    std::vector<Format> formats = {Format::kTraceContext, Format::kBaggage};
  };

  explicit Propagators(Options options);

  // The context of the first format, in the order of the options, whose headers are valid. Of a
  // header that must be single and is not (two `traceparent` fields), none is believed: a wrong
  // parent is worse than none. B3's decision-only forms ("0", "1", "d") name no trace and give
  // nothing.
  [[nodiscard]] std::optional<model::RemoteContext> extract(
      const model::HeaderBlock& headers) const {
    return headers.has_any(headers_) ? extract_present(headers) : std::nullopt;
  }

  // The entries of all `baggage` fields, percent-decoded, without their properties; empty unless
  // Format::kBaggage is configured. At most 64 entries and 8192 bytes are read; of a key that is
  // given twice the last value stays; a malformed entry is skipped. Values are valid UTF-8.
  [[nodiscard]] model::Baggage extract_baggage(const model::HeaderBlock& headers) const;

 private:
  [[nodiscard]] std::optional<model::RemoteContext> extract_present(
      const model::HeaderBlock& headers) const;

  std::vector<Format> formats_;  // without kBaggage
  bool baggage_ = false;
  uint32_t headers_ = 0;  // model::header_bit() of those that we look for
};

}  // namespace zerospan::propagation
