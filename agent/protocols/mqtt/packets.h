// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What MQTT's packets tell, versions 3.1.1 and 5
// (https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html). Pure, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace zerospan::protocols::mqtt {

enum Type : uint8_t {
  kConnect = 1,
  kConnAck = 2,
  kPublish = 3,
  kPubAck = 4,
  kPubRec = 5,
  kPubRel = 6,
  kPubComp = 7,
  kSubscribe = 8,
  kSubAck = 9,
  kUnsubscribe = 10,
  kUnsubAck = 11,
  kPingReq = 12,
  kPingResp = 13,
  kDisconnect = 14,
  kAuth = 15,
};

struct Publish {
  std::string topic;  // empty: it has an alias
  uint16_t id = 0;    // 0: QoS 0
  uint16_t alias = 0;
  uint64_t body_size = 0;
  std::string traceparent;
  std::string correlation;  // if it is text
};
// `payload` is what was captured of `size` bytes. nullopt: it is none, or its topic was not
// captured. `known`: what is behind the topic was.
[[nodiscard]] std::optional<Publish> read_publish(uint8_t flags, unsigned version,
                                                  std::string_view payload, uint64_t size,
                                                  bool& known);

// An acknowledgement: of which packet, and the reason, 0x80 and more if it failed. Of many the
// first that failed.
struct Ack {
  uint16_t id = 0;
  uint8_t reason = 0;
};
[[nodiscard]] std::optional<Ack> read_ack(Type type, unsigned version, std::string_view payload);

struct Subscription {
  uint16_t id = 0;
  std::string topic;  // the only one
  uint32_t count = 0;
};
[[nodiscard]] std::optional<Subscription> read_subscription(Type type, unsigned version,
                                                            std::string_view payload);

// The version of a CONNECT; 0: it is none of those that are followed.
[[nodiscard]] unsigned read_version(std::string_view payload);

// "not_authorized"; empty: no error.
[[nodiscard]] std::string reason_name(Type type, unsigned version, uint8_t reason);

}  // namespace zerospan::protocols::mqtt
