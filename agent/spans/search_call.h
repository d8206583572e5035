// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Calls of Elasticsearch and OpenSearch, which are plain HTTP messages. Their spans are the HTTP
// spans, with the attributes and the name that the conventions for Elasticsearch's client have (in
// development, https://opentelemetry.io/docs/specs/semconv/db/elasticsearch/). Pure functions over
// hostile bytes.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "agent/model/exchange.h"
#include "agent/model/span.h"
#include "agent/spans/search_endpoint.h"

namespace zerospan::spans {

struct SearchCall {
  std::string_view system;   // a value of db.system.name
  SearchEndpoint endpoint;   // its id empty: not known
  std::string_view cluster;  // as Elastic's cloud names it; empty: not known
  std::string_view node;     // the same
};

// By what the server's answer says of its product, else by what only such a client says of itself;
// a path alone is no evidence. `path` is the target's.
[[nodiscard]] std::optional<SearchCall> find_search_call(const model::HttpExchange& http,
                                                         std::string_view path,
                                                         std::string_view user_agent);

void add_search_call(const SearchCall& call, const model::HttpExchange& http,
                     size_t max_value_bytes, model::Span& span);

}  // namespace zerospan::spans
