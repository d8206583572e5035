// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// AMQP's frames as tests make them.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "agent/protocols/amqp/connection.h"
#include "agent/protocols/messaging_runner.h"

namespace zerospan::protocols::amqp {

inline constexpr const char* kContext = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";
// What a client sends as its user and password.
inline const std::string kSecret("\0guest\0secret", 13);
inline const std::string kProtocol("AMQP\0\0\x09\x01", 8);

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
inline std::string text(const std::string& value) {
  return be(value.size(), 1) + value;
}
inline std::string long_text(const std::string& value) {
  return be(value.size(), 4) + value;
}
inline std::string frame(int type, int channel, const std::string& payload) {
  return be(type, 1) + be(channel, 2) + be(payload.size(), 4) + payload + '\xce';
}
inline std::string method(int channel, int group, int number, const std::string& arguments = "") {
  return frame(1, channel, be(group, 2) + be(number, 2) + arguments);
}
inline std::string content(int channel, const std::string& body, const std::string& context = "",
                           size_t frame_bytes = 4096) {
  std::string out;
  if (context.empty()) {
    out = frame(2, channel, be(60, 4 - 2) + be(0, 2) + be(body.size(), 8) + be(0, 2));
  } else {
    const std::string table =
        text("nested") + "F" + long_text(text("traceparent") + "S" + long_text("not this one")) +
        text("count") + "I" + be(7, 4) + text("traceparent") + "S" + long_text(context);
    out = frame(2, channel,
                be(60, 2) + be(0, 2) + be(body.size(), 8) + be(0xb000, 2) + text("text/plain") +
                    long_text(table) + be(2, 1));
  }
  for (size_t at = 0; at < body.size(); at += frame_bytes) {
    out += frame(3, channel, body.substr(at, frame_bytes));
  }
  return out;
}
inline std::string publish(int channel, const std::string& exchange, const std::string& key,
                           const std::string& body, const std::string& context = "") {
  return method(channel, 60, 40, be(0, 2) + text(exchange) + text(key) + be(0, 1)) +
         content(channel, body, context);
}
inline std::string deliver(int channel, uint64_t tag, const std::string& exchange,
                           const std::string& key, const std::string& body,
                           const std::string& context = "") {
  return method(channel, 60, 60, text("me") + be(tag, 8) + be(0, 1) + text(exchange) + text(key)) +
         content(channel, body, context);
}
inline std::string confirm(int channel, uint64_t tag, bool multiple = false) {
  return method(channel, 60, 80, be(tag, 8) + be(multiple ? 1 : 0, 1));
}
inline std::string nack(int channel, uint64_t tag, bool multiple = false) {
  return method(channel, 60, 120, be(tag, 8) + be(multiple ? 1 : 0, 1));
}
inline std::string consume(int channel, const std::string& queue, bool without_ack = false) {
  return method(channel, 60, 20,
                be(0, 2) + text(queue) + text("me") + be(without_ack ? 2 : 0, 1) + be(0, 4));
}
inline std::string closed(int channel, int code) {
  return method(channel, 20, 40, be(code, 2) + text("NO - never") + be(60, 2) + be(40, 2));
}

// Up to where methods and messages may come.
inline void open(Runner& runner, int channel = 1) {
  runner.ask(kProtocol);
  runner.answer(method(0, 10, 10, std::string(300, 's')));
  runner.ask(method(0, 10, 11, be(0, 4) + text("PLAIN") + long_text(kSecret) + text("C")));
  runner.answer(method(0, 10, 30, be(2047, 2) + be(131072, 4) + be(60, 2)));
  runner.ask(method(0, 10, 31, be(2047, 2) + be(131072, 4) + be(60, 2)) +
             method(0, 10, 40, text("/") + be(0, 2)));
  runner.answer(method(0, 10, 41, be(0, 1)));
  runner.ask(method(channel, 20, 10, be(0, 1)));
  runner.answer(method(channel, 20, 11, be(0, 4)));
}
inline void select_confirms(Runner& runner, int channel = 1) {
  runner.ask(method(channel, 85, 10, be(0, 1)));
  runner.answer(method(channel, 85, 11));
}

// A session of several channels: what is told has names of its own.
inline std::vector<Step> random_session(std::mt19937_64& random, size_t turns) {
  const auto below = [&](uint64_t limit) { return random() % limit; };
  std::vector<Step> steps;
  steps.push_back({true, kProtocol});
  std::map<int, uint64_t> published;
  std::map<int, uint64_t> delivered;
  for (int channel = 1; channel <= 3; ++channel) {
    steps.push_back({true, method(channel, 20, 10, be(0, 1))});
    steps.push_back({false, method(channel, 20, 11, be(0, 4))});
    if (channel == 2) {
      steps.push_back({true, method(channel, 85, 10, be(0, 1))});
      steps.push_back({false, method(channel, 85, 11)});
    }
  }
  int name = 0;
  for (size_t turn = 0; turn < turns; ++turn) {
    std::string client;
    std::string server;
    for (size_t count = 1 + below(4); count > 0; --count) {
      const int channel = static_cast<int>(1 + below(3));
      const std::string key = "k" + std::to_string(name++);
      const std::string body(below(4) == 0 ? 1500 : below(30), 'x');
      switch (below(4)) {
        case 0:
        case 1:
          client += publish(channel, "e", key, body, below(2) == 0 ? kContext : "");
          if (channel == 2) {
            server += confirm(2, ++published[2]);
          }
          break;
        case 2:
          server += deliver(channel, ++delivered[channel], "e", key, body);
          break;
        default:
          steps.push_back({true, method(channel, 50, 30, be(0, 2) + text(key) + be(0, 1))});
          steps.push_back({false, method(channel, 50, 31, be(0, 4))});
          break;
      }
    }
    if (!client.empty()) {
      steps.push_back({true, std::move(client)});
    }
    if (!server.empty()) {
      steps.push_back({false, std::move(server)});
    }
  }
  return steps;
}

}  // namespace zerospan::protocols::amqp
