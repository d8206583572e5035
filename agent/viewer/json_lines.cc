// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/viewer/json_lines.h"

#include <fmt/format.h>

#include <ctime>
#include <nlohmann/json.hpp>
#include <utility>

#include "agent/viewer/span_fields.h"

namespace zerospan::viewer {

namespace {

using Json = nlohmann::ordered_json;

// RFC 3339 in UTC, with nanoseconds.
std::string utc_time(uint64_t unix_ns) {
  const auto seconds = static_cast<time_t>(unix_ns / 1'000'000'000);
  tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     unix_ns % 1'000'000'000);
}

template <typename Value>  // an AttributeValue or an AttributeView
Json to_json(const Value& value) {
  return std::visit([](const auto& held) { return Json(held); }, value);
}

}  // namespace

std::string json_line(const model::Span& span) {
  Json json;
  json["time"] = utc_time(span.start_unix_ns);
  json["service"] = service_name(span);
  json["kind"] = kind_name(span.kind);
  json["name"] = span.name;
  json["duration_ns"] = duration_ns(span);
  json["status"] = span.status == model::StatusCode::kError ? "error"
                   : span.status == model::StatusCode::kOk  ? "ok"
                                                            : "unset";
  json["trace_id"] = model::to_hex(span.trace_id);
  json["span_id"] = model::to_hex(span.span_id);
  if (span.parent_span_id.valid()) {
    json["parent_span_id"] = model::to_hex(span.parent_span_id);
    json["parent_is_remote"] = span.parent_is_remote;
  }
  Json attributes = Json::object();
  for (const model::Attribute& attribute : span.attributes) {
    attributes[std::string(attribute.key)] = to_json(attribute.value);
  }
  json["attributes"] = std::move(attributes);
  Json resource = Json::object();
  if (span.resource != nullptr) {
    for (const model::ResourceAttribute& attribute : span.resource->attributes) {
      resource[attribute.key] = to_json(attribute.value);
    }
  }
  json["resource"] = std::move(resource);
  return json.dump(-1, ' ', true, Json::error_handler_t::replace) + '\n';
}

}  // namespace zerospan::viewer
