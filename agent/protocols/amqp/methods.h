// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What AMQP's methods and content headers tell
// (https://www.rabbitmq.com/resources/specs/amqp0-9-1.extended.xml, and RabbitMQ's extensions:
// basic.nack, exchange.bind, confirm.select). Pure, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/protocols/byte_reader.h"

namespace zerospan::protocols::amqp {

// Class and number.
constexpr uint32_t method_id(uint16_t group, uint16_t number) {
  return static_cast<uint32_t>(group) << 16U | number;
}

enum Method : uint32_t {
  kConnectionClose = method_id(10, 50),
  kChannelOpen = method_id(20, 10),
  kChannelClose = method_id(20, 40),
  kChannelCloseOk = method_id(20, 41),
  kQueueDeclareOk = method_id(50, 11),
  kBasicConsume = method_id(60, 20),
  kBasicConsumeOk = method_id(60, 21),
  kBasicCancel = method_id(60, 30),
  kBasicCancelOk = method_id(60, 31),
  kBasicPublish = method_id(60, 40),
  kBasicReturn = method_id(60, 50),
  kBasicDeliver = method_id(60, 60),
  kBasicGet = method_id(60, 70),
  kBasicGetOk = method_id(60, 71),
  kBasicGetEmpty = method_id(60, 72),
  kBasicAck = method_id(60, 80),
  kBasicReject = method_id(60, 90),
  kBasicNack = method_id(60, 120),
  kConfirmSelect = method_id(85, 10),
};

class Reader : public ByteReader {
 public:
  using ByteReader::ByteReader;
  std::string_view read_short_string() { return read_bytes(read(1)); }
  std::string_view read_long_string() { return read_bytes(read(4)); }
};

// A client's method that the server answers, with no content on either side but get's answer.
struct Call {
  std::string_view name;  // static
  uint32_t answer = 0;
  std::string queue;         // or exchange: what it is about
  std::string tag;           // a consumer's
  bool without_ack = false;  // a consumer's, or of what is got
  bool answered = true;      // false: no-wait
};
// nullopt: it is none of these.
[[nodiscard]] std::optional<Call> read_call(uint32_t method, std::string_view arguments);

struct ContentHeader {
  uint64_t body_size = 0;
  std::string traceparent;
  std::string message_id;
  std::string correlation_id;
};
// nullopt: it is none. What was not captured of it is empty; its first 12 bytes must be there.
[[nodiscard]] std::optional<ContentHeader> read_content_header(std::string_view payload);

// As the conventions name a destination: what is not empty of these, "amq.default" if nothing is.
[[nodiscard]] std::string join_destination(std::string_view exchange, std::string_view routing_key,
                                           std::string_view queue);

// Does a frame of a method, or a protocol header, begin here, and whose is it?
enum class Begin { kNo, kClient, kServer };
[[nodiscard]] Begin begins(std::string_view bytes);

}  // namespace zerospan::protocols::amqp
