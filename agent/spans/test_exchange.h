// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Makes exchanges for this folder's tests, benchmark and fuzz target.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/model/connection.h"
#include "agent/model/exchange.h"

namespace zerospan::spans::testing {

using Headers = std::vector<std::pair<std::string_view, std::string_view>>;

inline model::HeaderBlock make_headers(const Headers& headers) {
  model::HeaderBlock block;
  for (const auto& [name, value] : headers) {
    block.append_field(name, value);
  }
  return block;
}

inline model::Exchange make_exchange(model::Role role, std::string method, std::string target,
                                     uint16_t status, const Headers& request = {},
                                     const Headers& response = {}) {
  model::HttpExchange http;
  http.method = std::move(method);
  http.target = std::move(target);
  http.status = status;
  http.request_headers = make_headers(request);
  http.response_headers = make_headers(response);
  http.response_body_size = 512;
  model::Exchange exchange;
  exchange.role = role;
  exchange.request_start_ns = 1'000'000;
  exchange.request_end_ns = 1'010'000;
  exchange.response_start_ns = 3'000'000;
  exchange.response_end_ns = 3'500'000;
  exchange.payload = std::move(http);
  return exchange;
}

inline model::Connection make_connection(model::Role role) {
  model::Connection connection;
  connection.id = 7;
  connection.pid = 4242;
  connection.role = role;
  const bool server = role == model::Role::kServer;
  connection.local = {server ? "10.1.2.80" : "10.1.2.3",
                      static_cast<uint16_t>(server ? 8080 : 51234)};
  connection.peer = {server ? "10.1.2.3" : "10.1.2.80",
                     static_cast<uint16_t>(server ? 51234 : 8080)};
  return connection;
}

}  // namespace zerospan::spans::testing
