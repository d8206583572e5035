// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "exporter/otlp/test_spans.h"

#include <array>
#include <cmath>
#include <limits>
#include <map>

namespace zerospan::otlp::testing {
namespace {

namespace trace = opentelemetry::proto::trace::v1;
namespace common = opentelemetry::proto::common::v1;

std::string random_text(std::minstd_rand& random, bool bad_utf8) {
  static const std::array<std::string, 12> kPieces = {"",
                                                      "a",
                                                      "GET",
                                                      "/orders/{id}",
                                                      "\xC3\xA9",
                                                      "\xE2\x82\xAC",
                                                      "\"\\",
                                                      "\n\t\r\x01",
                                                      "\x7F</s>",
                                                      "0123456789",
                                                      "\xF0\x9F\x98\x80",
                                                      "long text with spaces"};
  static const std::array<std::string, 5> kBad = {"\xFF", "\xC3", "\xE2\x82", "\xED\xA0\x80",
                                                  "\x80"};
  std::string text;
  const size_t pieces = random() % 5;
  for (size_t i = 0; i < pieces; ++i) {
    text += kPieces[random() % kPieces.size()];
    if (bad_utf8 && random() % 3 == 0) {
      text += kBad[random() % kBad.size()];
    }
  }
  if (random() % 50 == 0) {
    text.append(random() % 40000, 'x');
  }
  if (random() % 20 == 0) {
    text += '\0';
  }
  return text;
}

int64_t random_int(std::minstd_rand& random) {
  static const std::array<int64_t, 8> kEdges = {0, -1, 1, 127, 128, 16384, INT64_MAX, INT64_MIN};
  return kEdges[random() % kEdges.size()];
}

model::AttributeValue random_value(std::minstd_rand& random, bool bad_utf8) {
  static const std::array<double, 7> kDoubles = {0.0,
                                                 -0.5,
                                                 1e300,
                                                 3.0,
                                                 std::numeric_limits<double>::infinity(),
                                                 -std::numeric_limits<double>::infinity(),
                                                 0.1};
  switch (random() % 5) {
    case 0:
      return random_text(random, bad_utf8);
    case 1:
      return random_int(random);
    case 2:
      return kDoubles[random() % kDoubles.size()];
    case 3:
      return random() % 2 == 0;
    default: {
      std::vector<std::string> list(random() % 4);
      for (std::string& element : list) {
        element = random_text(random, bad_utf8);
      }
      return list;
    }
  }
}

model::Attributes random_attributes(std::minstd_rand& random, bool bad_utf8) {
  static const std::array<std::string_view, 5> kKeys = {"http.request.method", "", "k\xC3\xA9y",
                                                        "url.path", "a\"b"};
  model::Attributes attributes;
  const size_t count = random() % 8;
  for (size_t i = 0; i < count; ++i) {
    const std::string_view key = kKeys[random() % kKeys.size()];
    attributes.add(key, random_value(random, bad_utf8));
  }
  return attributes;
}

template <typename Id>
Id random_id(std::minstd_rand& random) {
  Id id;
  for (uint8_t& byte : id.bytes) {
    byte = static_cast<uint8_t>(random());
  }
  return id;
}

uint64_t random_time(std::minstd_rand& random) {
  return random() % 10 == 0 ? 0 : 1'700'000'000'000'000'000ULL + random();
}

template <typename Value>  // an AttributeValue or an AttributeView
void set_value(const Value& value, common::AnyValue& out) {
  using Text = std::variant_alternative_t<0, Value>;
  if (const auto* text = std::get_if<Text>(&value)) {
    out.set_string_value(std::string(*text));
  } else if (const auto* number = std::get_if<int64_t>(&value)) {
    out.set_int_value(*number);
  } else if (const auto* real = std::get_if<double>(&value)) {
    out.set_double_value(*real);
  } else if (const auto* truth = std::get_if<bool>(&value)) {
    out.set_bool_value(*truth);
  } else {
    auto& array = *out.mutable_array_value();
    for (const Text& element : std::get<std::vector<Text>>(value)) {
      array.add_values()->set_string_value(std::string(element));
    }
  }
}

template <typename Attributes, typename Message>
void add_attributes(const Attributes& attributes, Message& out) {
  for (const auto& attribute : attributes) {
    auto& pair = *out.add_attributes();
    pair.set_key(std::string(attribute.key));
    set_value(attribute.value, *pair.mutable_value());
  }
}

template <typename Id>
std::string id_bytes(const Id& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

void fill(const model::Span& span, trace::Span& out) {
  out.set_trace_id(id_bytes(span.trace_id));
  out.set_span_id(id_bytes(span.span_id));
  if (span.parent_span_id.valid()) {
    out.set_parent_span_id(id_bytes(span.parent_span_id));
  }
  uint32_t flags = trace::SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK;
  if (span.sampled) {
    flags |= 1;
  }
  if (span.parent_span_id.valid() && span.parent_is_remote) {
    flags |= trace::SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK;
  }
  out.set_flags(flags);
  out.set_trace_state(span.trace_state);
  out.set_name(span.name);
  out.set_kind(static_cast<trace::Span::SpanKind>(span.kind));
  out.set_start_time_unix_nano(span.start_unix_ns);
  out.set_end_time_unix_nano(span.end_unix_ns);
  add_attributes(span.attributes, out);
  for (const model::Event& event : span.events) {
    auto& made = *out.add_events();
    made.set_time_unix_nano(event.time_unix_ns);
    made.set_name(event.name);
    add_attributes(event.attributes, made);
  }
  for (const model::Link& link : span.links) {
    auto& made = *out.add_links();
    made.set_trace_id(id_bytes(link.trace_id));
    made.set_span_id(id_bytes(link.span_id));
    made.set_trace_state(link.trace_state);
    add_attributes(link.attributes, made);
  }
  if (span.status != model::StatusCode::kUnset || !span.status_message.empty()) {
    out.mutable_status()->set_code(static_cast<trace::Status::StatusCode>(span.status));
    out.mutable_status()->set_message(span.status_message);
  }
}

}  // namespace

model::Span typical_span(uint64_t number) {
  static const auto kResource = std::make_shared<const model::Resource>(
      model::Resource{1,
                      {{"service.name", std::string("shop")},
                       {"process.pid", int64_t{4711}},
                       {"host.name", std::string("node-1")},
                       {"telemetry.sdk.name", std::string("zerospan")}}});
  model::Span span;
  span.trace_id.bytes.fill(static_cast<uint8_t>(number * 7 + 1));
  span.span_id = model::SpanId::from_u64(number + 1);
  span.parent_span_id = model::SpanId::from_u64(number + 2);
  span.parent_is_remote = true;
  span.name = "GET /orders/{id}";
  span.kind = model::SpanKind::kServer;
  span.start_unix_ns = 1'700'000'000'000'000'000ULL + number;
  span.end_unix_ns = span.start_unix_ns + 1'500'000;
  span.attributes = {{"http.request.method", std::string("GET")},
                     {"http.response.status_code", int64_t{200}},
                     {"http.route", std::string("/orders/{id}")},
                     {"url.path", std::string("/orders/") + std::to_string(number)},
                     {"url.scheme", std::string("http")},
                     {"server.address", std::string("shop.example.org")},
                     {"server.port", int64_t{8080}},
                     {"client.address", std::string("192.0.2.17")},
                     {"network.peer.address", std::string("192.0.2.17")},
                     {"network.peer.port", int64_t{50412}},
                     {"network.protocol.version", std::string("1.1")},
                     {"user_agent.original", std::string("curl/7.88.1")}};
  span.resource = kResource;
  return span;
}

std::vector<model::Span> random_spans(std::minstd_rand& random, bool bad_utf8) {
  std::vector<std::shared_ptr<const model::Resource>> resources = {nullptr};
  const size_t resource_count = random() % 4;
  for (size_t i = 0; i < resource_count; ++i) {
    auto resource = std::make_shared<model::Resource>();
    resource->id = i + 1;
    const size_t count = random() % 5;
    for (size_t j = 0; j < count; ++j) {
      resource->attributes.push_back(
          {random_text(random, bad_utf8), random_value(random, bad_utf8)});
    }
    resources.push_back(std::move(resource));
  }
  std::vector<model::Span> spans(random() % 12);
  for (model::Span& span : spans) {
    span.trace_id = random_id<model::TraceId>(random);
    span.span_id = random_id<model::SpanId>(random);
    if (random() % 2 == 0) {
      span.parent_span_id = random_id<model::SpanId>(random);
    }
    span.parent_is_remote = random() % 2 == 0;
    span.sampled = random() % 2 == 0;
    span.trace_state = random_text(random, bad_utf8);
    span.name = random_text(random, bad_utf8);
    span.kind = static_cast<model::SpanKind>(1 + random() % 5);
    span.start_unix_ns = random_time(random);
    span.end_unix_ns = random_time(random);
    span.status = static_cast<model::StatusCode>(random() % 3);
    span.status_message = random_text(random, bad_utf8);
    span.attributes = random_attributes(random, bad_utf8);
    const size_t events = random() % 3;
    for (size_t i = 0; i < events; ++i) {
      span.events.push_back({random_time(random), random_text(random, bad_utf8),
                             random_attributes(random, bad_utf8)});
    }
    const size_t links = random() % 3;
    for (size_t i = 0; i < links; ++i) {
      span.links.push_back({random_id<model::TraceId>(random), random_id<model::SpanId>(random),
                            random_text(random, bad_utf8), random_attributes(random, bad_utf8)});
    }
    span.resource = resources[random() % resources.size()];
  }
  return spans;
}

opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest to_message(
    const std::vector<model::Span>& spans, const std::string& scope_version) {
  opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest request;
  std::map<const model::Resource*, trace::ScopeSpans*> scopes;
  for (const model::Span& span : spans) {
    trace::ScopeSpans*& scope = scopes[span.resource.get()];
    if (scope == nullptr) {
      trace::ResourceSpans& group = *request.add_resource_spans();
      if (span.resource != nullptr) {
        add_attributes(span.resource->attributes, *group.mutable_resource());
      }
      scope = group.add_scope_spans();
      scope->mutable_scope()->set_name("zerospan");
      scope->mutable_scope()->set_version(scope_version);
    }
    fill(span, *scope->add_spans());
  }
  return request;
}

}  // namespace zerospan::otlp::testing
