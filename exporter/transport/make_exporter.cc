// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "exporter/transport/make_exporter.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "exporter/transport/grpc_transport.h"
#include "exporter/transport/http_transport.h"
#include "exporter/transport/json_lines_transport.h"

namespace zerospan::transport {
namespace {

Status check_positive(int64_t value, const char* what) {
  if (value <= 0) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the exporter's {} is {}, but must be greater than 0", what, value));
  }
  return {};
}

Status check_batch(const batch::BatchOptions& options) {
  const batch::RetryOptions& retry = options.retry;
  return check_positive(static_cast<int64_t>(options.max_queue_spans), "queue size (spans)")
      .and_then([&] {
        return check_positive(static_cast<int64_t>(options.max_batch_spans), "batch size (spans)");
      })
      .and_then([&] { return check_positive(options.send_timeout.count(), "timeout (ms)"); })
      .and_then([&] {
        return check_positive(retry.initial_interval.count(), "first retry interval (ms)");
      })
      .and_then([&]() -> Status {
        if (retry.max_interval < retry.initial_interval || retry.multiplier < 1.0 ||
            retry.jitter < 0.0 || retry.jitter > 1.0) {
          return fail(
              ErrorCode::kInvalidArgument,
              "the exporter's retry settings do not fit together: the longest interval must "
              "not be below the first, the multiplier at least 1, the jitter from 0 to 1");
        }
        return {};
      });
}

Result<std::unique_ptr<batch::Transport>> make_stdout_transport() {
  // A descriptor of its own, so that ours can be closed.
  UniqueFd own(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
  if (!own.valid()) {
    return tl::unexpected(error_from_errno(errno, "opening standard output to write spans to it"));
  }
  return make_stream_transport(std::move(own), "standard output");
}

}  // namespace

Result<std::unique_ptr<batch::Transport>> make_transport(const ExporterOptions& given) {
  ExporterOptions options = given;
  if (options.user_agent.empty()) {
    const std::string& version = options.batch.scope.version;
    options.user_agent = fmt::format("OTel-OTLP-Exporter-Cpp/{} zerospan/{}", version, version);
  }
  switch (options.protocol) {
    case Protocol::kGrpc:
      return make_grpc_transport(options);
    case Protocol::kHttpProtobuf:
    case Protocol::kHttpJson:
      return make_http_transport(options);
    case Protocol::kStdout:
      return make_stdout_transport();
    case Protocol::kFile:
      if (options.file_path.empty()) {
        return fail(ErrorCode::kInvalidArgument,
                    "the file exporter needs the path of the file to write to");
      }
      return make_file_transport(options.file_path);
  }
  return fail(ErrorCode::kInvalidArgument, "the exporter's protocol is unknown");
}

Result<std::unique_ptr<batch::SpanExporter>> make_exporter(ExporterOptions options) {
  if (const Status status = check_batch(options.batch); !status) {
    return tl::unexpected(status.error());
  }
  auto transport = make_transport(options);
  if (!transport) {
    return tl::unexpected(transport.error());
  }
  return std::make_unique<batch::SpanExporter>(std::move(options.batch), *std::move(transport));
}

}  // namespace zerospan::transport
