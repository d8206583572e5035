// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// NATS's lines as tests make them.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "agent/protocols/messaging_runner.h"
#include "agent/protocols/nats/connection.h"

namespace zerospan::protocols::nats {

inline constexpr const char* kContext = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";

inline Connection make_connection(const model::Connection& connection, ParserCounters* counters,
                                  Shared* /*shared*/) {
  return {connection, Options{}, counters};
}
using Runner = MessagingRunner<make_connection>;

inline std::string info() {
  return "INFO {\"server_id\":\"" + std::string(300, 'S') + "\",\"nonce\":\"n\"} \r\n";
}
inline std::string connect(const std::string& rest = "\"verbose\":false") {
  return "CONNECT {\"pass\":\"secret\",\"jwt\":\"" + std::string(200, 'J') + "\"," + rest + "}\r\n";
}
inline std::string start() {
  return connect() + "PING\r\n";
}
inline std::string headers(const std::string& context, size_t before = 0) {
  return "NATS/1.0\r\nkey: " + std::string(before, 'v') + "\r\nTraceparent: " + context +
         "\r\n\r\n";
}
inline std::string line(const std::string& words, const std::string& above,
                        const std::string& body) {
  const std::string sizes = (above.empty() ? "" : std::to_string(above.size()) + " ") +
                            std::to_string(above.size() + body.size());
  return (above.empty() ? "" : "H") + words + " " + sizes + "\r\n" + above + body + "\r\n";
}
inline std::string pub(const std::string& subject, const std::string& body,
                       const std::string& above = "") {
  return line("PUB " + subject, above, body);
}
inline std::string msg(const std::string& subject, const std::string& body,
                       const std::string& above = "") {
  return line("MSG " + subject + " 7", above, body);
}

// What is told has names of its own.
inline std::vector<Step> random_session(std::mt19937_64& random, size_t turns) {
  const auto below = [&](uint64_t limit) { return random() % limit; };
  std::vector<Step> steps;
  steps.push_back({false, info()});
  steps.push_back({true, start()});
  steps.push_back({false, "PONG\r\n"});
  unsigned number = 0;
  for (size_t turn = 0; turn < turns; ++turn) {
    std::string client;
    std::string server;
    for (size_t count = 1 + below(4); count > 0; --count) {
      const std::string subject = "subject." + std::to_string(++number);
      const std::string body(below(4) == 0 ? 1500 : below(30), '0');
      const std::string above = below(3) == 0 ? headers(kContext, below(900)) : "";
      switch (below(6)) {
        case 0:
        case 1:
          client += pub(subject + (below(2) == 0 ? " _INBOX.x" : ""), body, above);
          break;
        case 2:
        case 3:
          server += msg(subject, body, above);
          break;
        case 4:
          client += "SUB " + subject + " queue 9\r\nUNSUB 9 5\r\nPING\r\n";
          server += "PONG\r\n";
          break;
        default:
          server +=
              "+OK\r\nPING\r\n-ERR 'Permissions Violation for Publish to \"" + subject + "\"'\r\n";
          break;
      }
    }
    for (auto& [request, bytes] : {std::pair(true, client), std::pair(false, server)}) {
      if (!bytes.empty()) {
        steps.push_back({request, bytes});
      }
    }
  }
  return steps;
}

}  // namespace zerospan::protocols::nats
