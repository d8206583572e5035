// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/propagation/propagators.h"

#include <algorithm>
#include <array>
#include <utility>

#include "agent/propagation/trace_headers.h"

namespace zerospan::propagation {

namespace {

constexpr std::array kFormatNames = {
    FormatName{"tracecontext", Format::kTraceContext},
    FormatName{"baggage", Format::kBaggage},
    FormatName{"b3", Format::kB3},
    FormatName{"b3multi", Format::kB3Multi},
    FormatName{"jaeger", Format::kJaeger},
    FormatName{"xray", Format::kXray},
};

constexpr size_t kMaxTracestateFields = 32;  // as many as there may be members
constexpr size_t kMaxBaggageBytes = 8192;

using Header = model::KnownHeader;
constexpr size_t kHeaders = static_cast<size_t>(Header::kOther);

uint32_t headers_of(Format format) {
  switch (format) {
    case Format::kTraceContext:
      return header_bit(Header::kTraceparent) | header_bit(Header::kTracestate);
    case Format::kBaggage:
      return 0;  // read by its own pass
    case Format::kB3:
    case Format::kB3Multi:
      return header_bit(Header::kB3) | header_bit(Header::kXB3TraceId) |
             header_bit(Header::kXB3SpanId) | header_bit(Header::kXB3Sampled) |
             header_bit(Header::kXB3Flags);
    case Format::kJaeger:
      return header_bit(Header::kUberTraceId);
    case Format::kXray:
      return header_bit(Header::kXAmznTraceId);
  }
  return 0;
}

struct Found {
  struct Field {
    std::string_view value;
    uint32_t count = 0;
  };
  std::array<Field, kHeaders> fields;
  std::array<std::string_view, kMaxTracestateFields> tracestate;

  [[nodiscard]] const Field& at(Header header) const { return fields[static_cast<size_t>(header)]; }
  // The value of a header that must come once; empty if it is absent or repeated.
  [[nodiscard]] std::string_view only(Header header) const {
    return at(header).count == 1 ? at(header).value : std::string_view();
  }
  [[nodiscard]] bool repeated(Header header) const { return at(header).count > 1; }
};

std::optional<model::RemoteContext> trace_context(const Found& found) {
  auto context = parse_traceparent(found.only(Header::kTraceparent));
  const size_t fields = found.at(Header::kTracestate).count;
  if (context && fields > 0 && fields <= kMaxTracestateFields) {
    context->trace_state = join_tracestate(std::span(found.tracestate).first(fields));
  }
  return context;
}

std::optional<model::RemoteContext> b3(const Found& found) {
  if (auto context = parse_b3_single(found.only(Header::kB3))) {
    return context;
  }
  if (found.repeated(Header::kXB3Sampled) || found.repeated(Header::kXB3Flags)) {
    return std::nullopt;
  }
  return parse_b3_multi({.trace_id = found.only(Header::kXB3TraceId),
                         .span_id = found.only(Header::kXB3SpanId),
                         .sampled = found.only(Header::kXB3Sampled),
                         .flags = found.only(Header::kXB3Flags)});
}

std::optional<model::RemoteContext> extract_format(Format format, const Found& found) {
  switch (format) {
    case Format::kTraceContext:
      return trace_context(found);
    case Format::kBaggage:
      return std::nullopt;
    case Format::kB3:
    case Format::kB3Multi:
      return b3(found);
    case Format::kJaeger:
      return parse_jaeger(found.only(Header::kUberTraceId));
    case Format::kXray:
      return parse_xray(found.only(Header::kXAmznTraceId));
  }
  return std::nullopt;
}

}  // namespace

std::span<const FormatName> format_names() {
  return kFormatNames;
}

Result<std::vector<Format>> parse_formats(std::span<const std::string> names) {
  if (names.size() == 1 && names.front() == "none") {
    return std::vector<Format>();
  }
  std::vector<Format> formats;
  for (const std::string& name : names) {
    const auto known = std::find_if(kFormatNames.begin(), kFormatNames.end(),
                                    [&](const FormatName& entry) { return entry.name == name; });
    if (known == kFormatNames.end()) {
      std::string list;
      for (const FormatName& entry : kFormatNames) {
        list += std::string(entry.name) + ", ";
      }
      return fail(ErrorCode::kInvalidArgument, "\"" + name + "\" is not a propagator; known are " +
                                                   list + "and none, which must stand alone.");
    }
    if (std::find(formats.begin(), formats.end(), known->format) == formats.end()) {
      formats.push_back(known->format);
    }
  }
  return formats;
}

Propagators::Propagators(Options options) {
  for (const Format format : options.formats) {
    if (format == Format::kBaggage) {
      baggage_ = true;
    } else {
      formats_.push_back(format);
      headers_ |= headers_of(format);
    }
  }
}

std::optional<model::RemoteContext> Propagators::extract_present(
    const model::HeaderBlock& headers) const {
  Found found;
  for (size_t i = 0; i < headers.size(); ++i) {
    const Header header = headers.known(i);
    if ((header_bit(header) & headers_) == 0) {
      continue;
    }
    const std::string_view value = headers[i].value;
    Found::Field& slot = found.fields[static_cast<size_t>(header)];
    if (header == Header::kTracestate && slot.count < kMaxTracestateFields) {
      found.tracestate[slot.count] = value;
    }
    slot.value = value;
    ++slot.count;
  }
  for (const Format format : formats_) {
    if (auto context = extract_format(format, found)) {
      return context;
    }
  }
  return std::nullopt;
}

model::Baggage Propagators::extract_baggage(const model::HeaderBlock& headers) const {
  model::Baggage baggage;
  if (!baggage_ || !headers.has_any(header_bit(Header::kBaggage))) {
    return baggage;
  }
  size_t budget = kMaxBaggageBytes;
  for (size_t i = 0; i < headers.size(); ++i) {
    if (headers.known(i) == Header::kBaggage) {
      parse_baggage(headers[i].value, budget, baggage);
    }
  }
  return baggage;
}

}  // namespace zerospan::propagation
