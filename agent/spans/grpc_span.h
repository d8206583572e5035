// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What the conventions for gRPC spans ask of a call. Pure functions; `http.grpc` must be there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/model/exchange.h"

namespace zerospan::spans {

// The status that the server sent, or that gRPC's libraries make of a stream's reset or of an HTTP
// status without one. nullopt: none is known.
[[nodiscard]] std::optional<uint32_t> grpc_status(const model::Exchange& exchange,
                                                  const model::HttpExchange& http);

// "NOT_FOUND"; a number that gRPC does not know stays a number.
[[nodiscard]] std::string grpc_status_name(uint32_t status);

// On a server only what the server is to blame for.
[[nodiscard]] bool is_grpc_error(uint32_t status, bool server);

struct GrpcMethod {
  std::string_view recognised;  // "package.Service/Method"; empty: none
  std::string_view original;    // what came instead of it; empty: nothing, or not known
};
// A method that the server does not implement is not one of its names.
[[nodiscard]] GrpcMethod grpc_method(const model::HttpExchange& http,
                                     std::optional<uint32_t> status, bool server);

}  // namespace zerospan::spans
