// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Exchanges per second and core: what pgbench -S sends, prepared and as simple queries, each
// request and each answer whole in one operation.
#include <benchmark/benchmark.h>

#include "agent/protocols/postgresql/testing.h"

namespace zerospan::protocols::postgresql {
namespace {

class Sink final : public ExchangeSink {
 public:
  void on_request(const RequestStart& start) override { benchmark::DoNotOptimize(start.db); }
  void on_exchange(model::Exchange&& exchange) override {
    benchmark::DoNotOptimize(exchange.response_end_ns);
  }
};

void exchanges(benchmark::State& state, const std::string& request, const std::string& response) {
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
  feed(true, startup());
  feed(false, ready());
  feed(true, parse("p", "SELECT abalance FROM pgbench_accounts WHERE aid = $1;") + sync());
  feed(false, message('1', "") + ready());
  for (auto _ : state) {
    feed(true, request);
    feed(false, response);
  }
  state.SetItemsProcessed(state.iterations());
}

void prepared(benchmark::State& state) {
  exchanges(state, bind("", "p") + message('D', std::string("P\0", 2)) + execute("") + sync(),
            message('2', "") + rows(1) + done("SELECT 1") + ready());
}
BENCHMARK(prepared);

void simple(benchmark::State& state) {
  exchanges(state, query("SELECT abalance FROM pgbench_accounts WHERE aid = 48213;"),
            rows(1) + done("SELECT 1") + ready());
}
BENCHMARK(simple);

}  // namespace
}  // namespace zerospan::protocols::postgresql
