// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Makes spans for this folder's tests.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "agent/model/span.h"

namespace zerospan::viewer::testing {

constexpr uint64_t kMicrosecond = 1'000;
constexpr uint64_t kMillisecond = 1'000'000;
constexpr uint64_t kNoon = 1'700'049'600'000'000'000;  // 2023-11-15 12:00:00 UTC

inline std::shared_ptr<const model::Resource> make_resource(std::string service) {
  auto resource = std::make_shared<model::Resource>();
  resource->attributes.push_back({"service.name", std::move(service)});
  return resource;
}

struct SpanSpec {
  uint8_t trace = 1;
  uint64_t id = 1;
  uint64_t parent = 0;
  std::string service;
  model::SpanKind kind = model::SpanKind::kServer;
  std::string method = "GET";
  std::string target = "/";  // a path, for client spans host and path
  int64_t status = 200;      // 0: none
  uint64_t start_us = 0;     // after noon
  uint64_t duration_us = 1000;
  bool remote = false;
  std::string error;
};

inline model::Span make_span(const SpanSpec& spec) {
  model::Span span;
  span.trace_id.bytes[0] = spec.trace;
  span.span_id = model::SpanId::from_u64(spec.id);
  span.parent_span_id = model::SpanId::from_u64(spec.parent);
  span.parent_is_remote = spec.remote;
  span.name = spec.method;
  span.kind = spec.kind;
  span.start_unix_ns = kNoon + spec.start_us * kMicrosecond;
  span.end_unix_ns = span.start_unix_ns + spec.duration_us * kMicrosecond;
  span.resource = make_resource(spec.service);
  const bool server = spec.kind == model::SpanKind::kServer;
  span.attributes.add_text("http.request.method", spec.method);
  span.attributes.add_text(server ? "url.path" : "url.full",
                           server ? spec.target : "http://" + spec.target);
  if (!server) {
    span.attributes.add_text("server.address",
                             spec.target.substr(0, spec.target.find_first_of(":/")));
  }
  if (spec.status != 0) {
    span.attributes.add_int("http.response.status_code", spec.status);
  }
  if (!spec.error.empty()) {
    span.attributes.add_text("error.type", spec.error);
  }
  if (!spec.error.empty() || spec.status >= (server ? 500 : 400)) {
    span.status = model::StatusCode::kError;
  }
  return span;
}

}  // namespace zerospan::viewer::testing
