// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// One core's work for an exchange: from its ring records through the pipeline to encoded OTLP
// bytes.

#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "agent/app/pipeline.h"
#include "agent/kernel/test_records.h"
#include "exporter/otlp/protobuf_encoder.h"

namespace zerospan::app {
namespace {

namespace records = kernel::testing;

constexpr size_t kConnections = 64;  // keep-alive
constexpr size_t kExchangesPerConnection = 512;
constexpr size_t kBatch = 512;  // spans in one export request
constexpr uint32_t kPid = 4242;

// 368 bytes, as a browser sends them.
std::string request(uint64_t number) {
  std::string head =
      "GET /api/v1/items/" + std::to_string(100000 + number % 900000) +
      "?page=2&sort=name HTTP/1.1\r\n"
      "Host: shop.example.com:8080\r\n"
      "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
      "Accept: application/json, text/plain, */*\r\n"
      "Accept-Language: en-GB,en;q=0.5\r\n"
      "Accept-Encoding: gzip, deflate\r\n"
      "Referer: http://shop.example.com:8080/\r\n"
      "Connection: keep-alive\r\n"
      "Cookie: ";
  head.append(368 - head.size() - 4, 'c');
  return head + "\r\n\r\n";
}

// A head of about 250 bytes, and the body in the same operation.
std::string response() {
  return "HTTP/1.1 200 OK\r\n"
         "Server: nginx/1.22.1\r\n"
         "Date: Sat, 21 Nov 2026 05:30:00 GMT\r\n"
         "Content-Type: application/json; charset=utf-8\r\n"
         "Content-Length: 120\r\n"
         "Connection: keep-alive\r\n"
         "Cache-Control: no-cache, private\r\n"
         "X-Request-Id: 0123456789abcdef0123456789abcdef\r\n"
         "Vary: Accept-Encoding\r\n\r\n" +
         std::string(120, 'b');
}

// The connections' records, then those of their exchanges in turn, as one ring would hold them.
struct Traffic {
  std::vector<records::Record> opened;
  std::vector<records::Record> operations;
};

Traffic make_traffic() {
  Traffic traffic;
  std::vector<records::Stream> streams;
  for (uint64_t id = 1; id <= kConnections; ++id) {
    traffic.opened.push_back(
        records::to_bytes(records::connection_record(id, kPid, ZS_ROLE_SERVER)));
    streams.emplace_back(id);
  }
  const std::string answer = response();
  uint64_t number = 0;
  uint64_t time_ns = 1'000'000;
  for (size_t round = 0; round < kExchangesPerConnection; ++round) {
    for (size_t i = 0; i < kConnections; ++i) {
      records::Stamp stamp{
          .time_ns = time_ns, .thread_id = kPid, .request_id = ++number * 0x9e3779b97f4a7c15ULL};
      traffic.operations.push_back(streams[i].receive(request(number), stamp));
      stamp.time_ns += 400'000;
      stamp.evidence = ZS_EVIDENCE_THREAD;
      traffic.operations.push_back(streams[i].send(answer, stamp));
      time_ns += 10'000;
    }
  }
  return traffic;
}

std::shared_ptr<const model::Resource> make_resource() {
  auto resource = std::make_shared<model::Resource>();
  resource->id = 1;
  resource->attributes = {{"service.name", std::string("shop")}, {"process.pid", int64_t{kPid}}};
  return resource;
}

void ring_records_to_otlp(benchmark::State& state) {
  const Traffic traffic = make_traffic();
  const auto resource = make_resource();
  otlp::ProtobufEncoder encoder(otlp::Scope{"zerospan", "0.1.0"});
  size_t exchanges = 0;
  size_t bytes = 0;
  for (auto _ : state) {
    state.PauseTiming();
    // The same records again would be old ones to a pipeline that has seen them.
    auto pipeline = Pipeline::make({}, [&](uint32_t) { return resource; });
    if (!pipeline) {
      state.SkipWithError(pipeline.error().message.c_str());
      return;
    }
    for (const records::Record& record : traffic.opened) {
      (*pipeline)->on_record(record);
    }
    state.ResumeTiming();
    size_t spans_out = 0;
    for (size_t i = 0; i < traffic.operations.size(); ++i) {
      (*pipeline)->on_record(traffic.operations[i]);
      if ((i + 1) % (2 * kBatch) == 0) {
        const std::vector<model::Span> spans = (*pipeline)->take_spans(0);
        spans_out += spans.size();
        bytes += encoder.encode(spans).size();
      }
    }
    state.PauseTiming();
    if (spans_out != traffic.operations.size() / 2) {
      state.SkipWithError("spans are missing");
      return;
    }
    exchanges += spans_out;
    pipeline->reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(static_cast<int64_t>(exchanges));
  state.counters["ns_per_exchange"] =
      benchmark::Counter(static_cast<double>(exchanges) / 1e9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["otlp_bytes_per_span"] =
      static_cast<double>(bytes) / static_cast<double>(exchanges);
}
BENCHMARK(ring_records_to_otlp)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace zerospan::app
