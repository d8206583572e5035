// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Cost of encoding one twelve-attribute span: straight to the wire against libprotobuf's objects.
#include <benchmark/benchmark.h>
#include <google/protobuf/arena.h>

#include "exporter/otlp/json_encoder.h"
#include "exporter/otlp/protobuf_encoder.h"
#include "exporter/otlp/test_spans.h"

namespace zerospan::otlp {
namespace {

constexpr size_t kBatch = 512;

std::vector<model::Span> batch() {
  std::vector<model::Span> spans;
  for (uint64_t i = 0; i < kBatch; ++i) {
    spans.push_back(testing::typical_span(i));
  }
  return spans;
}

void per_span(benchmark::State& state) {
  state.counters["time_per_span"] =
      benchmark::Counter(static_cast<double>(state.iterations() * kBatch),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void straight_to_the_wire(benchmark::State& state) {
  const auto spans = batch();
  ProtobufEncoder encoder(Scope{"zerospan", "0.1.0"});
  for (auto _ : state) {
    benchmark::DoNotOptimize(encoder.encode(spans));
  }
  per_span(state);
}
BENCHMARK(straight_to_the_wire);

void through_libprotobuf(benchmark::State& state) {
  const auto spans = batch();
  std::string out;
  for (auto _ : state) {
    testing::to_message(spans, "0.1.0").SerializeToString(&out);
    benchmark::DoNotOptimize(out);
  }
  per_span(state);
}
BENCHMARK(through_libprotobuf);

void json(benchmark::State& state) {
  const auto spans = batch();
  JsonEncoder encoder(Scope{"zerospan", "0.1.0"});
  for (auto _ : state) {
    benchmark::DoNotOptimize(encoder.encode(spans));
  }
  per_span(state);
}
BENCHMARK(json);

}  // namespace
}  // namespace zerospan::otlp
