// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Spans of calls to message brokers, by the conventions for messaging spans of 1.44.0, which are in
// development
// (https://github.com/open-telemetry/semantic-conventions/blob/v1.44.0/docs/messaging/messaging-spans.md).

#include <algorithm>

#include "agent/propagation/trace_headers.h"
#include "agent/spans/interruption.h"
#include "agent/spans/span_builder.h"
#include "agent/spans/text.h"

namespace zerospan::spans {
namespace {

std::string_view system_name(model::MessagingSystem system) {
  switch (system) {
    case model::MessagingSystem::kKafka:
      return "kafka";
    case model::MessagingSystem::kRabbitmq:
      return "rabbitmq";
    case model::MessagingSystem::kMqtt:
      return "mqtt";
    case model::MessagingSystem::kNats:
      return "nats";
  }
  return "_OTHER";
}

std::string_view type_name(model::MessagingOperation type) {
  switch (type) {
    case model::MessagingOperation::kSend:
      return "send";
    case model::MessagingOperation::kReceive:
      return "receive";
    case model::MessagingOperation::kSettle:
      return "settle";
    case model::MessagingOperation::kOther:
      break;
  }
  return {};
}

}  // namespace

// The kind stays client, or server for the broker itself: the convention wants producer only of a
// span whose own context the message carries, and nothing is put into messages here.
void SpanBuilder::build_messaging(const model::Exchange& exchange,
                                  const model::MessagingExchange& messaging,
                                  const model::Connection& connection, model::Span& span) const {
  add_text(span, "messaging.system", system_name(messaging.system));
  span.name = to_text(messaging.operation, options_.max_value_bytes);
  if (span.name.empty()) {
    span.name = system_name(messaging.system);
  } else {
    span.attributes.add_text("messaging.operation.name", span.name);
  }
  if (const std::string_view type = type_name(messaging.type); !type.empty()) {
    add_text(span, "messaging.operation.type", type);
  }
  if (!messaging.destination.empty()) {
    const std::string destination = to_text(messaging.destination, options_.max_value_bytes);
    if (messaging.temporary) {
      // Not in the name: there are as many as callers.
      span.attributes.add_bool("messaging.destination.temporary", true);
      span.attributes.add_bool("messaging.destination.anonymous", true);
    } else {
      span.name.append(" ").append(destination);
    }
    span.attributes.add_text("messaging.destination.name", destination);
  } else if (!messaging.destination_id.empty()) {
    add_text(span, "zerospan.messaging.destination.id", messaging.destination_id);
  }
  if (messaging.partition) {
    add_text(span, "messaging.destination.partition.id", std::to_string(*messaging.partition));
  }
  if (messaging.message_count) {
    span.attributes.add_int("messaging.batch.message_count",
                            static_cast<int64_t>(*messaging.message_count));
  }
  if (messaging.offset) {
    span.attributes.add_int("messaging.kafka.offset", *messaging.offset);
  }
  if (!messaging.routing_key.empty()) {
    add_text(span, "messaging.rabbitmq.destination.routing_key", messaging.routing_key);
  }
  if (messaging.delivery_tag) {
    span.attributes.add_int("messaging.rabbitmq.message.delivery_tag",
                            static_cast<int64_t>(*messaging.delivery_tag));
  }
  if (messaging.body_size) {
    span.attributes.add_int("messaging.message.body.size",
                            static_cast<int64_t>(*messaging.body_size));
  }
  if (!messaging.message_id.empty()) {
    add_text(span, "messaging.message.id", messaging.message_id);
  }
  if (!messaging.conversation_id.empty()) {
    add_text(span, "messaging.message.conversation_id", messaging.conversation_id);
  }
  if (!messaging.consumer_group.empty()) {
    add_text(span, "messaging.consumer.group.name", messaging.consumer_group);
  }
  if (!messaging.client_id.empty()) {
    add_text(span, "messaging.client.id", messaging.client_id);
  }
  add_store_address(connection, span);

  // Never a parent: whoever made the message need not have asked for this call.
  for (const std::string& context : messaging.creation_contexts) {
    const auto remote = propagation::parse_traceparent(context);
    if (remote && std::none_of(span.links.begin(), span.links.end(), [&](const model::Link& link) {
          return link.trace_id == remote->trace_id && link.span_id == remote->span_id;
        })) {
      span.links.push_back({remote->trace_id, remote->span_id, {}, {}});
    }
  }

  std::string_view error = interruption(exchange);
  if (!messaging.error_code.empty()) {
    error = messaging.error_code;
  }
  if (!error.empty()) {
    add_text(span, "error.type", error);
    span.status = model::StatusCode::kError;
  }
}

}  // namespace zerospan::spans
