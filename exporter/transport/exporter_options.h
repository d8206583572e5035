// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Everything that decides where spans go and how, as plain values. The OTEL_EXPORTER_OTLP_*
// variables (https://opentelemetry.io/docs/specs/otel/protocol/exporter/) and their _TRACES_ forms
// are resolved into this by the configuration; nothing here reads the environment.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "exporter/batch/span_exporter.h"

namespace zerospan::transport {

enum class Protocol : uint8_t {
  kGrpc = 0,          // OTLP/gRPC
  kHttpProtobuf = 1,  // OTLP/HTTP, binary
  kHttpJson = 2,      // OTLP/HTTP, JSON
  kStdout = 3,        // OTLP/JSON lines on standard output
  kFile = 4,          // OTLP/JSON lines appended to file_path, as the collector's file exporter has
};

enum class Compression : uint8_t { kNone = 0, kGzip = 1 };

struct ExporterOptions {
  Protocol protocol = Protocol::kGrpc;

  // gRPC: http(s)://HOST[:PORT] or HOST[:PORT]; HTTP: http(s)://HOST[:PORT][/PATH]. Empty: the
  // protocol's default on localhost (port 4317 or 4318, no TLS).
  std::string endpoint;
  // HTTP. True: `endpoint` is for traces alone and used as it is
  // (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT); false: v1/traces is appended to its path
  // (OTEL_EXPORTER_OTLP_ENDPOINT).
  bool endpoint_for_traces = false;
  // gRPC, an endpoint without a scheme: no TLS. A scheme decides for itself.
  bool insecure = false;

  std::vector<std::pair<std::string, std::string>> headers;  // gRPC: request metadata
  Compression compression = Compression::kNone;

  // PEM files. An empty ca_certificate_path means the system's certificate authorities; client
  // certificate and key go together.
  std::string ca_certificate_path;
  std::string client_certificate_path;
  std::string client_key_path;

  std::string file_path;  // kFile

  std::string user_agent;  // empty: OTel-OTLP-Exporter-Cpp/VERSION zerospan/VERSION

  // Queue, batch, timeout and retry. `batch.scope.version` is also VERSION above.
  batch::BatchOptions batch;
};

}  // namespace zerospan::transport
