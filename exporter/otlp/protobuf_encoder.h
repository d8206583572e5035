// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// model::Span to the bytes of an OTLP ExportTraceServiceRequest
// (https://opentelemetry.io/docs/specs/otlp/), with no protobuf object in between: the request is
// written from its last byte to its first, so that each nested message's length is known when it is
// written, in one pass. The bytes are those that libprotobuf would write.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "agent/model/span.h"
#include "exporter/otlp/grouping.h"

namespace zerospan::otlp {

// Used by one thread. Keeps its buffer from one request to the next.
class ProtobufEncoder {
 public:
  explicit ProtobufEncoder(Scope scope);
  ~ProtobufEncoder();
  ProtobufEncoder(ProtobufEncoder&&) = delete;
  ProtobufEncoder& operator=(ProtobufEncoder&&) = delete;

  // Valid until the next call. Ill-formed UTF-8 is replaced (utf8.h); no spans give no bytes.
  [[nodiscard]] std::string_view encode(std::span<const model::Span> spans);

 private:
  class Writer;
  Scope scope_;
  std::unique_ptr<Writer> writer_;
};

}  // namespace zerospan::otlp
