// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// model::Span to one line of OTLP/JSON: an ExportTraceServiceRequest in proto3's JSON mapping with
// OTLP's exceptions (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding): trace and
// span ids in hex, enums as numbers. It is also the line form of the collector's file exporter.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "agent/model/span.h"
#include "exporter/otlp/grouping.h"

namespace zerospan::otlp {

// Used by one thread. Keeps its buffer from one request to the next.
class JsonEncoder {
 public:
  explicit JsonEncoder(Scope scope) : scope_(std::move(scope)) {}

  // One line without its line feed; valid until the next call. Ill-formed UTF-8 is replaced
  // (utf8.h).
  [[nodiscard]] std::string_view encode(std::span<const model::Span> spans);

 private:
  Scope scope_;
  std::string out_;
};

// Appends a JSON string literal (RFC 8259 section 7) of `text`, with ill-formed UTF-8 replaced.
void append_json_string(std::string_view text, std::string& out);

}  // namespace zerospan::otlp
