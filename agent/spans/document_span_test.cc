// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "agent/bson/testing.h"
#include "agent/spans/span_builder.h"
#include "agent/spans/test_exchange.h"

namespace zerospan::spans {
namespace {

using model::Role;

model::Span build(model::DbExchange db, QueryText query_text = QueryText::kSanitized) {
  model::Exchange exchange = testing::make_exchange(Role::kClient, "", "", 0);
  db.system = model::DbSystem::kMongodb;
  exchange.payload = std::move(db);
  SpanBuilderOptions options;
  options.query_text = query_text;
  auto builder = SpanBuilder::make(std::move(options));
  EXPECT_TRUE(builder);
  model::Span span;
  builder->build(exchange, testing::make_connection(Role::kClient), {}, {}, nullptr, {}, span);
  return span;
}

// Of the data store, and of the error.
std::map<std::string, std::string> attributes_of(const model::Span& span) {
  std::map<std::string, std::string> found;
  for (const model::Attribute& attribute : span.attributes) {
    if (!attribute.key.starts_with("db.") && attribute.key != "error.type") {
      continue;
    }
    if (const auto* number = std::get_if<int64_t>(&attribute.value)) {
      found[std::string(attribute.key)] = "#" + std::to_string(*number);
    } else if (const auto* text = std::get_if<std::string_view>(&attribute.value)) {
      found[std::string(attribute.key)] = *text;
    }
  }
  return found;
}

using Attributes = std::map<std::string, std::string>;

model::DbExchange update() {
  model::DbExchange db;
  db.operation = "update";
  db.collection = "users";
  db.database = "shop";
  db.statement = bson::body(bson::text("update", "users") + bson::text("$db", "shop")) +
                 bson::sequence("updates", bson::document(bson::text("q", "secret")));
  db.statement_known = true;
  db.batch_size = 2;
  db.failed = true;
  db.error_code = "11000";
  return db;
}

TEST(DocumentSpan, Attributes) {
  const model::Span span = build(update());
  EXPECT_EQ(span.name, "update users");
  EXPECT_EQ(span.status, model::StatusCode::kError);
  EXPECT_EQ(attributes_of(span),
            (Attributes{{"db.system.name", "mongodb"},
                        {"db.namespace", "shop"},
                        {"db.collection.name", "users"},
                        {"db.operation.name", "update"},
                        {"db.operation.batch.size", "#2"},
                        {"db.query.text", R"({"update": "users", "updates": [{"q": "?"}]})"},
                        {"db.response.status_code", "11000"},
                        {"error.type", "11000"}}));
}

TEST(DocumentSpan, TextAsItIsConfigured) {
  EXPECT_EQ(attributes_of(build(update(), QueryText::kRaw))["db.query.text"],
            R"({"update": "users", "updates": [{"q": "secret"}]})");
  EXPECT_EQ(attributes_of(build(update(), QueryText::kOff)).count("db.query.text"), 0U);
}

TEST(DocumentSpan, WithoutWhatIsNotKnown) {
  model::DbExchange ping;
  ping.operation = "ping";
  ping.database = "admin";
  EXPECT_EQ(build(ping).name, "ping admin");
  ping.database.clear();
  EXPECT_EQ(build(ping).name, "ping");
  EXPECT_EQ(build({}).name, "mongodb");
  EXPECT_EQ(attributes_of(build({})), (Attributes{{"db.system.name", "mongodb"}}));
}

}  // namespace
}  // namespace zerospan::spans
