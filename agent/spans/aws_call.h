// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Calls of AWS's APIs, which are plain HTTP messages. Their spans are HTTP spans that also say
// which service and operation was called. Pure functions over hostile bytes.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "agent/model/exchange.h"
#include "agent/model/span.h"

namespace zerospan::spans {

struct AwsCall {
  std::string_view service;
  std::string_view operation;  // empty: the head does not say it
  std::string_view region;
  std::string_view request_id;
  std::string_view extended_request_id;
};

// By the signature that such a request has (Signature Version 4), its value `authorization`: of it
// only the service and the region are read. The operation is told only where a field or the query
// names it.
[[nodiscard]] std::optional<AwsCall> find_aws_call(const model::HttpExchange& http,
                                                   std::string_view authorization,
                                                   std::string_view query);

// By the conventions for AWS's SDKs (in development), with the names of the RPC attributes
// that have replaced those which they still have.
void add_aws_call(const AwsCall& call, size_t max_value_bytes, model::Span& span);

}  // namespace zerospan::spans
