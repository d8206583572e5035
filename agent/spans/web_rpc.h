// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Remote procedure calls that are plain HTTP messages: gRPC-Web and Connect. Their spans are HTTP
// spans that also say which method was called. Pure functions over hostile bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "agent/model/exchange.h"

namespace zerospan::spans {

struct WebRpc {
  std::string_view system;         // a value of rpc.system.name
  std::string_view method;         // "package.Service/Method", a part of `path`
  std::optional<uint32_t> status;  // gRPC-Web without a body: grpc-status
  bool unknown_method = false;     // the server says that it has none of that name
};

// What a request says of itself; `path` and `query` are its target's. Connect's unary calls name
// their protocol in a field that clients may leave out: those look like any other HTTP.
[[nodiscard]] std::optional<WebRpc> find_web_rpc(const model::HttpExchange& http,
                                                 std::string_view content_type,
                                                 bool connect_version, std::string_view path,
                                                 std::string_view query);

}  // namespace zerospan::spans
