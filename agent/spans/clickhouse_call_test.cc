// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/clickhouse_call.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <variant>

#include "agent/spans/span_builder.h"
#include "agent/spans/test_exchange.h"

namespace zerospan::spans {
namespace {

const testing::Headers kAnswer = {{"X-ClickHouse-Server-Display-Name", "a"}};

struct Call {
  std::string target = "/";
  std::string body = {};
  testing::Headers request = {};
  testing::Headers answer = kAnswer;
  uint16_t status = 200;
  std::string answer_body = {};
  size_t kept = 1024;  // of the body
  std::string method = "POST";
  model::Role role = model::Role::kClient;
  uint32_t incomplete = model::kIncompleteNone;
  model::Outcome outcome = model::Outcome::kComplete;
  SpanBuilderOptions options = {};
};

model::Span span_of(const Call& call) {
  model::Exchange exchange = testing::make_exchange(call.role, call.method, call.target,
                                                    call.status, call.request, call.answer);
  exchange.incomplete = call.incomplete;
  exchange.outcome = call.outcome;
  auto& http = std::get<model::HttpExchange>(exchange.payload);
  http.request_body_start = call.body.substr(0, call.kept);
  http.request_body_size = call.body.size();
  http.response_body_start = call.answer_body;
  auto builder = *SpanBuilder::make(call.options);
  model::Span span;
  builder.build(exchange, testing::make_connection(call.role), {}, {}, nullptr, {}, span);
  return span;
}

// The span's name, and what it says of the data store.
std::string told(const Call& call) {
  const model::Span span = span_of(call);
  std::string out = span.name;
  for (const model::Attribute& one : span.attributes) {
    if (one.key.starts_with("db.") || one.key.starts_with("error.")) {
      out +=
          " | " + std::string(one.key) + "=" + std::string(std::get<std::string_view>(one.value));
    }
  }
  return out + (span.status == model::StatusCode::kError ? " failed" : "");
}

std::string text_of(const model::Span& span, std::string_view key) {
  for (const model::Attribute& one : span.attributes) {
    if (one.key == key) {
      return std::string(std::get<std::string_view>(one.value));
    }
  }
  return "none";
}

std::string text(const Call& call) {
  return text_of(span_of(call), "db.query.text");
}

TEST(ClickhouseCall, Statements) {
  EXPECT_EQ(
      told({"/?database=shop", "SELECT a FROM t WHERE b = 'x' FORMAT JSON"}),
      "SELECT t | db.system.name=clickhouse | db.namespace=shop | db.query.text=SELECT a FROM t "
      "WHERE b = ? FORMAT JSON | db.query.summary=SELECT t | db.operation.name=SELECT | "
      "db.collection.name=t");
  Call get{"/?query=SELECT+1%2B1+FROM%20t&user=u"};
  get.method = "GET";
  get.role = model::Role::kServer;
  EXPECT_EQ(told(get),
            "SELECT t | db.system.name=clickhouse | db.query.text=SELECT ?+? FROM t | "
            "db.query.summary=SELECT t | db.operation.name=SELECT | db.collection.name=t");
  // The parameter, a line's end, the body.
  EXPECT_EQ(text({"/?query=SELECT+a", "FROM t"}), "SELECT a FROM t");
  EXPECT_EQ(text({"/?query=SELECT+1--", "FROM t"}), "SELECT ? FROM t");
  EXPECT_EQ(text({"/?%71uery=SELECT+a", "FROM t"}), "SELECT a FROM t");
}

TEST(ClickhouseCall, Evidence) {
  const std::string statement = "SELECT 1";
  EXPECT_EQ(told({"/", statement, {}, {}}), "POST");
  EXPECT_EQ(told({"/", statement, {}, {{"X-ClickHouse-Query-Id", "q"}}}).substr(0, 6), "SELECT");
  for (const std::string_view field :
       {"x-clickhouse-user", "X-ClickHouse-Key", "X-CLICKHOUSE-DATABASE"}) {
    EXPECT_EQ(told({"/", statement, {{field, "u"}}, {}}),
              "SELECT | db.system.name=clickhouse | db.query.text=SELECT ? | "
              "db.query.summary=SELECT | db.operation.name=SELECT");
  }
}

// The names of fields that are known are compared in words, of which this one fills four.
TEST(ClickhouseCall, NamesOfFields) {
  EXPECT_EQ(model::recognise_header("x-cLickhouse-server-display-name"),
            model::KnownHeader::kXClickhouseServerDisplayName);
  for (size_t i = 0; i < 32; ++i) {
    std::string name = "x-clickhouse-server-display-name";
    name[i] = name[i] == 'q' ? 'z' : 'q';
    EXPECT_EQ(model::recognise_header(name), model::KnownHeader::kOther) << name;
  }
}

TEST(ClickhouseCall, RowsAreNotTold) {
  const std::string expected = "INSERT INTO t FORMAT CSV";
  EXPECT_EQ(text({"/?query=INSERT+INTO+t+FORMAT+CSV", "alpha,beta"}), expected);
  EXPECT_EQ(text({"/", "INSERT INTO t FORMAT CSV\nalpha,beta"}), expected);
  EXPECT_EQ(text({"/?query=INSERT+INTO+t", "(alpha) VALUES (1)"}), "INSERT INTO t");
  EXPECT_EQ(text({"/?query=INSERT+INTO+t", "FORMAT CSV alpha"}), "INSERT INTO t");
  EXPECT_EQ(told({"/", "INSERT INTO t (a) VALUES (1), ('alpha')" + std::string(2000, ' ')}),
            "INSERT t | db.system.name=clickhouse | db.query.text=INSERT INTO t (a) VALUES | "
            "db.query.summary=INSERT t | db.operation.name=INSERT | db.collection.name=t");
  // A body that is no statement: whose rows it is, is in the server's configuration.
  EXPECT_EQ(told({"/", "alpha,beta"}), "clickhouse | db.system.name=clickhouse");
  EXPECT_EQ(told({"/ingest?query=alpha", "SELECT beta"}), "clickhouse | db.system.name=clickhouse");
  EXPECT_EQ(told({"/?dialect=prql", "select \"alpha\""}), "clickhouse | db.system.name=clickhouse");
}

TEST(ClickhouseCall, WhatWasNotSeenIsNotTold) {
  // More than is kept: the last word may go on.
  Call call{"/", "SELECT abcdef FROM t"};
  call.kept = 10;
  EXPECT_EQ(told(call),
            "SELECT | db.system.name=clickhouse | db.query.text=SELECT | db.query.summary=SELECT");
  call = {"/?query=SELECT+abcdef+FROM+t"};
  call.incomplete = model::kHeadTruncated;
  EXPECT_EQ(text(call), "SELECT abcdef FROM");
  call.body = "def";
  EXPECT_EQ(text(call), "SELECT abcdef FROM");
  // The answer was not waited for: the request's end is known by its length only.
  call = {"/", "SELECT abc"};
  call.outcome = model::Outcome::kClosedEarly;
  EXPECT_EQ(text(call), "SELECT abc");
  call.request = {{"Content-Length", "10"}};
  EXPECT_EQ(text(call), "SELECT abc");
  call.request = {{"Content-Length", "11"}};
  EXPECT_EQ(text(call), "SELECT");
  call.request = {{"Transfer-Encoding", "chunked"}};
  EXPECT_EQ(text(call), "SELECT");
  call = {"/?query=SELECT+abc"};
  call.outcome = model::Outcome::kClosedEarly;
  EXPECT_EQ(text(call), "SELECT abc");
  // Compressed, or in parts: only the parameter is known, and not all of the statement.
  const std::string beginning =
      "SELECT t | db.system.name=clickhouse | db.query.text=SELECT a FROM t | "
      "db.query.summary=SELECT t";
  EXPECT_EQ(told({"/?query=SELECT+a+FROM+t&decompress=1", "xyz"}), beginning);
  EXPECT_EQ(told({"/?query=SELECT+a+FROM+t", "xyz", {{"Content-Encoding", "gzip"}}}), beginning);
  EXPECT_EQ(told({"/?query=SELECT+a+FROM+t", "xyz", {{"Content-Type", "Multipart/form-data; b"}}}),
            beginning);
  EXPECT_EQ(told({"/", "SELECT 1", {{"Content-Encoding", "zstd"}}}),
            "clickhouse | db.system.name=clickhouse");
  // Which of two counts.
  EXPECT_EQ(told({"/?query=SELECT+1&query=SELECT+a&database=d"}),
            "clickhouse | db.system.name=clickhouse");
}

TEST(ClickhouseCall, Database) {
  const testing::Headers newer = {{"X-ClickHouse-Server-Display-Name", "a"},
                                  {"X-ClickHouse-Query-Id", "q"}};
  const testing::Headers field = {{"X-ClickHouse-Database", "one"}};
  const auto database = [](const Call& call) { return text_of(span_of(call), "db.namespace"); };
  EXPECT_EQ(database({"/?database=a%20b"}), "a b");
  EXPECT_EQ(database({"/", "", field, newer}), "one");
  EXPECT_EQ(database({"/?database=one", "", field, newer}), "one");
  EXPECT_EQ(database({"/?database=two", "", field, newer}), "none");
  // Servers that are older do not know the field.
  EXPECT_EQ(database({"/", "", field}), "none");
  EXPECT_EQ(database({"/?database=two", "", field}), "two");
  Call cut{"/?database=tw"};
  cut.incomplete = model::kHeadTruncated;
  EXPECT_EQ(database(cut), "none");
}

TEST(ClickhouseCall, Errors) {
  const std::string base =
      "SELECT t | db.system.name=clickhouse | db.query.text=SELECT a FROM t | "
      "db.query.summary=SELECT t | db.operation.name=SELECT | db.collection.name=t";
  const std::string code = base + " | db.response.status_code=60 | error.type=60 failed";
  Call call{"/", "SELECT a FROM t",
            {},  kAnswer,
            404, "Code: 60, e.displayText() = DB::Exception: secret"};
  EXPECT_EQ(told(call), code);
  call.answer_body = "Code: 60. DB::Exception: secret";
  EXPECT_EQ(told(call), code);
  call.role = model::Role::kServer;
  EXPECT_EQ(told(call), code);
  call.role = model::Role::kClient;
  for (const std::string_view other :
       {"", "<html>", "Code: 6", "Code: x.", "Code: 0.", "Code: 1234567890."}) {
    call.answer_body = other;
    EXPECT_EQ(told(call), base + " | error.type=404 failed") << other;
  }
  call = {"/",
          "SELECT a FROM t",
          {},
          {{"X-ClickHouse-Query-Id", "q"}, {"X-ClickHouse-Exception-Code", "60"}}};
  EXPECT_EQ(told(call), code);
}

// Statements, their parameters and passwords are in the query too.
TEST(ClickhouseCall, QueriesAreRedacted) {
  const std::string target =
      "/?query=SELECT%20'secret'&user=secret&password=secret&param_a=secret&database=shop&secret&"
      "max_threads=31337&%71uery=secret&se%20cret=1&quota_key=&query_id=abc&&wait_end_of_query=1";
  const std::string expected =
      "query=REDACTED&user=REDACTED&password=REDACTED&param_a=REDACTED&database=shop&REDACTED&"
      "max_threads=REDACTED&REDACTED&REDACTED&quota_key=&query_id=abc&&wait_end_of_query=1";
  Call call{target};
  EXPECT_EQ(text_of(span_of(call), "url.full"), "http://10.1.2.80:8080/?" + expected);
  call.role = model::Role::kServer;
  EXPECT_EQ(text_of(span_of(call), "url.query"), expected);
  call.options.redacted_query_keys = {"database"};
  EXPECT_NE(text_of(span_of(call), "url.query").find("database=REDACTED"), std::string::npos);
  // No answer says whose it was.
  call = {target};
  call.answer = {};
  call.status = 0;
  EXPECT_EQ(text_of(span_of(call), "url.full"), "http://10.1.2.80:8080/?" + expected);
  EXPECT_EQ(span_of(call).name, "POST");
  // An answer that is another's.
  call = {"/?query=a&user=b", "", {}, {}};
  EXPECT_EQ(text_of(span_of(call), "url.full"), "http://10.1.2.80:8080/?query=a&user=b");
}

}  // namespace
}  // namespace zerospan::spans
