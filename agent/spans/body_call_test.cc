// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/body_call.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <variant>

#include "agent/spans/graphql_document.h"
#include "agent/spans/span_builder.h"
#include "agent/spans/test_exchange.h"

namespace zerospan::spans {
namespace {

struct Call {
  std::string body;
  std::string answer;
  std::string target = "/";
  std::string content_type = "application/json";
  model::Role role = model::Role::kClient;
  uint16_t status = 200;
};

// What the bodies added to the span, in the order in which it was added.
std::string told(const Call& call) {
  model::Exchange exchange = testing::make_exchange(call.role, "POST", call.target, call.status,
                                                    {{"Content-Type", call.content_type}});
  auto& http = std::get<model::HttpExchange>(exchange.payload);
  http.request_body_start = call.body;
  http.request_body_size = call.body.size();
  http.response_body_start = call.answer;
  auto builder = *SpanBuilder::make({});
  model::Span span;
  builder.build(exchange, testing::make_connection(call.role), {}, {}, nullptr, {}, span);
  std::string out = span.name;
  for (const model::Attribute& one : span.attributes) {
    for (const std::string_view prefix : {"rpc.", "jsonrpc.", "graphql.", "error."}) {
      if (one.key.starts_with(prefix)) {
        out +=
            " " + std::string(one.key) + "=" + std::string(std::get<std::string_view>(one.value));
      }
    }
  }
  return out + (span.status == model::StatusCode::kError ? " failed" : "");
}

constexpr std::string_view kJsonRpc = "POST rpc.system.name=jsonrpc jsonrpc.protocol.version=2.0 ";

TEST(JsonRpc, RequestsAndAnswers) {
  EXPECT_EQ(told({R"({"jsonrpc":"2.0","method":"add","params":[1,2],"id":7})",
                  R"({"jsonrpc":"2.0","id":7,"result":3})"}),
            std::string(kJsonRpc) + "rpc.method=add jsonrpc.request.id=7");
  EXPECT_EQ(told({R"({"id":"a\"b","params":{"method":"no"},"method":"x/y","jsonrpc":"2.0"})", ""}),
            std::string(kJsonRpc) + "rpc.method=x/y jsonrpc.request.id=a\"b");
  // A notification, and an id that says nothing.
  EXPECT_EQ(told({R"({"jsonrpc":"2.0","method":"note"})", ""}),
            std::string(kJsonRpc) + "rpc.method=note");
  EXPECT_EQ(told({R"({"jsonrpc":"2.0","method":"note","id":null})", ""}),
            std::string(kJsonRpc) + "rpc.method=note");
}

TEST(JsonRpc, Errors) {
  const std::string request = R"({"jsonrpc":"2.0","method":"add","id":7})";
  const std::string base = std::string(kJsonRpc) + "rpc.method=add jsonrpc.request.id=7";
  EXPECT_EQ(told({request, R"({"jsonrpc":"2.0","id":7,"error":{"message":"no","code":-32602}})"}),
            base + " rpc.response.status_code=-32602 error.type=-32602 failed");
  EXPECT_EQ(told({request, R"({"jsonrpc":"2.0","error":{"message":"cut)"}),
            base + " error.type=_OTHER failed");
  EXPECT_EQ(told({request, R"({"jsonrpc":"2.0","error":{"code":-320)"}),
            base + " error.type=_OTHER failed");
  EXPECT_EQ(told({request, R"({"jsonrpc":"2.0","error":null,"result":1})"}), base);
  // No answer of JSON-RPC's.
  EXPECT_EQ(told({request, R"({"error":{"code":5}})"}), base);
  EXPECT_EQ(told({request, "<html>"}), base);
  // HTTP has said it already.
  EXPECT_EQ(told({request, R"({"jsonrpc":"2.0","id":7,"error":{"code":-32603}})", "/",
                  "application/json", model::Role::kClient, 500}),
            "POST error.type=500 rpc.system.name=jsonrpc jsonrpc.protocol.version=2.0 "
            "rpc.method=add jsonrpc.request.id=7 rpc.response.status_code=-32603 failed");
}

TEST(JsonRpc, MethodsThatTheServerDoesNotHave) {
  Call call{R"({"jsonrpc":"2.0","method":"made-up","id":1})",
            R"({"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}})"};
  const std::string error = " rpc.response.status_code=-32601 error.type=-32601 failed";
  EXPECT_EQ(told(call), std::string(kJsonRpc) + "rpc.method=made-up jsonrpc.request.id=1" + error);
  call.role = model::Role::kServer;
  EXPECT_EQ(told(call), std::string(kJsonRpc) +
                            "rpc.method=_OTHER rpc.method_original=made-up jsonrpc.request.id=1" +
                            error);
}

TEST(JsonRpc, OthersAreNone) {
  for (const std::string_view body :
       {R"({"method":"add","id":1})", R"({"jsonrpc":"1.0","method":"add"})",
        R"({"jsonrpc":2.0,"method":"add"})", R"([{"jsonrpc":"2.0","method":"add","id":1}])",
        R"({"jsonrpc":"2.0","method":7})", R"({"jsonrpc":"2.0","id":1,"result":3})",
        R"({"a":{"jsonrpc":"2.0","method":"add"}})", R"("jsonrpc")",
        // Cut before it is known what this is.
        R"({"method":"add","params":["jsonrpc)", R"({"jsonrpc":"2.0","params":[],"method":"ad)"}) {
    EXPECT_EQ(told({std::string(body), ""}), "POST") << body;
  }
}

TEST(Graphql, Operations) {
  EXPECT_EQ(told({R"({"query":"query Hero($id: ID!) { hero(id: $id) { name } }"})", ""}),
            "POST graphql.operation.type=query graphql.operation.name=Hero");
  EXPECT_EQ(told({R"({"query":"mutation { add(text: \"}\") }","variables":{}})", ""}),
            "POST graphql.operation.type=mutation");
  EXPECT_EQ(told({R"({"operationName":"B","query":"query A {a} subscription B {b}"})", ""}),
            "POST graphql.operation.type=subscription graphql.operation.name=B");
  EXPECT_EQ(told({R"({"operationName":null,"query":"query A {a}"})", ""}),
            "POST graphql.operation.type=query graphql.operation.name=A");
  EXPECT_EQ(told({"mutation Add @live { add }", "", "/x", "application/graphql; charset=utf-8"}),
            "POST graphql.operation.type=mutation graphql.operation.name=Add");
  // Nothing says which one runs, or there is none of that name.
  EXPECT_EQ(told({R"({"query":"query A {a} query B {b}"})", ""}), "POST");
  EXPECT_EQ(told({R"({"operationName":"C","query":"query A {a} query B {b}"})", ""}), "POST");
}

TEST(Graphql, CutBodies) {
  // The name came first; its operation is in what is there, or behind it.
  EXPECT_EQ(told({R"({"operationName":"A","query":"query A { a b )", ""}),
            "POST graphql.operation.type=query graphql.operation.name=A");
  EXPECT_EQ(told({R"({"operationName":"B","query":"query A { a b )", ""}),
            "POST graphql.operation.name=B");
  // Another operation may follow, and a name that asks for it.
  EXPECT_EQ(told({R"({"query":"query A { a b )", ""}), "POST");
  EXPECT_EQ(told({R"({"operationName":"A","query":"query A)", ""}), "POST");
  // The document is whole, what follows is not.
  EXPECT_EQ(told({R"({"query":"query A {a}","variables":{"x)", ""}),
            "POST graphql.operation.type=query graphql.operation.name=A");
}

TEST(Graphql, QueriesWithoutAKeyword) {
  const std::string body = R"({"query":"{ hero { name } }"})";
  EXPECT_EQ(told({body, ""}), "POST");
  EXPECT_EQ(told({body, "", "/api/graphql?x"}), "POST graphql.operation.type=query");
}

TEST(Graphql, OthersAreNone) {
  for (const std::string_view query :
       {"select * from t", "query", "query of words", "type:user AND name:x", "mutation", "{}",
        "query A {}", "query A { a } garbage", "query { 1 }", "query A { a(b: [1}) }",
        "fragment F on T { a }", "schema { query: Q }", "{job=\\\"x\\\"}", "query A { a } }", ""}) {
    const std::string body = R"({"query":")" + std::string(query) + "\"}";
    EXPECT_EQ(told({body, "", "/graphql"}), "POST") << query;
  }
  EXPECT_EQ(told({R"({"query":{"match_all":{}}})", "", "/graphql"}), "POST");
  EXPECT_EQ(told({R"([{"query":"query A {a}"}])", "", "/graphql"}), "POST");
}

TEST(GraphqlDocument, CutAnywhere) {
  constexpr std::string_view kWhole =
      "\xef\xbb\xbf# a comment\nquery A($x: [Int!] = [1, -2.5e3], $s: String = \"}\\\"\") @d(if: "
      "true) { a: b(c: {d: [E, $x]}, t: \"\"\"block \\\"\"\" } \"\"\") { ...F ... on T @e { g } "
      "... "
      "@f { h } } }\nfragment F on T { id }\nmutation B { b }\n";
  const GraphqlDocument whole = read_graphql(kWhole, false);
  ASSERT_TRUE(whole.valid && whole.whole);
  ASSERT_EQ(whole.count, 2U);
  EXPECT_EQ(whole.operations[0].name, "A");
  EXPECT_EQ(whole.operations[1].type, "mutation");
  for (size_t size = 0; size < kWhole.size(); ++size) {
    const GraphqlDocument cut = read_graphql(kWhole.substr(0, size), true);
    EXPECT_FALSE(cut.whole) << size;
    EXPECT_EQ(cut.valid, cut.count > 0) << size;
    for (size_t i = 0; i < cut.count; ++i) {
      EXPECT_EQ(cut.operations.at(i).name, whole.operations.at(i).name) << size;
      EXPECT_EQ(cut.operations.at(i).type, whole.operations.at(i).type) << size;
    }
  }
}

}  // namespace
}  // namespace zerospan::spans
