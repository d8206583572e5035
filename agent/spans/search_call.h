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

inline constexpr std::string_view kOpensearchClients = "opensearch-";  // -py, -js, -java, ...

// Sorts out nearly all others at little cost.
[[nodiscard]] inline bool may_be_search_call(const model::HttpExchange& http,
                                             std::string_view user_agent) {
  return http.response_headers.has_any(model::header_bit(model::KnownHeader::kXElasticProduct)) ||
         http.request_headers.has_any(model::header_bit(model::KnownHeader::kXElasticClientMeta)) ||
         (user_agent.starts_with(kOpensearchClients.front()) &&
          user_agent.starts_with(kOpensearchClients));
}

// By what the server's answer says of its product, else by what only such a client says of itself;
// a path alone is no evidence. `path` is the target's.
[[nodiscard]] std::optional<SearchCall> find_search_call(const model::HttpExchange& http,
                                                         std::string_view path,
                                                         std::string_view user_agent);

void add_search_call(const SearchCall& call, const model::HttpExchange& http,
                     size_t max_value_bytes, model::Span& span);

}  // namespace zerospan::spans
