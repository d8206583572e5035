// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// exporter_probe: a program for tests that makes spans and sends them by the real exporter, as the
// agent does. Span i (from 0) has the span id i + 1, so a receiver's output says which arrived. On
// standard error: "exporting" when the first spans are offered, each report of the exporter; at the
// end the counters as one JSON object on standard output, or the spans, for --protocol stdout.
#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "exporter/transport/make_exporter.h"

namespace {

using namespace zerospan;

std::vector<model::Span> make_spans(uint64_t first, uint64_t count,
                                    const std::shared_ptr<const model::Resource>& resource) {
  std::vector<model::Span> spans(count);
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t number = first + i;
    model::Span& span = spans[i];
    span.trace_id.bytes.fill(static_cast<uint8_t>(number % 255 + 1));
    span.span_id = model::SpanId::from_u64(number + 1);
    span.name = "GET /probe";
    span.kind = model::SpanKind::kServer;
    span.start_unix_ns = 1'700'000'000'000'000'000ULL + number;
    span.end_unix_ns = span.start_unix_ns + 1'000;
    span.attributes = {{"probe.number", static_cast<int64_t>(number)},
                       {"http.request.method", std::string("GET")},
                       {"url.path", std::string("/probe/\xC3\xA9\xFF\"")}};
    span.resource = resource;
  }
  return spans;
}

void print_counters(const batch::ExportCounters& counters, double shutdown_seconds, FILE* out) {
  nlohmann::json dropped;
  for (size_t i = 0; i < batch::kDropReasons; ++i) {
    const auto reason = static_cast<batch::DropReason>(i);
    dropped[std::string(batch::drop_reason_name(reason))] = counters.dropped(reason);
  }
  const nlohmann::json document = {{"offered", counters.spans_offered.load()},
                                   {"exported", counters.spans_exported.load()},
                                   {"dropped", dropped},
                                   {"dropped_total", counters.dropped_total()},
                                   {"requests", counters.requests.load()},
                                   {"retries", counters.retries.load()},
                                   {"bytes", counters.bytes.load()},
                                   {"shutdown_seconds", shutdown_seconds}};
  std::fprintf(out, "%s\n", document.dump().c_str());
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  transport::ExporterOptions options;
  options.batch.scope.version = "0.0.0";
  uint64_t count = 1000;
  uint64_t rate = 0;
  int64_t flush_ms = 10'000;
  int64_t shutdown_ms = 800;
  int64_t initial_ms = options.batch.retry.initial_interval.count();
  int64_t max_interval_ms = options.batch.retry.max_interval.count();
  int64_t max_elapsed_ms = options.batch.retry.max_elapsed.count();
  bool gzip = false;

  CLI::App app("Makes spans and sends them by zerospan's exporter; prints its counters as JSON");
  const std::map<std::string, transport::Protocol> protocols = {
      {"grpc", transport::Protocol::kGrpc},
      {"http/protobuf", transport::Protocol::kHttpProtobuf},
      {"http/json", transport::Protocol::kHttpJson},
      {"stdout", transport::Protocol::kStdout},
      {"file", transport::Protocol::kFile}};
  app.add_option("--protocol", options.protocol)->transform(CLI::Transformer(protocols));
  app.add_option("--endpoint", options.endpoint, "Base endpoint");
  app.add_flag("--gzip", gzip);
  app.add_option("--ca", options.ca_certificate_path);
  app.add_option("--cert", options.client_certificate_path);
  app.add_option("--key", options.client_key_path);
  app.add_option("--file", options.file_path);
  app.add_option("--spans", count, "How many spans to make");
  app.add_option("--rate", rate, "Spans a second; 0 makes them as fast as possible");
  app.add_option("--queue", options.batch.max_queue_spans);
  app.add_option("--flush-ms", flush_ms, "Wait this long for delivery before the shutdown");
  app.add_option("--shutdown-ms", shutdown_ms);
  app.add_option("--retry-initial-ms", initial_ms);
  app.add_option("--retry-max-interval-ms", max_interval_ms);
  app.add_option("--retry-max-elapsed-ms", max_elapsed_ms);
  CLI11_PARSE(app, argc, argv);

  using std::chrono::milliseconds;
  options.compression = gzip ? transport::Compression::kGzip : transport::Compression::kNone;
  options.batch.retry.initial_interval = milliseconds(initial_ms);
  options.batch.retry.max_interval = milliseconds(max_interval_ms);
  options.batch.retry.max_elapsed = milliseconds(max_elapsed_ms);
  options.batch.on_report = [](bool healthy, const std::string& message) {
    std::fprintf(stderr, "%s: %s\n", healthy ? "healthy" : "failing", message.c_str());
  };
  const bool to_stdout = options.protocol == transport::Protocol::kStdout;
  auto exporter = transport::make_exporter(std::move(options));
  if (!exporter) {
    std::fprintf(stderr, "exporter_probe: %s\n", exporter.error().message.c_str());
    return 2;
  }

  const auto resource = std::make_shared<const model::Resource>(
      model::Resource{1, {{"service.name", std::string("exporter-probe")}}});
  std::fprintf(stderr, "exporting\n");
  constexpr uint64_t kAtOnce = 50;
  const auto start = std::chrono::steady_clock::now();
  for (uint64_t made = 0; made < count; made += kAtOnce) {
    (*exporter)->offer(make_spans(made, std::min(kAtOnce, count - made), resource));
    if (rate != 0) {
      std::this_thread::sleep_until(
          start + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                      std::chrono::duration<double>(static_cast<double>(made + kAtOnce) /
                                                    static_cast<double>(rate))));
    }
  }
  if (flush_ms > 0) {
    (void)(*exporter)->flush(milliseconds(flush_ms));
  }
  const auto before = std::chrono::steady_clock::now();
  (*exporter)->shutdown(milliseconds(shutdown_ms));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - before;
  print_counters((*exporter)->counters(), took.count(), to_stdout ? stderr : stdout);
  return 0;
}
