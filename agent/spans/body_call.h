// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Calls that are POST requests whose body says what is called: GraphQL over HTTP
// (https://graphql.github.io/graphql-over-http/draft/) and JSON-RPC 2.0
// (https://www.jsonrpc.org/specification). Their spans are HTTP spans that also say so. Only a
// body's beginning is at hand: what cannot be known by it is not told. Pure functions over hostile
// bytes.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "agent/model/exchange.h"
#include "agent/model/span.h"

namespace zerospan::spans {

struct GraphqlCall {
  std::string type;  // of the operation that runs; empty: the part at hand does not say which one
  std::string name;  // empty: it has none, or it is not known
};

struct JsonRpcCall {
  std::string method;
  std::string request_id;  // empty: none (a notification), null, or not known
  bool failed = false;     // the answer has an error
  std::string error_code;  // of it; empty: not known
};

// `path` and `content_type` are the request's. The body must be GraphQL by its grammar; a query
// without its keyword, which other languages may look like, also by the path or the content types.
[[nodiscard]] std::optional<GraphqlCall> find_graphql_call(const model::HttpExchange& http,
                                                           std::string_view path,
                                                           std::string_view content_type);
void add_graphql_call(const GraphqlCall& call, size_t max_value_bytes, model::Span& span);

// The body must say "jsonrpc": "2.0". A batch is none.
[[nodiscard]] std::optional<JsonRpcCall> find_json_rpc_call(const model::HttpExchange& http);
// The error goes to the span unless it has one already. To be called when all else is known.
void add_json_rpc_call(const JsonRpcCall& call, size_t max_value_bytes, model::Span& span);

}  // namespace zerospan::spans
