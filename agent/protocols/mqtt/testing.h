// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// MQTT's packets as tests make them.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "agent/protocols/messaging_runner.h"
#include "agent/protocols/mqtt/connection.h"

namespace zerospan::protocols::mqtt {

inline constexpr const char* kContext = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";

inline Connection make_connection(const model::Connection& connection, ParserCounters* counters,
                                  Shared* /*shared*/) {
  return {connection, Options{}, counters};
}
using Runner = MessagingRunner<make_connection>;

inline std::string be(uint64_t value, unsigned bytes) {
  std::string out;
  for (unsigned i = bytes; i-- > 0;) {
    out.push_back(static_cast<char>(value >> (8 * i)));
  }
  return out;
}
inline std::string variable(size_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7U) {
    out.push_back(static_cast<char>(value | 0x80U));
  }
  return out + static_cast<char>(value);
}
inline std::string text(const std::string& value) {
  return be(value.size(), 2) + value;
}
inline std::string packet(int first, const std::string& payload) {
  return static_cast<char>(first) + variable(payload.size()) + payload;
}
inline std::string connect(int version, const std::string& client = "client") {
  return packet(0x10, text("MQTT") + be(version, 1) + be(0xc2, 1) + be(60, 2) +
                          (version == 5 ? be(0, 1) : "") + text(client) + text("user") +
                          text("secret"));
}
inline std::string connected(int version, int reason = 0) {
  return packet(0x20, be(0, 1) + be(reason, 1) + (version == 5 ? be(0, 1) : ""));
}
struct Message {
  std::string topic;
  std::string body;
  int qos = 0;
  uint16_t id = 0;
  std::string context = {};
  int alias = 0;
};
inline std::string publish(int version, const Message& of, bool again = false) {
  std::string properties = of.alias != 0 ? be(0x23, 1) + be(of.alias, 2) : std::string();
  if (!of.context.empty()) {
    properties += be(1, 1) + be(1, 1) + be(0x26, 1) + text("other") + text("x") + be(0x26, 1) +
                  text("traceparent") + text(of.context);
  }
  return packet(0x30 | of.qos << 1 | (again ? 8 : 0),
                text(of.topic) + (of.qos != 0 ? be(of.id, 2) : "") +
                    (version == 5 ? variable(properties.size()) + properties : "") + of.body);
}
// Of 4: PUBACK, 5: PUBREC, 6: PUBREL, 7: PUBCOMP.
inline std::string ack(int type, uint16_t id, int reason = 0) {
  return packet(type << 4 | (type == 6 ? 2 : 0), be(id, 2) + (reason != 0 ? be(reason, 1) : ""));
}
inline std::string subscribe(int version, uint16_t id, const std::string& topic) {
  return packet(0x82, be(id, 2) + (version == 5 ? be(0, 1) : "") + text(topic) + be(1, 1));
}
inline std::string subscribed(int version, uint16_t id, int reason = 0) {
  return packet(0x90, be(id, 2) + (version == 5 ? be(0, 1) : "") + be(reason, 1));
}

// What is told has names of its own.
inline std::vector<Step> random_session(std::mt19937_64& random, size_t turns) {
  const auto below = [&](uint64_t limit) { return random() % limit; };
  const int version = below(2) == 0 ? 4 : 5;
  std::vector<Step> steps;
  steps.push_back({true, connect(version)});
  steps.push_back({false, connected(version)});
  uint16_t id = 0;
  for (size_t turn = 0; turn < turns; ++turn) {
    std::string client;
    std::string server;
    std::string rest;
    for (size_t count = 1 + below(4); count > 0; --count) {
      Message message;
      message.topic = "topic/" + std::to_string(++id);
      message.body = std::string(below(4) == 0 ? 1500 : below(30), '0');
      message.id = id;
      message.context = version == 5 && below(2) == 0 ? kContext : "";
      switch (below(5)) {
        case 0:
          client += publish(version, message);
          break;
        case 1:
          message.qos = 1;
          client += publish(version, message);
          server += ack(4, id, version == 5 && below(4) == 0 ? 0x87 : 0);
          break;
        case 2:
          message.qos = 2;
          client += publish(version, message);
          server += ack(5, id);
          rest += ack(6, id);
          steps.push_back({true, std::move(client)});
          steps.push_back({false, std::move(server)});
          steps.push_back({true, std::move(rest)});
          client.clear();
          rest.clear();
          server = ack(7, id);
          break;
        case 3:
          message.qos = static_cast<int>(below(3));
          server += publish(version, message);
          rest += message.qos == 1 ? ack(4, id) : packet(0xc0, "");
          break;
        default:
          client += subscribe(version, id, message.topic);
          server += subscribed(version, id);
          break;
      }
    }
    for (auto& [request, bytes] :
         {std::pair(true, client), std::pair(false, server), std::pair(true, rest)}) {
      if (!bytes.empty()) {
        steps.push_back({request, bytes});
      }
    }
  }
  return steps;
}

}  // namespace zerospan::protocols::mqtt
