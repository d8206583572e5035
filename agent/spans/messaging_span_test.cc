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

model::Span build(const model::Exchange& exchange) {
  auto builder = SpanBuilder::make({});
  EXPECT_TRUE(builder);
  model::Span span;
  builder->build(exchange, testing::make_connection(exchange.role), {}, {}, nullptr, {}, span);
  return span;
}

model::Exchange make_send(Role role) {
  model::Exchange exchange = testing::make_exchange(role, "", "", 0);
  model::MessagingExchange messaging;
  messaging.type = model::MessagingOperation::kSend;
  messaging.operation = "Produce";
  messaging.destination = "orders";
  messaging.partition = 3;
  messaging.message_count = 2;
  messaging.client_id = "shop";
  messaging.creation_contexts = {"00-0123456789abcdef0123456789abcdef-0123456789abcdef-01",
                                 "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01",
                                 "no context"};
  exchange.payload = std::move(messaging);
  return exchange;
}

std::map<std::string, std::string> attributes_of(const model::Span& span) {
  std::map<std::string, std::string> found;
  for (const model::Attribute& attribute : span.attributes) {
    if (const auto* number = std::get_if<int64_t>(&attribute.value)) {
      found[std::string(attribute.key)] = "#" + std::to_string(*number);
    } else if (const auto* text = std::get_if<std::string_view>(&attribute.value)) {
      found[std::string(attribute.key)] = *text;
    } else if (const auto* flag = std::get_if<bool>(&attribute.value)) {
      found[std::string(attribute.key)] = *flag ? "true" : "false";
    }
  }
  return found;
}

TEST(MessagingSpan, TemporaryDestinationIsNotInTheName) {
  model::Exchange exchange = make_send(Role::kClient);
  auto& messaging = std::get<model::MessagingExchange>(exchange.payload);
  messaging.system = model::MessagingSystem::kNats;
  messaging.operation = "publish";
  messaging.destination = "_INBOX.x1";
  messaging.temporary = true;
  const model::Span span = build(exchange);
  EXPECT_EQ(span.name, "publish");
  const auto attributes = attributes_of(span);
  EXPECT_EQ(attributes.at("messaging.system"), "nats");
  EXPECT_EQ(attributes.at("messaging.destination.name"), "_INBOX.x1");
  EXPECT_EQ(attributes.at("messaging.destination.temporary"), "true");
  EXPECT_EQ(attributes.at("messaging.destination.anonymous"), "true");
}

TEST(MessagingSpan, Send) {
  const model::Span span = build(make_send(Role::kClient));
  EXPECT_EQ(span.name, "Produce orders");
  EXPECT_EQ(span.kind, model::SpanKind::kClient);
  EXPECT_EQ(span.status, model::StatusCode::kUnset);
  const std::map<std::string, std::string> wanted = {{"messaging.system", "kafka"},
                                                     {"messaging.operation.name", "Produce"},
                                                     {"messaging.operation.type", "send"},
                                                     {"messaging.destination.name", "orders"},
                                                     {"messaging.destination.partition.id", "3"},
                                                     {"messaging.batch.message_count", "#2"},
                                                     {"messaging.client.id", "shop"},
                                                     {"server.address", "10.1.2.80"},
                                                     {"server.port", "#8080"},
                                                     {"network.peer.address", "10.1.2.80"},
                                                     {"network.peer.port", "#8080"}};
  EXPECT_EQ(attributes_of(span), wanted);
  ASSERT_EQ(span.links.size(), 1U);
  EXPECT_EQ(to_hex(span.links[0].span_id), "0123456789abcdef");
  EXPECT_FALSE(span.parent_span_id.valid());
}

TEST(MessagingSpan, Rabbitmq) {
  model::Exchange exchange = make_send(Role::kClient);
  auto& messaging = std::get<model::MessagingExchange>(exchange.payload);
  messaging = {};
  messaging.system = model::MessagingSystem::kRabbitmq;
  messaging.type = model::MessagingOperation::kReceive;
  messaging.operation = "deliver";
  messaging.destination = "logs:a.b:jobs";
  messaging.routing_key = "a.b";
  messaging.delivery_tag = 7;
  messaging.body_size = 300;
  messaging.message_id = "m1";
  messaging.conversation_id = "c1";
  const model::Span span = build(exchange);
  EXPECT_EQ(span.name, "deliver logs:a.b:jobs");
  const auto found = attributes_of(span);
  EXPECT_EQ(found.at("messaging.system"), "rabbitmq");
  EXPECT_EQ(found.at("messaging.operation.type"), "receive");
  EXPECT_EQ(found.at("messaging.rabbitmq.destination.routing_key"), "a.b");
  EXPECT_EQ(found.at("messaging.rabbitmq.message.delivery_tag"), "#7");
  EXPECT_EQ(found.at("messaging.message.body.size"), "#300");
  EXPECT_EQ(found.at("messaging.message.id"), "m1");
  EXPECT_EQ(found.at("messaging.message.conversation_id"), "c1");
}

TEST(MessagingSpan, WhatIsNotKnownIsLeftOut) {
  model::Exchange exchange = make_send(Role::kServer);
  auto& messaging = std::get<model::MessagingExchange>(exchange.payload);
  messaging = {};
  messaging.operation = "Fetch";
  messaging.type = model::MessagingOperation::kReceive;
  messaging.destination_id = "AQIDBAUGBwgJCgsMDQ4PEA";
  messaging.error_code = "OFFSET_OUT_OF_RANGE";
  const model::Span span = build(exchange);
  EXPECT_EQ(span.name, "Fetch");
  EXPECT_EQ(span.kind, model::SpanKind::kServer);
  EXPECT_EQ(span.status, model::StatusCode::kError);
  const auto found = attributes_of(span);
  EXPECT_EQ(found.at("error.type"), "OFFSET_OUT_OF_RANGE");
  EXPECT_EQ(found.at("zerospan.messaging.destination.id"), "AQIDBAUGBwgJCgsMDQ4PEA");
  EXPECT_EQ(found.count("messaging.destination.name"), 0U);
  EXPECT_EQ(found.count("messaging.batch.message_count"), 0U);
}

}  // namespace
}  // namespace zerospan::spans
