// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Statements that are sent to ClickHouse over HTTP (https://clickhouse.com/docs/interfaces/http).
// Their spans are HTTP spans, with the attributes and the name of a database's. Pure functions over
// hostile bytes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "agent/model/exchange.h"
#include "agent/spans/http_target.h"

namespace zerospan::spans {

struct ClickhouseCall {
  std::string database;    // empty: not known
  std::string statement;   // without rows that it may fill a table with; empty: not known
  bool cut = false;        // `statement` is only the beginning
  std::string error_code;  // of an exception; empty: there was none, or it is not known
};

// By the header fields that only this server's answers and its clients' requests have; a path alone
// is no evidence.
[[nodiscard]] inline bool is_clickhouse_call(const model::HttpExchange& http) {
  using model::header_bit;
  using model::KnownHeader;
  return http.response_headers.has_any(header_bit(KnownHeader::kXClickhouseServerDisplayName) |
                                       header_bit(KnownHeader::kXClickhouseQueryId)) ||
         http.request_headers.has_any(header_bit(KnownHeader::kXClickhouseUser) |
                                      header_bit(KnownHeader::kXClickhouseKey) |
                                      header_bit(KnownHeader::kXClickhouseDatabase));
}

// There is no answer that says whose the request was, but it may have been ClickHouse's: its query
// must be told as if it was.
[[nodiscard]] bool may_be_clickhouse_query(const model::HttpExchange& http,
                                           const RequestTarget& target);

// Of an exchange that is_clickhouse_call(). `head_whole`: all of the request's head was seen;
// `complete`: all of the exchange.
[[nodiscard]] ClickhouseCall read_clickhouse_call(const model::HttpExchange& http,
                                                  const RequestTarget& target,
                                                  std::string_view content_type, bool head_whole,
                                                  bool complete);

// As append_redacted_query(), but only of parameters that steer the interface itself the values
// stay: others are statements, their parameters, passwords, or anything.
void append_clickhouse_query(std::string& out, std::string_view query,
                             const std::vector<std::string>& keys, size_t limit);

}  // namespace zerospan::spans
