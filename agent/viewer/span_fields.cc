// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/viewer/span_fields.h"

#include <algorithm>

namespace zerospan::viewer {

const model::AttributeValue* find_attribute(const model::Span& span, std::string_view key) {
  const auto found = std::find_if(span.attributes.begin(), span.attributes.end(),
                                  [&](const model::Attribute& a) { return a.key == key; });
  return found == span.attributes.end() ? nullptr : &found->value;
}

std::string_view text_attribute(const model::Span& span, std::string_view key) {
  const auto* value = find_attribute(span, key);
  const auto* text = value == nullptr ? nullptr : std::get_if<std::string>(value);
  return text == nullptr ? std::string_view{} : std::string_view(*text);
}

int64_t int_attribute(const model::Span& span, std::string_view key) {
  const auto* value = find_attribute(span, key);
  const auto* number = value == nullptr ? nullptr : std::get_if<int64_t>(value);
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
