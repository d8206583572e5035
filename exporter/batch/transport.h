// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What carries one encoded request to its receiver. Implemented in exporter/transport; owned and
// called by SpanExporter's thread alone, except cancel().
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "exporter/otlp/export_response.h"

namespace zerospan::batch {

enum class SendStatus : uint8_t {
  kAccepted = 0,  // taken, but for SendOutcome::rejected_spans
  kRetry = 1,     // may work later (OTLP's retryable codes, and a peer that cannot be reached)
  kRefused = 2,   // never will
};

struct SendOutcome {
  SendStatus status = SendStatus::kAccepted;
  uint64_t rejected_spans = 0;  // partial success: not to be sent again
  // How long the receiver asked us to wait (RetryInfo, Retry-After).
  std::optional<std::chrono::milliseconds> retry_after;
  std::string message;  // for the operator; empty when all went well
};

class Transport {
 public:
  virtual ~Transport() = default;
  [[nodiscard]] virtual otlp::Encoding encoding() const = 0;
  // Blocks until the receiver answered, the deadline passed or cancel() was called; the latter two
  // give kRetry. `request` is an ExportTraceServiceRequest in encoding().
  [[nodiscard]] virtual SendOutcome send(std::string_view request,
                                         std::chrono::steady_clock::time_point deadline) = 0;
  // From any thread: the running send and all later ones end at once.
  virtual void cancel() = 0;
};

}  // namespace zerospan::batch
