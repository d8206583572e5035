// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "agent/spans/span_builder.h"
#include "agent/spans/test_exchange.h"

namespace zerospan::spans {
namespace {

using model::Role;
using Attributes = std::map<std::string, std::string>;

model::Span build(model::DbExchange db) {
  model::Exchange exchange = testing::make_exchange(Role::kClient, "", "", 0);
  db.system = model::DbSystem::kCassandra;
  exchange.payload = std::move(db);
  auto builder = SpanBuilder::make({});
  EXPECT_TRUE(builder);
  model::Span span;
  builder->build(exchange, testing::make_connection(Role::kClient), {}, {}, nullptr, {}, span);
  return span;
}

// Of the data store, and of the error.
Attributes attributes_of(const model::Span& span) {
  Attributes found;
  for (const model::Attribute& attribute : span.attributes) {
    const std::string key(attribute.key);
    if (const auto* number = std::get_if<int64_t>(&attribute.value)) {
      found[key] = "#" + std::to_string(*number);
    } else if (const auto* text = std::get_if<std::string_view>(&attribute.value)) {
      found[key] = *text;
    }
  }
  std::erase_if(found, [](const auto& it) {
    return it.first.starts_with("server.") || it.first.starts_with("network.");
  });
  return found;
}

TEST(Cassandra, Statement) {
  model::DbExchange db;
  db.statement = "SELECT name FROM shop.orders WHERE id = 'secret'";
  db.statement_known = true;
  db.database = "shop";
  db.consistency = "local_quorum";
  db.page_size = 5000;
  db.returned_rows = 3;
  const model::Span span = build(db);
  EXPECT_EQ(span.name, "SELECT shop.orders");
  const Attributes wanted = {{"db.system.name", "cassandra"},
                             {"db.namespace", "shop"},
                             {"db.query.text", "SELECT name FROM shop.orders WHERE id = ?"},
                             {"db.query.summary", "SELECT shop.orders"},
                             {"db.operation.name", "SELECT"},
                             {"db.collection.name", "shop.orders"},
                             {"cassandra.consistency.level", "local_quorum"},
                             {"cassandra.page.size", "#5000"},
                             {"db.response.returned_rows", "#3"}};
  EXPECT_EQ(attributes_of(span), wanted);
}

TEST(Cassandra, Batches) {
  model::DbExchange db;
  db.statement = "INSERT INTO orders (id) VALUES (?)";
  db.statement_known = true;
  db.batch_size = 3;
  Attributes found = attributes_of(build(db));
  EXPECT_EQ(found["db.query.summary"], "BATCH INSERT orders");
  EXPECT_EQ(found["db.operation.name"], "BATCH INSERT");
  EXPECT_EQ(found["db.collection.name"], "orders");
  EXPECT_EQ(found["db.operation.batch.size"], "#3");
  db.statement += "; DELETE FROM orders WHERE id = 1";
  const model::Span span = build(db);
  EXPECT_EQ(span.name, "BATCH");
  found = attributes_of(span);
  EXPECT_EQ(found["db.query.text"],
            "INSERT INTO orders (id) VALUES (?); DELETE FROM orders WHERE id = ?");
  EXPECT_EQ(found["db.operation.name"], "BATCH");
  EXPECT_EQ(found.count("db.collection.name"), 0U);
  // Nobody knows how many of them there are.
  db.statement_cut = true;
  EXPECT_EQ(build(db).name, "BATCH");
}

TEST(Cassandra, UnknownStatementAndError) {
  model::DbExchange db;
  db.operation = "EXECUTE";
  db.statement_id = "0123";
  db.failed = true;
  db.error_code = "9472";
  const model::Span span = build(db);
  EXPECT_EQ(span.name, "EXECUTE");
  EXPECT_EQ(span.status, model::StatusCode::kError);
  const Attributes wanted = {{"db.system.name", "cassandra"},
                             {"db.operation.name", "EXECUTE"},
                             {"zerospan.db.statement.id", "0123"},
                             {"db.response.status_code", "9472"},
                             {"error.type", "9472"}};
  EXPECT_EQ(attributes_of(span), wanted);
}

}  // namespace
}  // namespace zerospan::spans
