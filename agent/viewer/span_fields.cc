// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/viewer/span_fields.h"

namespace zerospan::viewer {

std::optional<model::AttributeView> find_attribute(const model::Span& span, std::string_view key) {
  for (size_t i = 0; i < span.attributes.size(); ++i) {
    if (span.attributes.key(i) == key) {
      return span.attributes.value(i);
    }
  }
  return std::nullopt;
}

std::string_view text_attribute(const model::Span& span, std::string_view key) {
  const auto value = find_attribute(span, key);
  const auto* text = value ? std::get_if<std::string_view>(&*value) : nullptr;
  return text == nullptr ? std::string_view{} : *text;
}

int64_t int_attribute(const model::Span& span, std::string_view key) {
  const auto value = find_attribute(span, key);
  const auto* number = value ? std::get_if<int64_t>(&*value) : nullptr;
  return number == nullptr ? 0 : *number;
}

std::string_view service_name(const model::Span& span) {
  if (span.resource != nullptr) {
    for (const model::ResourceAttribute& attribute : span.resource->attributes) {
      if (attribute.key == "service.name") {
        if (const auto* text = std::get_if<std::string>(&attribute.value)) {
          return *text;
        }
      }
    }
  }
  return "unknown_service";
}

std::string_view kind_name(model::SpanKind kind) {
  switch (kind) {
    case model::SpanKind::kServer:
      return "server";
    case model::SpanKind::kClient:
      return "client";
    case model::SpanKind::kProducer:
      return "producer";
    case model::SpanKind::kConsumer:
      return "consumer";
    case model::SpanKind::kInternal:
      break;
  }
  return "internal";
}

uint64_t duration_ns(const model::Span& span) {
  return span.end_unix_ns > span.start_unix_ns ? span.end_unix_ns - span.start_unix_ns : 0;
}

}  // namespace zerospan::viewer
