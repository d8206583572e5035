// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Parsing and pairing of one GET exchange on a keep-alive connection: a request head of 368 bytes
// with 8 fields and a response head of 250 bytes, each whole in one operation.

#include <benchmark/benchmark.h>

#include <string>
#include <utility>

#include "agent/protocols/http1/connection.h"

namespace zerospan::protocols::http1 {
namespace {

std::string request_head() {
  std::string head =
      "GET /api/v1/items/42?page=3&sort=name HTTP/1.1\r\n"
      "Host: shop.example.com\r\n"
      "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:102.0)\r\n"
      "Accept: text/html,application/json;q=0.9\r\n"
      "Accept-Language: en-GB,en;q=0.5\r\n"
      "Accept-Encoding: gzip, deflate, br\r\n"
      "Connection: keep-alive\r\n"
      "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"
      "Cookie: ";
  head.append(368 - 4 - head.size(), 'c');
  return head + "\r\n\r\n";
}

std::string response_head(size_t body) {
  std::string head =
      "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sat, 21 Nov 2026 04:00:00 GMT\r\n"
      "Content-Type: application/json\r\nConnection: keep-alive\r\nContent-Length: " +
      std::to_string(body) + "\r\nX-Request-Id: ";
  head.append(250 - 4 - head.size(), 'r');
  return head + "\r\n\r\n";
}

class CountingSink : public ExchangeSink {
 public:
  explicit CountingSink(bool take) : take_(take) {}
  void on_request(const RequestStart& start) override {
    benchmark::DoNotOptimize(start.http->target.data());
  }
  void on_exchange(model::Exchange&& exchange) override {
    if (take_) {
      const model::Exchange taken = std::move(exchange);
      benchmark::DoNotOptimize(taken.sequence);
    } else {
      benchmark::DoNotOptimize(exchange.sequence);
    }
  }

 private:
  bool take_;
};

// Argument: 1 if the next stage keeps the exchange's buffers, 0 if it only reads them.
void exchange_in_two_operations(benchmark::State& state) {
  const std::string request = request_head();
  const std::string response = response_head(2) + "{}";
  ParserCounters counters;
  CountingSink sink(state.range(0) != 0);
  model::Connection facts;
  facts.seen_from_start = true;
  Connection connection(facts, Options{}, &counters);
  model::Chunk in;
  in.direction = model::Direction::kReceive;
  in.head = request;
  in.length = static_cast<uint32_t>(request.size());
  in.request_id = 1;
  model::Chunk out;
  out.direction = model::Direction::kSend;
  out.head = response;
  out.length = static_cast<uint32_t>(response.size());
  for (auto _ : state) {
    in.time_ns += 1000;
    ++in.request_id;
    out.time_ns = in.time_ns + 500;
    connection.on_chunk(in, sink);
    connection.on_chunk(out, sink);
    in.offset += in.length;
    out.offset += out.length;
  }
  if (counters.exchanges != static_cast<uint64_t>(state.iterations())) {
    state.SkipWithError("exchanges were missed");
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(exchange_in_two_operations)->Arg(0)->Arg(1);

void find_end_of_head(benchmark::State& state) {
  const std::string request = request_head();
  for (auto _ : state) {
    size_t at = 0;
    benchmark::DoNotOptimize(find_head_end(request, at));
  }
}
BENCHMARK(find_end_of_head);

void read_fields(benchmark::State& state) {
  const std::string request = request_head();
  model::HeaderBlock block;
  for (auto _ : state) {
    benchmark::DoNotOptimize(parse_fields(request, block).end);
  }
}
BENCHMARK(read_fields);

}  // namespace
}  // namespace zerospan::protocols::http1
