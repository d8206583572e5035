// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// A finished span and the resource that made it, in OpenTelemetry's data model
// (https://opentelemetry.io/docs/specs/otel/trace/api/, .../specs/otlp/). Plain values, cheap to
// move.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/model/attributes.h"
#include "agent/model/trace_context.h"

namespace zerospan::model {

struct ResourceAttribute {
  std::string key;
  AttributeValue value;

  bool operator==(const ResourceAttribute&) const = default;
};

// Immutable once made; shared by all spans of one process.
struct Resource {
  uint64_t id =
      0;  // distinct for distinct resources in one run; lets an exporter group and cache by it
  std::vector<ResourceAttribute> attributes;
};

enum class SpanKind : uint8_t {
  kInternal = 1,
  kServer = 2,
  kClient = 3,
  kProducer = 4,
  kConsumer = 5
};

enum class StatusCode : uint8_t { kUnset = 0, kOk = 1, kError = 2 };

struct Link {
  TraceId trace_id;
  SpanId span_id;
  std::string trace_state;
  Attributes attributes;
};

struct Event {
  uint64_t time_unix_ns = 0;
  std::string name;
  Attributes attributes;
};

struct Span {
  TraceId trace_id;
  SpanId span_id;
  SpanId parent_span_id;          // invalid (all zero): a root
  bool parent_is_remote = false;  // meaningful with a parent
  bool sampled = true;            // W3C trace-flags bit 0
  std::string trace_state;
  std::string name;
  SpanKind kind = SpanKind::kInternal;
  uint64_t start_unix_ns = 0;
  uint64_t end_unix_ns = 0;
  StatusCode status = StatusCode::kUnset;
  std::string status_message;
  Attributes attributes;
  std::vector<Event> events;
  std::vector<Link> links;
  std::shared_ptr<const Resource> resource;
};

}  // namespace zerospan::model
