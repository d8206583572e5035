// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/clickhouse_call.h"

#include <algorithm>
#include <array>
#include <utility>

#include "agent/spans/text.h"
#include "agent/sql/statement.h"
#include "agent/sql/tokens.h"

namespace zerospan::spans {
namespace {

using model::header_bit;
using model::KnownHeader;

struct Parameter {
  std::string_view key;  // both as on the wire
  std::string_view value;
  bool has_value = false;
};

// Takes the first parameter of a query.
Parameter take_parameter(std::string_view& query) {
  const size_t end = std::min(query.find('&'), query.size());
  const std::string_view text = query.substr(0, end);
  query.remove_prefix(std::min(end + 1, query.size()));
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos) {
    return {text, {}, false};
  }
  return {text.substr(0, equals), text.substr(equals + 1), true};
}

struct Parameters {
  std::string query;
  std::string database;
  bool ambiguous = false;   // one of them is there twice
  bool compressed = false;  // the body is
  bool other_language = false;
};

Parameters read_parameters(std::string_view query) {
  Parameters out;
  bool has_query = false;
  bool has_database = false;
  while (!query.empty()) {
    const Parameter parameter = take_parameter(query);
    const std::string key = percent_decoded(parameter.key, true);
    if (key == "query") {
      out.ambiguous = out.ambiguous || std::exchange(has_query, true);
      out.query = percent_decoded(parameter.value, true);
    } else if (key == "database") {
      out.ambiguous = out.ambiguous || std::exchange(has_database, true);
      out.database = percent_decoded(parameter.value, true);
    } else if (key == "decompress") {
      out.compressed = parameter.value != "0";
    } else if (key == "dialect") {
      out.other_language = true;
    }
  }
  return out;
}

// What a statement begins with. Other text is none, whatever it may be.
bool begins_statement(std::string_view text) {
  constexpr auto kWords = std::to_array<std::string_view>(
      {"alter",    "attach",   "backup",   "check",   "create",  "delete", "desc",   "describe",
       "detach",   "drop",     "exchange", "exists",  "explain", "grant",  "insert", "kill",
       "optimize", "rename",   "replace",  "restore", "revoke",  "select", "set",    "show",
       "system",   "truncate", "undrop",   "update",  "use",     "watch",  "with"});
  sql::Tokens tokens(text, sql::kClickhouse);
  sql::Token token = tokens.next();
  while (token.kind == sql::TokenKind::kComment || token.kind == sql::TokenKind::kOpen) {
    token = tokens.next();
  }
  return token.kind == sql::TokenKind::kWord &&
         std::any_of(kWords.begin(), kWords.end(),
                     [&](std::string_view word) { return equals_ignoring_case(word, token.text); });
}

bool is_compressed(const model::HeaderBlock& headers) {
  const std::string_view encoding = headers.find("content-encoding");
  return !encoding.empty() && !equals_ignoring_case(encoding, "identity");
}

// Whether what was kept of the request's body is all of it. Where the answer was not waited for,
// only the head tells.
bool has_whole_body(const model::HttpExchange& http, bool head_whole, bool complete) {
  const size_t kept = http.request_body_start.size();
  if (!head_whole || !http.request_body_size_exact || http.request_body_size != kept) {
    return false;
  }
  const std::string_view length = http.request_headers.find("content-length");
  return complete || (length.empty() ? http.request_headers.find("transfer-encoding").empty()
                                     : length == std::to_string(kept));
}

// A line's end joins the parameter `query` and the body. Where the statement is one that fills a
// table, the body is its rows, or may be.
void find_statement(const model::HttpExchange& http, Parameters& parameters,
                    std::string_view content_type, bool head_whole, bool complete,
                    ClickhouseCall& call) {
  std::string text = std::move(parameters.query);
  const bool body_is_text = head_whole && !parameters.compressed &&
                            !is_compressed(http.request_headers) &&
                            !equals_ignoring_case(content_type.substr(0, 10), "multipart/");
  if (!text.empty() && head_whole) {
    text.push_back('\n');
  }
  bool all = has_whole_body(http, head_whole, complete);
  if (body_is_text && (text.empty() || !sql::without_rows(text).fills)) {
    text.append(http.request_body_start);
  } else {
    all = all && http.request_body_size == 0;
  }
  if (!begins_statement(text)) {
    return;
  }
  const sql::WithoutRows statement = sql::without_rows(text);
  call.cut = !all && !statement.rows_next;
  call.statement.assign(statement.statement);
}

// "Code: 60. DB::Exception: ..." is what an answer says of an exception, in older versions "Code:
// 60, e.displayText() = ...".
std::string find_error_code(const model::HttpExchange& http) {
  constexpr std::string_view kCode = "Code: ";
  constexpr size_t kMostDigits = 9;
  std::string_view text = http.response_headers.find("x-clickhouse-exception-code");
  if (text.data() == nullptr && http.status >= 400 && http.response_body_start.starts_with(kCode)) {
    text = http.response_body_start;
    text.remove_prefix(kCode.size());
    const size_t end = text.find_first_of(".,");
    text = text.substr(0, end == std::string_view::npos ? 0 : end);  // else its digits may go on
  }
  const bool number = !text.empty() && text.size() <= kMostDigits &&
                      std::all_of(text.begin(), text.end(), is_digit) && text != "0";
  return std::string(number ? text : std::string_view());
}

}  // namespace

