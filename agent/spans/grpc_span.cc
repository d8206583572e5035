// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// gRPC calls, by the semantic conventions 1.44.0
// (https://github.com/open-telemetry/semantic-conventions/blob/v1.44.0/docs/rpc/grpc.md).

#include "agent/spans/grpc_span.h"

#include <array>

namespace zerospan::spans {
namespace {

// https://github.com/grpc/grpc/blob/v1.75.0/doc/statuscodes.md
constexpr std::array<std::string_view, 17> kStatusNames = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};
constexpr uint32_t kCancelled = 1;
constexpr uint32_t kUnknown = 2;
constexpr uint32_t kDeadlineExceeded = 4;
constexpr uint32_t kPermissionDenied = 7;
constexpr uint32_t kResourceExhausted = 8;
constexpr uint32_t kUnimplemented = 12;
constexpr uint32_t kInternal = 13;
constexpr uint32_t kUnavailable = 14;
constexpr uint32_t kDataLoss = 15;
constexpr uint32_t kUnauthenticated = 16;

// The client's clock runs before its fields leave: they wait for others on the connection, and some
// libraries round the timeout up by a hundredth. So a call that was cancelled in the last sixteenth
// of its time is taken for one that ran out of it.
bool reached_timeout(const model::Exchange& exchange, const model::HttpExchange& http) {
  const auto& timeout = http.grpc->timeout_ns;
  const uint64_t taken = exchange.response_end_ns - exchange.request_start_ns;
  return timeout && taken >= *timeout - *timeout / 16;
}

// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#errors
uint32_t status_of_reset(const model::Exchange& exchange, const model::HttpExchange& http) {
  switch (http.reset->code) {
    case 7:  // REFUSED_STREAM
      return kUnavailable;
    case 8:  // CANCEL: what a client sends as well when its deadline has passed
      return http.reset->by_requester && reached_timeout(exchange, http) ? kDeadlineExceeded
                                                                         : kCancelled;
    case 11:  // ENHANCE_YOUR_CALM
      return kResourceExhausted;
    case 12:  // INADEQUATE_SECURITY
      return kPermissionDenied;
    default:
      return kInternal;
  }
}

// https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
uint32_t status_of_http(uint16_t status) {
  switch (status) {
    case 400:
      return kInternal;
    case 401:
      return kUnauthenticated;
    case 403:
      return kPermissionDenied;
    case 404:
      return kUnimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return kUnavailable;
    default:
      return kUnknown;
  }
}

}  // namespace

std::optional<uint32_t> grpc_status(const model::Exchange& exchange,
                                    const model::HttpExchange& http) {
  if (http.grpc->status) {
    return http.grpc->status;
  }
  if (exchange.outcome == model::Outcome::kReset && http.reset) {
    return status_of_reset(exchange, http);
  }
  if (exchange.outcome == model::Outcome::kComplete && http.status != 0 && http.status != 200) {
    return status_of_http(http.status);
  }
  return std::nullopt;
}

std::string grpc_status_name(uint32_t status) {
  return status < kStatusNames.size() ? std::string(kStatusNames[status]) : std::to_string(status);
}

bool is_grpc_error(uint32_t status, bool server) {
  if (!server) {
    return status != 0;
  }
  switch (status) {
    case kUnknown:
    case kDeadlineExceeded:
    case kUnimplemented:
    case kInternal:
    case kUnavailable:
    case kDataLoss:
      return true;
    default:
      return false;
  }
}

GrpcMethod grpc_method(const model::HttpExchange& http, std::optional<uint32_t> status,
                       bool server) {
  std::string_view path = http.target;
  GrpcMethod method;
  if (!path.starts_with('/') || path.find('/', 1) == std::string_view::npos) {
    method.original = path;
    return method;
  }
  path.remove_prefix(1);
  if (server && status == kUnimplemented) {
    method.original = path;  // names that anybody may make up
  } else {
    method.recognised = path;
  }
  return method;
}

}  // namespace zerospan::spans
