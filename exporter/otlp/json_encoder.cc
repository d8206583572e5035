// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "exporter/otlp/json_encoder.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>

#include "exporter/otlp/utf8.h"

namespace zerospan::otlp {
namespace {

template <typename T>
void append_number(T value, std::string& out) {
  std::array<char, 32> text{};
  const auto result = std::to_chars(text.data(), text.data() + text.size(), value);
  out.append(text.data(), result.ptr);
}

// Proto3's JSON mapping has the values that JSON has no number for as strings.
void append_double(double value, std::string& out) {
  if (std::isnan(value)) {
    out += "\"NaN\"";
  } else if (std::isinf(value)) {
    out += value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
  } else {
    append_number(value, out);
  }
}

// Proto3's JSON mapping has 64-bit integers as strings, because a JSON reader may know doubles
// only.
template <typename T>
void append_quoted_number(T value, std::string& out) {
  out += '"';
  append_number(value, out);
  out += '"';
}

// What an AttributeValue or an AttributeView can hold.
struct ValueAppender {
  std::string& out;

  void operator()(std::string_view text) const {
    out += "{\"stringValue\":";
    append_json_string(text, out);
    out += '}';
  }
  void operator()(int64_t value) const {
    out += "{\"intValue\":";
    append_quoted_number(value, out);
    out += '}';
  }
  void operator()(double value) const {
    out += "{\"doubleValue\":";
    append_double(value, out);
    out += '}';
  }
  void operator()(bool value) const {
    out += value ? "{\"boolValue\":true}" : "{\"boolValue\":false}";
  }
  template <typename Text>
  void operator()(const std::vector<Text>& texts) const {
    out += "{\"arrayValue\":{\"values\":[";
    const char* separator = "";
    for (const auto& text : texts) {
      out += separator;
      (*this)(std::string_view(text));
      separator = ",";
    }
    out += "]}}";
  }
};

template <typename Attributes>
void append_attributes(const Attributes& attributes, std::string& out) {
  out += "\"attributes\":[";
  const char* separator = "";
  for (const auto& attribute : attributes) {
    out += separator;
    out += "{\"key\":";
    append_json_string(attribute.key, out);
    out += ",\"value\":";
    std::visit(ValueAppender{out}, attribute.value);
    out += '}';
    separator = ",";
  }
  out += ']';
}

void append_ids(const model::TraceId& trace_id, const model::SpanId& span_id,
                const std::string& trace_state, std::string& out) {
  out += "\"traceId\":\"";
  out += model::to_hex(trace_id);
  out += "\",\"spanId\":\"";
  out += model::to_hex(span_id);
  out += '"';
  if (!trace_state.empty()) {
    out += ",\"traceState\":";
    append_json_string(trace_state, out);
  }
}

void append_span(const model::Span& span, std::string& out) {
  out += '{';
  append_ids(span.trace_id, span.span_id, span.trace_state, out);
  if (span.parent_span_id.valid()) {
    out += ",\"parentSpanId\":\"";
    out += model::to_hex(span.parent_span_id);
    out += '"';
  }
  out += ",\"flags\":";
  append_number(span_flags(span), out);
  out += ",\"name\":";
  append_json_string(span.name, out);
  out += ",\"kind\":";
  append_number(static_cast<int>(span.kind), out);
  out += ",\"startTimeUnixNano\":";
  append_quoted_number(span.start_unix_ns, out);
  out += ",\"endTimeUnixNano\":";
  append_quoted_number(span.end_unix_ns, out);
  if (!span.attributes.empty()) {
    out += ',';
    append_attributes(span.attributes, out);
  }
  if (!span.events.empty()) {
    out += ",\"events\":[";
    const char* separator = "";
    for (const model::Event& event : span.events) {
      out += separator;
      out += "{\"timeUnixNano\":";
      append_quoted_number(event.time_unix_ns, out);
      out += ",\"name\":";
      append_json_string(event.name, out);
      out += ',';
      append_attributes(event.attributes, out);
      out += '}';
      separator = ",";
    }
    out += ']';
  }
  if (!span.links.empty()) {
    out += ",\"links\":[";
    const char* separator = "";
    for (const model::Link& link : span.links) {
      out += separator;
      out += '{';
      append_ids(link.trace_id, link.span_id, link.trace_state, out);
      out += ',';
      append_attributes(link.attributes, out);
      out += '}';
      separator = ",";
    }
    out += ']';
  }
  if (span.status != model::StatusCode::kUnset || !span.status_message.empty()) {
    out += ",\"status\":{";
    if (!span.status_message.empty()) {
      out += "\"message\":";
      append_json_string(span.status_message, out);
      out += ',';
    }
    out += "\"code\":";
    append_number(static_cast<int>(span.status), out);
    out += '}';
  }
  out += '}';
}

}  // namespace

void append_json_string(std::string_view text, std::string& out) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string replaced;
  if (!is_valid_utf8(text)) {
    append_as_utf8(text, replaced);
    text = replaced;
  }
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      out += "\\u00";
      out += kHex[byte >> 4U];
      out += kHex[byte & 0x0FU];
    } else {
      out += c;
    }
  }
  out += '"';
}

std::string_view JsonEncoder::encode(std::span<const model::Span> spans) {
  out_.clear();
  out_ += "{\"resourceSpans\":[";
  const char* separator = "";
  for (const ResourceGroup& group : group_by_resource(spans)) {
    out_ += separator;
    out_ += '{';
    if (group.resource != nullptr) {
      out_ += "\"resource\":{";
      append_attributes(group.resource->attributes, out_);
      out_ += "},";
    }
    out_ += "\"scopeSpans\":[{\"scope\":{\"name\":";
    append_json_string(scope_.name, out_);
    out_ += ",\"version\":";
    append_json_string(scope_.version, out_);
    out_ += "},\"spans\":[";
    const char* span_separator = "";
    for (const model::Span* span : group.spans) {
      out_ += span_separator;
      append_span(*span, out_);
      span_separator = ",";
    }
    out_ += "]}]}";
    separator = ",";
  }
  out_ += "]}";
  return out_;
}

}  // namespace zerospan::otlp
