// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/propagation/propagators.h"

#include <strings.h>

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

enum class Header : uint8_t {
  kTraceparent,
  kTracestate,
  kBaggage,
  kB3,
  kB3TraceId,
  kB3SpanId,
  kB3Sampled,
  kB3Flags,
  kUberTraceId,
  kAmznTraceId,
  kNone,
};
constexpr size_t kHeaders = static_cast<size_t>(Header::kNone);

constexpr std::array<std::string_view, kHeaders> kHeaderNames = {
    "traceparent",   "tracestate",      "baggage",      "b3",
    "x-b3-traceid",  "x-b3-spanid",     "x-b3-sampled", "x-b3-flags",
    "uber-trace-id", "x-amzn-trace-id",
};

constexpr uint32_t length_bit(Header header) {
  return 1U << kHeaderNames[static_cast<size_t>(header)].size();
}

uint32_t name_lengths_of(Format format) {
  switch (format) {
    case Format::kTraceContext:
      return length_bit(Header::kTraceparent) | length_bit(Header::kTracestate);
    case Format::kBaggage:
      return 0;  // read by its own pass
    case Format::kB3:
    case Format::kB3Multi:
      return length_bit(Header::kB3) | length_bit(Header::kB3TraceId) |
             length_bit(Header::kB3SpanId) | length_bit(Header::kB3Sampled) |
             length_bit(Header::kB3Flags);
    case Format::kJaeger:
      return length_bit(Header::kUberTraceId);
    case Format::kXray:
      return length_bit(Header::kAmznTraceId);
  }
  return 0;
}

// Names are compared without regard to case (RFC 9110 section 5.1). The first letter sorts out
// nearly all names of a fitting length before the comparison.
Header recognise(std::string_view name) {
  const char first = static_cast<char>(name.front() | 0x20);
  for (size_t i = 0; i < kHeaders; ++i) {
    const std::string_view candidate = kHeaderNames[i];
    if (candidate.front() == first && candidate.size() == name.size() &&
        strncasecmp(candidate.data(), name.data(), name.size()) == 0) {
      return static_cast<Header>(i);
    }
  }
  return Header::kNone;
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
  if (found.repeated(Header::kB3Sampled) || found.repeated(Header::kB3Flags)) {
    return std::nullopt;
  }
  return parse_b3_multi({.trace_id = found.only(Header::kB3TraceId),
                         .span_id = found.only(Header::kB3SpanId),
                         .sampled = found.only(Header::kB3Sampled),
                         .flags = found.only(Header::kB3Flags)});
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
      return parse_xray(found.only(Header::kAmznTraceId));
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
      name_lengths_ |= name_lengths_of(format);
    }
  }
}

std::optional<model::RemoteContext> Propagators::extract(const model::HeaderBlock& headers) const {
  Found found;
  bool any = false;
  for (size_t i = 0; i < headers.size(); ++i) {
    const model::HeaderView field = headers[i];
    if (field.name.size() >= 32 || (name_lengths_ >> field.name.size() & 1U) == 0) {
      continue;
    }
    const Header header = recognise(field.name);
    if (header == Header::kNone) {
      continue;
    }
    Found::Field& slot = found.fields[static_cast<size_t>(header)];
    if (header == Header::kTracestate && slot.count < kMaxTracestateFields) {
      found.tracestate[slot.count] = field.value;
    }
    slot.value = field.value;
    ++slot.count;
    any = true;
  }
  if (!any) {
    return std::nullopt;
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
  if (!baggage_) {
    return baggage;
  }
  size_t budget = kMaxBaggageBytes;
  for (size_t i = 0; i < headers.size(); ++i) {
    const model::HeaderView field = headers[i];
    if (field.name.size() == 7 && recognise(field.name) == Header::kBaggage) {
      parse_baggage(field.value, budget, baggage);
    }
  }
  return baggage;
}

}  // namespace zerospan::propagation
