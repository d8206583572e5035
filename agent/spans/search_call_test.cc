// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/search_call.h"

#include <gtest/gtest.h>

#include <string>
#include <variant>

#include "agent/spans/span_builder.h"
#include "agent/spans/test_exchange.h"

namespace zerospan::spans {
namespace {

const testing::Headers kElastic = {{"X-elastic-product", "Elasticsearch"}};

std::string told(const std::string& method, const std::string& target,
                 const testing::Headers& request = {}, const testing::Headers& answer = kElastic,
                 model::Role role = model::Role::kClient) {
  auto builder = *SpanBuilder::make({});
  model::Span span;
  builder.build(testing::make_exchange(role, method, target, 200, request, answer),
                testing::make_connection(role), {}, {}, nullptr, {}, span);
  std::string out = span.name;
  for (const model::Attribute& one : span.attributes) {
    if (one.key.starts_with("db.") || one.key.starts_with("elasticsearch.")) {
      out += " | " + std::string(one.key.substr(one.key.find('.') + 1)) + "=" +
             std::string(std::get<std::string_view>(one.value));
    }
  }
  return out;
}

TEST(SearchCall, Endpoints) {
  EXPECT_EQ(told("POST", "/a-1/_search?q=x"),
            "search a-1 | system.name=elasticsearch | operation.name=search | "
            "collection.name=a-1 | operation.parameter.index=a-1 | response.status_code=200");
  EXPECT_EQ(told("PUT", "/a/_doc/1%2F2"),
            "index a | system.name=elasticsearch | operation.name=index | collection.name=a | "
            "operation.parameter.index=a | operation.parameter.id=1/2 | response.status_code=200");
  EXPECT_EQ(told("GET", "/a%2Cb/_doc/_x", {}, kElastic, model::Role::kServer),
            "get a,b | system.name=elasticsearch | operation.name=get | collection.name=a,b | "
            "operation.parameter.index=a,b | operation.parameter.id=_x | "
            "response.status_code=200");
  // Patterns are no collection's name.
  EXPECT_EQ(told("GET", "/logs-*/_count"),
            "count | system.name=elasticsearch | operation.name=count | "
            "operation.parameter.index=logs-* | response.status_code=200");
  EXPECT_EQ(told("HEAD", "/"),
            "ping | system.name=elasticsearch | operation.name=ping | response.status_code=200");
}

std::string id(std::string_view method, std::string_view path) {
  return std::string(find_search_endpoint(method, path).id);
}

TEST(SearchEndpoint, Table) {
  EXPECT_EQ(id("GET", "/_search/scroll"), "scroll");
  EXPECT_EQ(id("DELETE", "/_search/scroll/abc"), "clear_scroll");
  EXPECT_EQ(id("GET", "/_all/_search"), "search");
  EXPECT_EQ(id("PUT", "/a"), "indices.create");
  EXPECT_EQ(id("PUT", "/a/"), "indices.create");
  EXPECT_EQ(id("POST", "/a/_doc"), "index");
  EXPECT_EQ(id("POST", "/_ingest/pipeline/_simulate"), "ingest.simulate");
  EXPECT_EQ(id("GET", "/_cluster/state/nodes/a"), "cluster.state");
  // Not in the table, or not with this method.
  for (const auto& [method, path] :
       std::initializer_list<std::pair<const char*, const char*>>{{"GET", "/_security/user"},
                                                                  {"POST", "/a"},
                                                                  {"PATCH", "/a"},
                                                                  {"PUT", "/_search"},
                                                                  {"GET", "/_unknown"},
                                                                  {"GET", "/a/b/c"},
                                                                  {"GET", "//"},
                                                                  {"GET", ""},
                                                                  {"GET", "a"},
                                                                  {"GET", "/a//_doc"},
                                                                  {"GET", "/a/_doc/"},
                                                                  {"?", "/"}}) {
    EXPECT_EQ(id(method, path), "") << method << path;
  }
}

TEST(SearchCall, Evidence) {
  const std::string unknown = "GET | system.name=";
  const std::string path = "/_security/user";
  EXPECT_EQ(told("GET", path), unknown + "elasticsearch | response.status_code=200");
  EXPECT_EQ(told("GET", path, {{"x-elastic-client-meta", "es=8.1"}}, {}),
            unknown + "elasticsearch | response.status_code=200");
  EXPECT_EQ(told("GET", path, {{"User-Agent", "opensearch-py/3.0.0 (Python 3.11.2)"}}, {}),
            unknown + "opensearch | response.status_code=200");
  // The answer knows better than the client.
  EXPECT_EQ(told("GET", path, {{"User-Agent", "opensearch-py/1.0.0 (Python 3.11.2)"}}),
            unknown + "elasticsearch | response.status_code=200");
  // A path alone says nothing.
  EXPECT_EQ(told("POST", "/a/_search", {{"User-Agent", "curl/8"}}, {}), "POST");
  EXPECT_EQ(told("POST", "/a/_search", {}, {{"X-elastic-product", "other"}}), "POST");
}

TEST(SearchCall, ElasticCloud) {
  EXPECT_EQ(told("HEAD", "/", {},
                 {{"X-elastic-product", "Elasticsearch"},
                  {"X-Found-Handling-Cluster", "c1"},
                  {"X-Found-Handling-Instance", "instance-1"}}),
            "ping | system.name=elasticsearch | operation.name=ping | namespace=c1 | "
            "node.name=instance-1 | response.status_code=200");
}

}  // namespace
}  // namespace zerospan::spans
