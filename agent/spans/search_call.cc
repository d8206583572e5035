// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/search_call.h"

#include <string>

#include "agent/spans/text.h"

namespace zerospan::spans {
namespace {

using model::KnownHeader;

constexpr std::string_view kElasticsearch = "elasticsearch";
constexpr std::string_view kOpensearch = "opensearch";

std::string_view find_system(const model::HttpExchange& http, std::string_view user_agent) {
  if (http.response_headers.has_any(model::header_bit(KnownHeader::kXElasticProduct)) &&
      http.response_headers.find("x-elastic-product") == "Elasticsearch") {
    return kElasticsearch;
  }
  if (user_agent.starts_with(kOpensearchClients)) {
    return kOpensearch;
  }
  return http.request_headers.has_any(model::header_bit(KnownHeader::kXElasticClientMeta))
             ? kElasticsearch
             : std::string_view();
}

// A list of names, and neither a pattern nor what stands for all of them.
bool names_collections(std::string_view index) {
  return !index.empty() && index != "_all" && index.find('*') == std::string_view::npos;
}

}  // namespace

std::optional<SearchCall> find_search_call(const model::HttpExchange& http, std::string_view path,
                                           std::string_view user_agent) {
  SearchCall call;
  call.system = find_system(http, user_agent);
  if (call.system.empty()) {
    return std::nullopt;
  }
  call.endpoint = find_search_endpoint(http.method, path);
  if (call.system == kElasticsearch) {
    call.cluster = http.response_headers.find("x-found-handling-cluster");
    call.node = http.response_headers.find("x-found-handling-instance");
  }
  return call;
}

void add_search_call(const SearchCall& call, const model::HttpExchange& http,
                     size_t max_value_bytes, model::Span& span) {
  span.attributes.add_text("db.system.name", call.system);
  if (!call.endpoint.id.empty()) {
    span.attributes.add_text("db.operation.name", call.endpoint.id);
    span.name = call.endpoint.id;
    const std::string index = percent_decoded(call.endpoint.index);
    if (names_collections(index)) {
      const std::string text = to_text(index, max_value_bytes);
      span.attributes.add_text("db.collection.name", text);
      span.name.append(" ").append(text);
    }
    for (size_t i = 0; i < call.endpoint.part_count; ++i) {
      const SearchEndpoint::Part& part = call.endpoint.parts.at(i);
      span.attributes.add_text(part.key, to_text(percent_decoded(part.value), max_value_bytes));
    }
  }
  if (!call.cluster.empty()) {
    span.attributes.add_text("db.namespace", to_text(call.cluster, max_value_bytes));
  }
  if (!call.node.empty()) {
    span.attributes.add_text("elasticsearch.node.name", to_text(call.node, max_value_bytes));
  }
  if (http.status != 0) {
    span.attributes.add_text("db.response.status_code", std::to_string(http.status));
  }
}

}  // namespace zerospan::spans
