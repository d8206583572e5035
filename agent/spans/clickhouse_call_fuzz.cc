// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Requests to ClickHouse, whatever their bytes: what is told of a body's beginning is bounded by
// it, rows that follow a statement change nothing, and a query that was redacted has nothing left
// that redacting it again would take. Input: a byte of flags, one where to cut the body, a line
// with the target, and the body.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "agent/spans/clickhouse_call.h"
#include "agent/spans/test_exchange.h"
#include "agent/sql/statement.h"

namespace zerospan::spans {
namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

void run(std::string_view input) {
  if (input.size() < 2) {
    return;
  }
  const auto flags = static_cast<uint8_t>(input[0]);
  const auto cut = static_cast<uint8_t>(input[1]);
  input.remove_prefix(2);
  const std::string_view target_text = input.substr(0, input.find('\n'));
  const std::string_view body = input.substr(std::min(target_text.size() + 1, input.size()));
  testing::Headers request = {{"X-ClickHouse-Database", "d"}};
  if ((flags & 1U) != 0) {
    request.emplace_back("Content-Encoding", "gzip");
  }
  model::Exchange exchange = testing::make_exchange(
      model::Role::kClient, "POST", std::string(target_text), (flags & 2U) != 0 ? 404 : 200,
      request, {{"X-ClickHouse-Query-Id", "q"}, {"X-ClickHouse-Server-Display-Name", "s"}});
  auto& http = std::get<model::HttpExchange>(exchange.payload);
  http.request_body_start = body.substr(0, cut);
  http.request_body_size = body.size();
  http.response_body_start = body;
  require(is_clickhouse_call(http));
  const RequestTarget target = parse_request_target(http.method, http.target);
  const ClickhouseCall call =
      read_clickhouse_call(http, target, "text/plain", (flags & 4U) == 0, (flags & 8U) == 0);
  require(call.statement.size() <= target_text.size() + 1 + http.request_body_start.size());
  require(call.error_code.size() <= 9);
  const sql::WithoutRows again = sql::without_rows(call.statement);
  require(again.statement == call.statement);
  if (again.rows_next) {
    http.request_body_start += " more rows";
    http.request_body_size += 10;
    require(read_clickhouse_call(http, target, "text/plain", (flags & 4U) == 0, (flags & 8U) == 0)
                .statement.starts_with(call.statement));
  }
  std::string redacted;
  append_clickhouse_query(redacted, target.query, {}, SIZE_MAX);
  std::string twice;
  append_clickhouse_query(twice, redacted, {}, SIZE_MAX);
  require(redacted == twice);
}

}  // namespace
}  // namespace zerospan::spans

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  zerospan::spans::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
