// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The way in to the export side: from options to a running exporter.
#pragma once

#include <memory>

#include "agent/core/result.h"
#include "exporter/batch/span_exporter.h"
#include "exporter/transport/exporter_options.h"

namespace zerospan::transport {

// Checks the options (kInvalidArgument, kNotFound or kPermission, in words for the operator) and
// starts the exporter's thread. No connection is made yet: a receiver that is away is no error.
// Writes to closed connections and pipes raise SIGPIPE in some TLS libraries, so a program that
// exports should ignore that signal.
[[nodiscard]] Result<std::unique_ptr<batch::SpanExporter>> make_exporter(ExporterOptions options);

// As above, without the queue and the thread.
[[nodiscard]] Result<std::unique_ptr<batch::Transport>> make_transport(
    const ExporterOptions& options);

}  // namespace zerospan::transport
