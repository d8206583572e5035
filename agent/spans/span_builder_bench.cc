// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The goal is at most 0.5 us for a span in a release build.
#include <benchmark/benchmark.h>

#include <cstdlib>

#include "agent/spans/span_builder.h"
#include "agent/spans/test_exchange.h"

namespace zerospan::spans {
namespace {

const testing::Headers kHeaders = {
    {"Host", "shop.example:8080"},
    {"User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
    {"Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
    {"Accept-Language", "en-US,en;q=0.5"},
    {"Accept-Encoding", "gzip, deflate, br"},
    {"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
    {"Connection", "keep-alive"},
};

void run(benchmark::State& state, model::Role role, const SpanBuilderOptions& options) {
  auto builder = SpanBuilder::make(options);
  if (!builder) {
    std::abort();
  }
  const auto exchange = testing::make_exchange(
      role, "GET", "/api/v1/orders/8412345/items?page=2&sort=price", 200, kHeaders);
  const auto connection = testing::make_connection(role);
  const auto resource = std::make_shared<const model::Resource>();
  const ClockAnchor clock{1, 2};
  for (auto _ : state) {
    model::Span span;
    builder->build(exchange, connection, {}, clock, resource, {}, span);
    benchmark::DoNotOptimize(span);
  }
}

void server_span(benchmark::State& state) {
  run(state, model::Role::kServer, {});
}
BENCHMARK(server_span);

void client_span(benchmark::State& state) {
  run(state, model::Role::kClient, {});
}
BENCHMARK(client_span);

void server_span_100_templates(benchmark::State& state) {
  SpanBuilderOptions options;
  for (int i = 0; i < 100; ++i) {
    options.route_templates.push_back("/api/v1/kind" + std::to_string(i) + "/{id}/items");
  }
  options.route_templates.emplace_back("/api/v1/orders/{id}/items");
  run(state, model::Role::kServer, options);
}
BENCHMARK(server_span_100_templates);

void server_span_guessed_route(benchmark::State& state) {
  SpanBuilderOptions options;
  options.route_heuristic = RouteHeuristic::kName;
  run(state, model::Role::kServer, options);
}
BENCHMARK(server_span_guessed_route);

}  // namespace
}  // namespace zerospan::spans
