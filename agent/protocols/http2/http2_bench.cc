// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Parsing of one unary gRPC call on a connection with many: HEADERS with nine fields and DATA in
// one operation, HEADERS, DATA and trailers in another, as grpc-go sends them.

#include <benchmark/benchmark.h>

#include <string>
#include <utility>

#include "agent/protocols/http2/connection.h"
#include "agent/protocols/http2/testing.h"

namespace zerospan::protocols::http2 {
namespace {

class CountingSink : public ExchangeSink {
 public:
  void on_request(const RequestStart& start) override {
    benchmark::DoNotOptimize(start.http->target.data());
  }
  void on_exchange(model::Exchange&& exchange) override {
    benchmark::DoNotOptimize(exchange.sequence);
  }
};

void set_stream(std::string& frames, size_t at, uint32_t id) {
  for (size_t i = 0; i < 4; ++i) {
    frames[at + 5 + i] = static_cast<char>(id >> (24 - 8 * i));
  }
}

void unary_grpc_call(benchmark::State& state) {
  Encoder request_encoder;
  Encoder response_encoder;
  const Fields request = {
      {":method", "POST"},
      {":scheme", "http"},
      {":path", "/shop.v1.Cart/AddItem"},
      {":authority", "cart.shop.svc:50051"},
      {"content-type", "application/grpc"},
      {"user-agent", "grpc-go/1.60.1"},
      {"te", "trailers"},
      {"grpc-timeout", "250m"},
      {"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}};
  const Fields head = {{":status", "200"}, {"content-type", "application/grpc"}};
  const Fields trailers = {{"grpc-status", "0"}, {"grpc-message", ""}};

  ParserCounters counters;
  CountingSink sink;
  model::Connection facts;
  facts.seen_from_start = true;
  Connection connection(facts, Options{}, &counters);
  model::Chunk in;
  in.direction = model::Direction::kReceive;
  model::Chunk out;
  out.direction = model::Direction::kSend;
  const auto play = [&](model::Chunk& chunk, const std::string& bytes) {
    chunk.head = bytes;
    chunk.length = static_cast<uint32_t>(bytes.size());
    chunk.time_ns += 1000;
    connection.on_chunk(chunk, sink);
    chunk.offset += chunk.length;
  };
  const std::string settings = frame(FrameType::kSettings, 0, 0, "");
  play(in, std::string(kPreface) + settings);
  play(out, settings);

  const auto call = [&](std::string& asked, size_t& data_at, std::string& answered,
                        size_t& answer_data_at, size_t& trailers_at) {
    asked = frame(FrameType::kHeaders, kEndHeaders, 1, request_encoder.encode(request));
    data_at = asked.size();
    asked += frame(FrameType::kData, kEndStream, 1, grpc_message(40));
    answered = frame(FrameType::kHeaders, kEndHeaders, 1, response_encoder.encode(head));
    answer_data_at = answered.size();
    answered += frame(FrameType::kData, 0, 1, grpc_message(60));
    trailers_at = answered.size();
    answered +=
        frame(FrameType::kHeaders, kEndHeaders | kEndStream, 1, response_encoder.encode(trailers));
  };
  std::string asked;
  std::string answered;
  size_t data_at = 0;
  size_t answer_data_at = 0;
  size_t trailers_at = 0;
  uint32_t id = 1;
  const auto exchange = [&] {
    set_stream(asked, 0, id);
    set_stream(asked, data_at, id);
    set_stream(answered, 0, id);
    set_stream(answered, answer_data_at, id);
    set_stream(answered, trailers_at, id);
    id += 2;
    play(in, asked);
    play(out, answered);
  };
  // The first call fills the tables; those after it refer to them.
  call(asked, data_at, answered, answer_data_at, trailers_at);
  exchange();
  call(asked, data_at, answered, answer_data_at, trailers_at);
  for (auto _ : state) {
    exchange();
  }
  if (counters.exchanges != static_cast<uint64_t>(state.iterations()) + 1) {
    state.SkipWithError("calls were missed");
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(unary_grpc_call);

}  // namespace
}  // namespace zerospan::protocols::http2
