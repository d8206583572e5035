// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Spans of gRPC calls and of HTTP/2 exchanges.

#include "agent/spans/grpc_span.h"

#include <gtest/gtest.h>

#include "agent/spans/span_builder.h"
#include "agent/spans/test_exchange.h"

namespace zerospan::spans {
namespace {

using model::Outcome;
using model::Role;
using testing::Headers;
using testing::make_connection;
using testing::make_exchange;

std::string to_string(const model::AttributeView& value) {
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    return std::string(*text);
  }
  if (const auto* number = std::get_if<int64_t>(&value)) {
    return "#" + std::to_string(*number);
  }
  if (const auto* number = std::get_if<double>(&value)) {
    return "#" + std::to_string(*number);
  }
  std::string out;
  for (const std::string_view item : std::get<std::vector<std::string_view>>(value)) {
    out.append(out.empty() ? "" : "|").append(item);
  }
  return out;
}

std::string attribute(const model::Span& span, std::string_view key) {
  for (const model::Attribute& candidate : span.attributes) {
    if (candidate.key == key) {
      return to_string(candidate.value);
    }
  }
  return "(none)";
}

model::HttpExchange& http_of(model::Exchange& exchange) {
  return std::get<model::HttpExchange>(exchange.payload);
}

model::Exchange make_http2(Role role, std::string method, std::string target, uint16_t status) {
  model::Exchange exchange = make_exchange(role, std::move(method), std::move(target), status,
                                           {{"host", "shop.example:8443"}});
  http_of(exchange).version_major = 2;
  http_of(exchange).version_minor = 0;
  http_of(exchange).scheme = "http";
  return exchange;
}

model::Exchange make_call(Role role, std::optional<uint32_t> status) {
  model::Exchange exchange = make_http2(role, "POST", "/pkg.Shop/Buy", 200);
  http_of(exchange).grpc.emplace();
  http_of(exchange).grpc->status = status;
  http_of(exchange).grpc->requests.count = 1;
  http_of(exchange).grpc->responses.count = 4;
  return exchange;
}

model::Span build(const model::Exchange& exchange) {
  auto builder = SpanBuilder::make({});
  EXPECT_TRUE(builder);
  model::Span span;
  builder->build(exchange, make_connection(exchange.role), {}, {}, nullptr, {}, span);
  return span;
}

std::string describe(const model::Span& span) {
  std::string out = span.name;
  out += span.status == model::StatusCode::kError ? ", error\n" : ", unset\n";
  for (const model::Attribute& one : span.attributes) {
    out += std::string(one.key) + "=" + to_string(one.value) + "\n";
  }
  return out;
}

TEST(GrpcSpan, ServerCall) {
  model::Exchange exchange = make_call(Role::kServer, 0);
  http_of(exchange).grpc->timeout_ns = 250'000'000;
  EXPECT_EQ(describe(build(exchange)),
            "pkg.Shop/Buy, unset\n"
            "rpc.system.name=grpc\n"
            "rpc.method=pkg.Shop/Buy\n"
            "server.address=shop.example\n"
            "server.port=#8443\n"
            "network.peer.address=10.1.2.3\n"
            "network.peer.port=#51234\n"
            "rpc.response.status_code=OK\n"
            "zerospan.rpc.request.messages=#1\n"
            "zerospan.rpc.response.messages=#4\n"
            "zerospan.rpc.timeout=#0.250000\n");
}

TEST(GrpcSpan, ClientCallThatFails) {
  model::Exchange exchange = make_call(Role::kClient, 5);
  http_of(exchange).grpc->message = "no such\x01 thing";
  http_of(exchange).grpc->responses.exact = false;
  const model::Span span = build(exchange);
  EXPECT_EQ(describe(span),
            "pkg.Shop/Buy, error\n"
            "rpc.system.name=grpc\n"
            "rpc.method=pkg.Shop/Buy\n"
            "server.address=shop.example\n"
            "server.port=#8443\n"
            "network.peer.address=10.1.2.80\n"
            "network.peer.port=#8080\n"
            "rpc.response.status_code=NOT_FOUND\n"
            "zerospan.rpc.request.messages=#1\n"
            "error.type=NOT_FOUND\n");
  EXPECT_EQ(span.status_message, "no such\xEF\xBF\xBD thing");
}

TEST(GrpcSpan, WhatIsAnErrorOnWhichSide) {
  for (uint32_t status = 0; status <= 17; ++status) {
    EXPECT_EQ(is_grpc_error(status, false), status != 0);
    const bool server = status == 2 || status == 4 || (status >= 12 && status <= 15);
    EXPECT_EQ(is_grpc_error(status, true), server) << status;
  }
  EXPECT_EQ(grpc_status_name(16), "UNAUTHENTICATED");
  EXPECT_EQ(grpc_status_name(99), "99");
}

TEST(GrpcSpan, CapturedMetadata) {
  SpanBuilderOptions options;
  options.captured_request_headers = {"HOST"};
  auto builder = *SpanBuilder::make(std::move(options));
  model::Span span;
  builder.build(make_call(Role::kServer, 0), make_connection(Role::kServer), {}, {}, nullptr, {},
                span);
  EXPECT_EQ(attribute(span, "rpc.request.metadata.host"), "shop.example:8443");
  EXPECT_EQ(attribute(span, "http.request.header.host"), "(none)");
}

TEST(GrpcSpan, Resets) {
  const auto status_of = [](uint32_t code, bool by_requester, std::optional<uint64_t> timeout) {
    model::Exchange exchange = make_call(Role::kClient, std::nullopt);
    exchange.outcome = Outcome::kReset;
    http_of(exchange).reset = model::StreamReset{code, by_requester};
    http_of(exchange).grpc->timeout_ns = timeout;
    return attribute(build(exchange), "rpc.response.status_code");
  };
  EXPECT_EQ(status_of(8, true, std::nullopt), "CANCELLED");
  EXPECT_EQ(status_of(8, true, 1'000'000), "DEADLINE_EXCEEDED");  // the call took 2.5 ms
  EXPECT_EQ(status_of(8, true, 2'600'000), "DEADLINE_EXCEEDED");  // rounded, or sent late
  EXPECT_EQ(status_of(8, true, 2'700'000), "CANCELLED");
  EXPECT_EQ(status_of(8, false, 1'000'000), "CANCELLED");
  EXPECT_EQ(status_of(7, false, std::nullopt), "UNAVAILABLE");
  EXPECT_EQ(status_of(11, false, std::nullopt), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(status_of(1, false, std::nullopt), "INTERNAL");
}

TEST(GrpcSpan, WithoutAStatus) {
  model::Exchange exchange = make_call(Role::kClient, std::nullopt);
  EXPECT_EQ(attribute(build(exchange), "rpc.response.status_code"), "(none)");
  EXPECT_EQ(build(exchange).status, model::StatusCode::kUnset);
  http_of(exchange).status = 503;
  EXPECT_EQ(attribute(build(exchange), "rpc.response.status_code"), "UNAVAILABLE");
  exchange.outcome = Outcome::kClosedEarly;
  EXPECT_EQ(attribute(build(exchange), "error.type"), "connection_closed");
}

TEST(GrpcSpan, Methods) {
  model::Exchange exchange = make_call(Role::kServer, 12);
  EXPECT_EQ(build(exchange).name, "grpc");
  EXPECT_EQ(attribute(build(exchange), "rpc.method"), "_OTHER");
  EXPECT_EQ(attribute(build(exchange), "rpc.method_original"), "pkg.Shop/Buy");
  exchange.role = Role::kClient;
  EXPECT_EQ(build(exchange).name, "pkg.Shop/Buy");
  exchange = make_call(Role::kServer, 0);
  http_of(exchange).target.clear();
  exchange.incomplete = model::kFieldsUnknown;
  EXPECT_EQ(build(exchange).name, "grpc");
  EXPECT_EQ(attribute(build(exchange), "rpc.method"), "(none)");
  EXPECT_EQ(attribute(build(exchange), "zerospan.incomplete"), "fields_unknown");
}

TEST(Http2Span, IsAnHttpSpan) {
  model::Exchange exchange = make_http2(Role::kServer, "GET", "/a?b=1", 200);
  http_of(exchange).scheme = "https";
  const model::Span span = build(exchange);
  EXPECT_EQ(span.name, "GET");
  EXPECT_EQ(attribute(span, "network.protocol.version"), "2");
  EXPECT_EQ(attribute(span, "url.scheme"), "https");
  EXPECT_EQ(attribute(span, "url.path"), "/a");
  EXPECT_EQ(attribute(span, "url.query"), "b=1");
  EXPECT_EQ(attribute(span, "server.address"), "shop.example");
  EXPECT_EQ(attribute(span, "server.port"), "#8443");
  EXPECT_EQ(attribute(build(make_http2(Role::kClient, "GET", "/a", 200)), "url.full"),
            "http://shop.example:8443/a");
}

TEST(Http2Span, Reset) {
  model::Exchange exchange = make_http2(Role::kClient, "GET", "/a", 0);
  exchange.outcome = Outcome::kReset;
  EXPECT_EQ(attribute(build(exchange), "error.type"), "connection_reset");
  http_of(exchange).reset = model::StreamReset{8, true};
  EXPECT_EQ(attribute(build(exchange), "error.type"), "CANCEL");
  http_of(exchange).reset->code = 77;
  EXPECT_EQ(attribute(build(exchange), "error.type"), "stream_reset");
}

TEST(Http2Span, UnknownMethodAndTarget) {
  model::Exchange exchange = make_http2(Role::kServer, "", "", 200);
  exchange.incomplete = model::kFieldsUnknown;
  const model::Span span = build(exchange);
  EXPECT_EQ(span.name, "HTTP");
  EXPECT_EQ(attribute(span, "http.request.method_original"), "(none)");
  EXPECT_EQ(attribute(span, "url.path"), "(none)");
}

}  // namespace
}  // namespace zerospan::spans