bool may_be_clickhouse_query(const model::HttpExchange& http, const RequestTarget& target) {
  if (http.status != 0 || !target.has_query || target.path.size() > 1) {
    return false;
  }
  for (std::string_view query = target.query; !query.empty();) {
    if (percent_decoded(take_parameter(query).key, true) == "query") {
      return true;
    }
  }
  return false;
}

ClickhouseCall read_clickhouse_call(const model::HttpExchange& http, const RequestTarget& target,
                                    std::string_view content_type, bool head_whole, bool complete) {
  ClickhouseCall call;
  call.error_code = find_error_code(http);
  Parameters parameters = read_parameters(target.query);
  if (parameters.ambiguous) {
    return call;
  }
  // Versions that do not name the query do not heed the field either.
  const std::string_view field =
      http.response_headers.has_any(header_bit(KnownHeader::kXClickhouseQueryId))
          ? http.request_headers.find("x-clickhouse-database")
          : std::string_view();
  if (head_whole &&
      (field.empty() || parameters.database.empty() || field == parameters.database)) {
    call.database = field.empty() ? std::move(parameters.database) : std::string(field);
  }
  // Under other paths the server may have handlers of its owner's, with parameters of their own.
  if (target.path == "/" && !parameters.other_language) {
    find_statement(http, parameters, content_type, head_whole, complete, call);
  }
  return call;
}

void append_clickhouse_query(std::string& out, std::string_view query,
                             const std::vector<std::string>& keys, size_t limit) {
  constexpr auto kSteering = std::to_array<std::string_view>(
      {"buffer_size", "compress", "database", "decompress", "default_format",
       "enable_http_compression", "http_zlib_compression_level", "query_id",
       "send_progress_in_http_headers", "session_check", "session_timeout", "wait_end_of_query"});
  const auto name_like = [](std::string_view key) {
    return std::all_of(key.begin(), key.end(),
                       [](char c) { return is_alpha(c) || is_digit(c) || c == '_'; });
  };
  for (bool last = false; !last;) {
    last = query.find('&') == std::string_view::npos;
    const Parameter parameter = take_parameter(query);
    const std::string_view key = parameter.key;
    if (parameter.has_value && name_like(key)) {
      const bool steers = std::find(kSteering.begin(), kSteering.end(), key) != kSteering.end() &&
                          std::find(keys.begin(), keys.end(), key) == keys.end();
      append_text(out, key, limit);
      append_text(out, "=", limit);
      append_text(out, steers || parameter.value.empty() ? parameter.value : "REDACTED", limit);
    } else if (parameter.has_value || !key.empty()) {
      append_text(out, "REDACTED", limit);
    }
    if (!last) {
      append_text(out, "&", limit);
    }
  }
}

}  // namespace zerospan::spans
