// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// OTLP/HTTP, protobuf or JSON (https://opentelemetry.io/docs/specs/otlp/#otlphttp), over one
// kept-alive connection.
#pragma once

#include <memory>

#include "agent/core/result.h"
#include "exporter/batch/transport.h"
#include "exporter/transport/exporter_options.h"

namespace zerospan::transport {

[[nodiscard]] Result<std::unique_ptr<batch::Transport>> make_http_transport(
    const ExporterOptions& options);

}  // namespace zerospan::transport
