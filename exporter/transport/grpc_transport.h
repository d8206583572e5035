// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// OTLP/gRPC: unary calls of opentelemetry.proto.collector.trace.v1.TraceService/Export with ready
// bytes (https://opentelemetry.io/docs/specs/otlp/#otlpgrpc).
#pragma once

#include <memory>

#include "agent/core/result.h"
#include "exporter/batch/transport.h"
#include "exporter/transport/exporter_options.h"

namespace zerospan::transport {

[[nodiscard]] Result<std::unique_ptr<batch::Transport>> make_grpc_transport(
    const ExporterOptions& options);

}  // namespace zerospan::transport
