// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/web_rpc.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <variant>

#include "agent/spans/span_builder.h"
#include "agent/spans/test_exchange.h"

namespace zerospan::spans {
namespace {

using testing::make_connection;
using testing::make_exchange;

// "system method", and what is there of status, original name and error.
std::string rpc_of(const model::Exchange& exchange) {
  auto builder = *SpanBuilder::make({});
  model::Span span;
  builder.build(exchange, make_connection(exchange.role), {}, {}, nullptr, {}, span);
  std::string out = span.name;
  for (const model::Attribute& one : span.attributes) {
    if (one.key.starts_with("rpc.") || one.key == "error.type") {
      out += " " + std::string(std::get<std::string_view>(one.value));
    }
  }
  return out;
}

model::Exchange call(std::string method, std::string target, uint16_t status,
                     const testing::Headers& fields, model::Role role = model::Role::kClient) {
  return make_exchange(role, std::move(method), std::move(target), status, fields);
}

TEST(WebRpc, Connect) {
  const testing::Headers unary = {{"Content-Type", "application/proto"},
                                  {"Connect-Protocol-Version", "1"}};
  EXPECT_EQ(rpc_of(call("POST", "/a.S/M", 200, unary)), "POST connectrpc a.S/M");
  EXPECT_EQ(rpc_of(call("POST", "/mounted/a.S/M?x=1", 200, unary)), "POST connectrpc a.S/M");
  EXPECT_EQ(rpc_of(call("POST", "/a.S/M", 429, unary)), "POST connectrpc a.S/M 429");
  EXPECT_EQ(rpc_of(call("POST", "/a.S/M", 200, {{"content-type", "application/connect+json"}})),
            "POST connectrpc a.S/M");
  EXPECT_EQ(rpc_of(call("GET", "/a.S/M?encoding=json&connect=v1&message=x", 200, {})),
            "GET connectrpc a.S/M");
  EXPECT_EQ(rpc_of(call("GET", "/a.S/M?disconnect=v1&connect=v12", 200, {})), "GET");
  EXPECT_EQ(rpc_of(call("GET", "/a.S/M", 200, unary)), "GET");
  EXPECT_EQ(rpc_of(call("POST", "/M", 200, unary)), "POST");
  EXPECT_EQ(rpc_of(call("POST", "/a.S/", 200, unary)), "POST");
  EXPECT_EQ(rpc_of(call("POST", "//M", 200, unary)), "POST");
  EXPECT_EQ(rpc_of(call("POST", "/a.S/M", 200, {{"Content-Type", "application/proto"}})), "POST");
}

TEST(WebRpc, GrpcWeb) {
  const testing::Headers fields = {{"Content-Type", "application/grpc-web+proto"}};
  model::Exchange exchange = call("POST", "/a.S/M", 200, fields);
  EXPECT_EQ(rpc_of(exchange), "POST grpc a.S/M");
  auto& http = std::get<model::HttpExchange>(exchange.payload);
  http.response_headers = testing::make_headers({{"Grpc-Status", "5"}});
  EXPECT_EQ(rpc_of(exchange), "POST grpc a.S/M NOT_FOUND NOT_FOUND");
  exchange.role = model::Role::kServer;
  EXPECT_EQ(rpc_of(exchange), "POST grpc a.S/M NOT_FOUND");
  http.response_headers = testing::make_headers({{"grpc-status", "0"}});
  EXPECT_EQ(rpc_of(exchange), "POST grpc a.S/M OK");
  http.response_headers = testing::make_headers({{"grpc-status", "5x"}});
  EXPECT_EQ(rpc_of(exchange), "POST grpc a.S/M");
  EXPECT_EQ(rpc_of(call("POST", "/a.S/M", 200, {{"content-type", "application/grpc-web-text"}})),
            "POST grpc a.S/M");
  EXPECT_EQ(rpc_of(call("POST", "/a.S/M", 200, {{"content-type", "application/grpc-webby"}})),
            "POST");
}

// Names that nobody implements are anybody's.
TEST(WebRpc, UnknownMethodsOfAServer) {
  const testing::Headers unary = {{"Connect-Protocol-Version", "1"}};
  EXPECT_EQ(rpc_of(call("POST", "/a.S/X", 404, unary, model::Role::kServer)),
            "POST connectrpc _OTHER a.S/X");
  EXPECT_EQ(rpc_of(call("POST", "/a.S/X", 501, unary, model::Role::kServer)),
            "POST connectrpc _OTHER a.S/X 501");
  model::Exchange failed = call("POST", "/a.S/M", 404, unary, model::Role::kServer);
  std::get<model::HttpExchange>(failed.payload).response_headers =
      testing::make_headers({{"Content-Type", "application/json"}});
  EXPECT_EQ(rpc_of(failed), "POST connectrpc a.S/M");
  EXPECT_EQ(rpc_of(call("POST", "/a.S/X", 404, unary)), "POST connectrpc a.S/X 404");
}

}  // namespace
}  // namespace zerospan::spans
