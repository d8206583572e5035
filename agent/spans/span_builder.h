// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// A paired exchange to an OpenTelemetry span, by the semantic conventions 1.44.0 for HTTP, gRPC and
// databases
// (https://github.com/open-telemetry/semantic-conventions/blob/v1.44.0/docs/http/http-spans.md,
// .../docs/rpc/grpc.md, .../docs/db/database-spans.md).
// The README of this folder lists every attribute and rule.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/commands/description.h"
#include "agent/core/result.h"
#include "agent/model/connection.h"
#include "agent/model/exchange.h"
#include "agent/model/span.h"
#include "agent/model/trace_context.h"
#include "agent/spans/clickhouse_call.h"
#include "agent/spans/clock.h"
#include "agent/spans/http_target.h"
#include "agent/spans/route.h"
#include "agent/spans/web_rpc.h"
#include "agent/sql/statement.h"

namespace zerospan::spans {

// Who the span is; decided before it is built.
struct SpanIdentity {
  model::TraceId trace_id;
  model::SpanId span_id;
  model::SpanId parent_span_id;  // invalid: a root
  bool parent_is_remote = false;
  bool sampled = true;
  std::string trace_state;
};

// What to do with a path that no template matches.
enum class RouteHeuristic {
  kOff,        // no route
  kAttribute,  // a guessed http.route, but not in the span's name
  kName,       // in the name as well
};

// What db.query.text holds.
enum class QueryText {
  kSanitized,  // the statement without its literals
  kRaw,        // as it was sent
  kOff,        // nothing
};

struct SpanBuilderOptions {
  std::vector<std::string> route_templates;  // see RouteTable
  RouteHeuristic route_heuristic = RouteHeuristic::kOff;
  size_t max_guessed_routes = 100;  // distinct ones per process and worker
  // Client spans get url.template (and their name) by the same templates and heuristic.
  bool client_url_template = false;
  std::vector<std::string> captured_request_headers;  // names in any case
  std::vector<std::string> captured_response_headers;
  std::vector<std::string> baggage_keys;  // entries that become attributes of the same name
  // Full replacements of the convention's lists, as it asks; both compare case-sensitively.
  std::vector<std::string> redacted_query_keys = {
      "X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token",
      "AWSAccessKeyId",  "Signature",        "sig",
      "X-Goog-Signature"};
  std::vector<std::string> known_methods = {"GET",     "HEAD",  "POST",  "PUT",   "DELETE",
                                            "CONNECT", "TRACE", "PATCH", "QUERY", "OPTIONS"};
  QueryText query_text = QueryText::kSanitized;
  size_t max_query_bytes = 4096;  // of db.query.text
  size_t max_value_bytes = 4096;  // of one string; longer text is cut between characters
};

// One per worker thread, not thread-safe: it learns guessed routes. Everything else in it is
// immutable, so the same calls in the same order give the same spans.
class SpanBuilder {
 public:
  // Fails if a route template or a header name is malformed.
  [[nodiscard]] static Result<SpanBuilder> make(SpanBuilderOptions options);

  // Fills in a new span. Total: any bytes give a span of valid UTF-8. `baggage` is what arrived
  // with the request.
  void build(const model::Exchange& exchange, const model::Connection& connection,
             SpanIdentity identity, const ClockAnchor& clock,
             std::shared_ptr<const model::Resource> resource, const model::Baggage& baggage,
             model::Span& span);

 private:
  struct CapturedHeader {
    std::string name;  // lower case
    // Of the attribute, interned.
    std::string_view http_key;
    std::string_view rpc_key;
  };
  struct RequestFields;

  explicit SpanBuilder(SpanBuilderOptions options);

  static Result<std::vector<CapturedHeader>> compile_headers(const std::vector<std::string>& names,
                                                             const std::string& message);

  void build_http(const model::Exchange& exchange, const model::HttpExchange& http,
                  const model::Connection& connection, model::Span& span);
  void build_grpc(const model::Exchange& exchange, const model::HttpExchange& http,
                  const model::Connection& connection, model::Span& span);
  void build_db(const model::Exchange& exchange, const model::DbExchange& db,
                const model::Connection& connection, model::Span& span);
  void build_messaging(const model::Exchange& exchange, const model::MessagingExchange& messaging,
                       const model::Connection& connection, model::Span& span) const;
  void build_dns(const model::Exchange& exchange, const model::DnsExchange& dns,
                 const model::Connection& connection, model::Span& span) const;
  // The broker's or data store's address, and the peer's.
  void add_store_address(const model::Connection& connection, model::Span& span) const;
  // `batch_size`: how many statements it stands for; 0: itself only.
  void add_statement(std::string_view statement, const sql::Dialect& dialect, bool cut,
                     uint32_t batch_size, model::Span& span);
  void add_clickhouse_call(const ClickhouseCall& call, model::Span& span);
  void add_command(const model::DbExchange& db, model::Span& span);
  void add_document(const model::DbExchange& db, model::Span& span);
  void add_server_attributes(const RequestTarget& target, const RequestFields& fields,
                             const model::Connection& connection, model::Span& span) const;
  void add_client_attributes(const RequestTarget& target, const RequestFields& fields,
                             const model::Connection& connection, model::Span& span) const;
  void add_route(const model::HttpExchange& http, std::string_view path, model::Span& span);
  void add_web_rpc(const WebRpc& rpc, model::Span& span) const;
  void add_captured(const std::vector<CapturedHeader>& captured, const model::HeaderBlock& headers,
                    std::string_view CapturedHeader::*key, model::Span& span) const;
  void append_query(const RequestTarget& target, std::string& out, size_t limit) const;
  // `exception`: the code that the data store behind it failed with; empty: none.
  void add_outcome(const model::Exchange& exchange, const model::HttpExchange& http,
                   std::string_view exception, model::Span& span) const;
  void add_text(model::Span& span, std::string_view key, std::string_view bytes) const;

  SpanBuilderOptions options_;
  RouteTable routes_;
  RouteBudget budget_;
  std::vector<CapturedHeader> request_headers_;
  std::vector<CapturedHeader> response_headers_;
  std::vector<std::string_view> baggage_keys_;  // interned
  std::string document_;                        // a command's text, the same
  sql::Statement statement_;                    // of the span that is being built
  commands::Description command_;               // the same
};

}  // namespace zerospan::spans
