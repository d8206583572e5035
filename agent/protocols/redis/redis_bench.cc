// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Exchanges per second and core: GET and SET, alone and 16 at once, each request and each answer
// whole in one operation.
#include <benchmark/benchmark.h>

#include "agent/protocols/redis/testing.h"

namespace zerospan::protocols::redis {
namespace {

class Sink final : public ExchangeSink {
 public:
  void on_request(const RequestStart& start) override { benchmark::DoNotOptimize(start.db); }
  void on_exchange(model::Exchange&& exchange) override {
    benchmark::DoNotOptimize(exchange.response_end_ns);
  }
};

void exchanges(benchmark::State& state, const std::string& request, const std::string& response) {
  const auto pipelined = static_cast<size_t>(state.range(0));
  std::string requests;
  std::string responses;
  for (size_t i = 0; i < pipelined; ++i) {
    requests += request;
    responses += response;
  }
  model::Connection connection;
  connection.role = model::Role::kServer;
  connection.seen_from_start = true;
  ParserCounters counters;
  Connection parser(connection, {}, &counters);
  Sink sink;
  uint64_t now = 1000;
  uint64_t offsets[2] = {0, 0};
  const auto feed = [&](bool receive, const std::string& bytes) {
    model::Chunk chunk;
    chunk.direction = receive ? model::Direction::kReceive : model::Direction::kSend;
    chunk.offset = offsets[receive ? 0 : 1];
    chunk.length = static_cast<uint32_t>(bytes.size());
    chunk.head = bytes;
    chunk.time_ns = chunk.departed_ns = now += 1000;
    chunk.request_id = now;
    benchmark::DoNotOptimize(parser.on_chunk(chunk, sink));
    offsets[receive ? 0 : 1] += bytes.size();
  };
  for (auto _ : state) {
    feed(true, requests);
    feed(false, responses);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(pipelined));
}

void get(benchmark::State& state) {
  exchanges(state, command({"GET", "key:000000012345"}), bulk("xxx"));
}
BENCHMARK(get)->Arg(1)->Arg(16);

void set(benchmark::State& state) {
  exchanges(state, command({"SET", "key:000000012345", "xxx"}), "+OK\r\n");
}
BENCHMARK(set)->Arg(1)->Arg(16);

}  // namespace
}  // namespace zerospan::protocols::redis
