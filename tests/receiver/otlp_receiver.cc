// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// otlp_receiver: an OTLP/gRPC trace receiver for tests, in two roles. It is an independent decoder:
// requests are read by the generated protobuf classes and grpc++'s server, which share no code with
// the exporter's encoder. And it injects the faults that a healthy collector never shows. For how a
// real collector behaves, see tests/collector.
//
// On standard output: "listening PORT" once it serves, and on SIGTERM or SIGINT
// "received SPANS spans in REQUESTS requests", which counts what was accepted and written.
#include <google/protobuf/util/json_util.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "opentelemetry/proto/collector/trace/v1/trace_service.grpc.pb.h"
#include "zerospan/rpc_status.pb.h"

namespace {

namespace service = opentelemetry::proto::collector::trace::v1;
using nlohmann::json;

struct Options {
  std::string output;
  uint16_t port = 0;
  uint64_t fail_first = 0;
  int fail_code = static_cast<int>(grpc::StatusCode::UNAVAILABLE);
  uint64_t delay_ms = 0;
  int64_t reject_spans = 0;
  int64_t retry_info_ms = -1;
};

std::string hex_of_base64(const std::string& text) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string hex;
  uint32_t bits = 0;
  uint32_t count = 0;
  for (const char c : text) {
    const size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) {
      break;
    }
    bits = (bits << 6U | static_cast<uint32_t>(digit)) & 0xFFFFU;
    count += 6;
    if (count >= 8) {
      count -= 8;
      hex += kHex[bits >> (count + 4) & 0xFU];
      hex += kHex[bits >> count & 0xFU];
    }
  }
  return hex;
}

// OTLP/JSON has ids in hex where proto3's JSON mapping has base64.
void ids_to_hex(json& value) {
  if (value.is_object()) {
    for (const char* key : {"traceId", "spanId", "parentSpanId"}) {
      if (const auto id = value.find(key); id != value.end() && id->is_string()) {
        *id = hex_of_base64(id->get<std::string>());
      }
    }
  }
  if (value.is_structured()) {
    for (json& element : value) {
      ids_to_hex(element);
    }
  }
}

std::string otlp_json_line(const service::ExportTraceServiceRequest& request) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_enums_as_ints = true;
  std::string text;
  if (!google::protobuf::util::MessageToJsonString(request, &text, options).ok()) {
    return {};
  }
  json document = json::parse(text, nullptr, false);
  ids_to_hex(document);
  return document.dump();
}

class Receiver final : public service::TraceService::Service {
 public:
  explicit Receiver(const Options& options) : options_(options) {
    if (!options.output.empty()) {
      file_.open(options.output, std::ios::app);
    }
  }

  grpc::Status Export(grpc::ServerContext* context,
                      const service::ExportTraceServiceRequest* request,
                      service::ExportTraceServiceResponse* response) override {
    std::unique_lock lock(mutex_);
    if (calls_++ < options_.fail_first) {
      return failure();
    }
    if (options_.delay_ms != 0) {
      // A slow receiver still ends a call that its client has given up.
      const auto until =
          std::chrono::steady_clock::now() + std::chrono::milliseconds(options_.delay_ms);
      while (std::chrono::steady_clock::now() < until && !context->IsCancelled()) {
        slow_.wait_for(lock, std::chrono::milliseconds(5));
      }
    }
    const std::string line = otlp_json_line(*request);
    if (line.empty()) {
      return {grpc::StatusCode::INVALID_ARGUMENT, "the request cannot be written as JSON"};
    }
    ++requests_;
    for (const auto& resource : request->resource_spans()) {
      for (const auto& scope : resource.scope_spans()) {
        spans_ += static_cast<uint64_t>(scope.spans_size());
      }
    }
    if (file_.is_open()) {
      file_ << line << '\n' << std::flush;
    }
    if (options_.reject_spans > 0) {
      response->mutable_partial_success()->set_rejected_spans(options_.reject_spans);
      response->mutable_partial_success()->set_error_message("rejected by the test");
    }
    return grpc::Status::OK;
  }

  void print_totals() {
    const std::scoped_lock lock(mutex_);
    std::printf("received %llu spans in %llu requests\n", static_cast<unsigned long long>(spans_),
                static_cast<unsigned long long>(requests_));
    std::fflush(stdout);
  }

 private:
  [[nodiscard]] grpc::Status failure() const {
    const auto code = static_cast<grpc::StatusCode>(options_.fail_code);
    const std::string message = "failure injected by the test";
    if (options_.retry_info_ms < 0) {
      return {code, message};
    }
    zerospan::rpc::RetryInfo info;
    info.mutable_retry_delay()->set_seconds(options_.retry_info_ms / 1000);
    info.mutable_retry_delay()->set_nanos(
        static_cast<int32_t>(options_.retry_info_ms % 1000 * 1'000'000));
    zerospan::rpc::Status details;
    details.set_code(options_.fail_code);
    details.set_message(message);
    details.add_details()->set_type_url("type.googleapis.com/google.rpc.RetryInfo");
    details.mutable_details(0)->set_value(info.SerializeAsString());
    return {code, message, details.SerializeAsString()};
  }

  const Options options_;
  std::mutex mutex_;
  std::condition_variable slow_;
  std::ofstream file_;
  uint64_t calls_ = 0;
  uint64_t requests_ = 0;
  uint64_t spans_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app(
      "An OTLP/gRPC trace receiver on 127.0.0.1 for tests: fault injection and independent "
      "decoding");
  app.add_option("--output", options.output,
                 "Append each accepted request to this file, as one OTLP/JSON line");
  app.add_option("--port", options.port, "Port to listen on; 0 takes a free one");
  app.add_option("--fail-first", options.fail_first,
                 "Answer this many requests with --fail-code before accepting any");
  app.add_option("--fail-code", options.fail_code,
                 "gRPC status code of those answers (14 is UNAVAILABLE)");
  app.add_option("--retry-info-ms", options.retry_info_ms,
                 "Ask for this delay in those answers, by google.rpc.RetryInfo");
  app.add_option("--delay-ms", options.delay_ms, "Answer each request only after this time");
  app.add_option("--reject-spans", options.reject_spans,
                 "Report this many rejected spans in each answer (partial success)");
  CLI11_PARSE(app, argc, argv);

  // Blocked before grpc++ starts its threads, so that they inherit it and sigwait below gets them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  Receiver receiver(options);
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:" + std::to_string(options.port),
                           grpc::InsecureServerCredentials(), &port);
  builder.SetMaxReceiveMessageSize(-1);
  builder.RegisterService(&receiver);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    std::fprintf(stderr, "otlp_receiver: cannot listen on 127.0.0.1:%u\n",
                 static_cast<unsigned>(options.port));
    return 1;
  }
  std::printf("listening %d\n", port);
  std::fflush(stdout);
  int signal = 0;
  sigwait(&signals, &signal);
  server->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(200));
  receiver.print_totals();
  return 0;
}
