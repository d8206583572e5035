// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// One core's work for an exchange: from its ring records through the pipeline to encoded OTLP
// bytes.

#include <benchmark/benchmark.h>

#include <array>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "agent/app/pipeline.h"
#include "agent/kernel/test_records.h"
#include "exporter/otlp/protobuf_encoder.h"

namespace zerospan::app {
namespace {

namespace records = kernel::testing;

constexpr size_t kConnections = 64;  // keep-alive
constexpr size_t kExchanges = 4096;  // of all connections: their records fill a ring of 4 MiB
constexpr size_t kBatch = 512;       // spans in one export request
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

// One lap of a ring: the operations of the connections in turn. Every lap begins where the last one
// ended.
class Ring {
 public:
  Ring() {
    const std::string answer = response();
    std::vector<records::Stream> streams;
    for (uint64_t id = 1; id <= kConnections; ++id) {
      streams.emplace_back(id);
    }
    for (uint64_t number = 0; number < kExchanges; ++number) {
      records::Stream& stream = streams[number % kConnections];
      const uint64_t time_ns = (number + 1) * kNsPerExchange;
      append(stream.receive(request(number), {.time_ns = time_ns, .thread_id = kPid}));
      append(stream.send(
          answer,
          {.time_ns = time_ns + 400'000, .thread_id = kPid, .evidence = ZS_EVIDENCE_THREAD}));
    }
    lap_bytes_ = {request(0).size() * kExchanges / kConnections,
                  answer.size() * kExchanges / kConnections};
  }

  [[nodiscard]] size_t records() const { return starts_.size(); }
  // The record as of this lap; they are asked for in order.
  std::span<const std::byte> record(size_t index, uint64_t lap) {
    std::byte* start = &bytes_[starts_[index]];
    zs_data_record stamped;
    std::memcpy(&stamped, start, sizeof(stamped));
    if (lap > 0) {
      stamped.offset += lap_bytes_[stamped.direction];
      stamped.time_ns += kExchanges * kNsPerExchange;
      stamped.departed_ns = stamped.time_ns;
    }
    stamped.request_id = (lap * kExchanges + index / 2 + 1) * 0x9e3779b97f4a7c15ULL;
    std::memcpy(start, &stamped, sizeof(stamped));
    return {start, stamped.header.length};
  }

 private:
  static constexpr uint64_t kNsPerExchange = 10'000;

  void append(const records::Record& record) {
    starts_.push_back(bytes_.size());
    bytes_.insert(bytes_.end(), record.begin(), record.end());
    bytes_.resize((bytes_.size() + 7) / 8 * 8);
  }

  std::vector<std::byte> bytes_;
  std::vector<size_t> starts_;
  std::array<uint64_t, 2> lap_bytes_{};
};

std::shared_ptr<const model::Resource> make_resource() {
  auto resource = std::make_shared<model::Resource>();
  resource->id = 1;
  resource->attributes = {{"service.name", std::string("shop")}, {"process.pid", int64_t{kPid}}};
  return resource;
}

void ring_records_to_otlp(benchmark::State& state) {
  Ring ring;
  const auto resource = make_resource();
  otlp::ProtobufEncoder encoder(otlp::Scope{"zerospan", "0.1.0"});
  auto pipeline = Pipeline::make({}, [&](uint32_t) { return resource; });
  if (!pipeline) {
    state.SkipWithError(pipeline.error().message.c_str());
    return;
  }
  for (uint64_t id = 1; id <= kConnections; ++id) {
    (*pipeline)->on_record(records::to_bytes(records::connection_record(id, kPid, ZS_ROLE_SERVER)));
  }
  uint64_t lap = 0;
  size_t exchanges = 0;
  size_t bytes = 0;
  for (auto _ : state) {
    for (size_t i = 0; i < ring.records(); ++i) {
      (*pipeline)->on_record(ring.record(i, lap));
      if ((i + 1) % (2 * kBatch) == 0) {
        const std::vector<model::Span> spans = (*pipeline)->take_spans(0);
        exchanges += spans.size();
        bytes += encoder.encode(spans).size();
      }
    }
    ++lap;
  }
  if (exchanges != lap * kExchanges || (*pipeline)->counters().exchanges_incomplete != 0) {
    state.SkipWithError("spans are missing or incomplete");
    return;
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
