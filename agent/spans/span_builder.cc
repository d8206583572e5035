// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/span_builder.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <set>
#include <utility>

#include "agent/spans/aws_call.h"
#include "agent/spans/body_call.h"
#include "agent/spans/grpc_span.h"
#include "agent/spans/interruption.h"
#include "agent/spans/search_call.h"
#include "agent/spans/text.h"

namespace zerospan::spans {

namespace {

constexpr size_t kMaxHeaderValues = 32;  // of one captured header

// Attribute keys from the configuration must outlive every span, also those that an exporter still
// holds when the builders are gone. They are few, and the same ones for every builder.
std::string_view intern(std::string_view key) {
  static std::mutex mutex;
  static std::set<std::string, std::less<>> keys;
  const std::scoped_lock lock(mutex);
  const auto found = keys.find(key);
  return found != keys.end() ? *found : *keys.emplace(key).first;
}

// RFC 9110 section 5.6.2.
bool is_token_byte(char c) {
  constexpr std::string_view kPunctuation = "!#$%&'*+-.^_`|~";
  return is_alpha(c) || is_digit(c) || kPunctuation.find(c) != std::string_view::npos;
}

void add_int(model::Span& span, std::string_view key, uint64_t value) {
  span.attributes.add_int(key, static_cast<int64_t>(value));
}

uint64_t first_known_time(const model::Exchange& exchange) {
  for (uint64_t time : {exchange.request_start_ns, exchange.request_end_ns,
                        exchange.response_start_ns, exchange.response_end_ns}) {
    if (time != 0) {
      return time;
    }
  }
  return 0;
}

void append_host(std::string& out, std::string_view host, size_t limit) {
  const bool ipv6 = host.find(':') != std::string_view::npos;
  if (ipv6) {
    out.push_back('[');
  }
  append_text(out, host, limit);
  if (ipv6) {
    out.push_back(']');
  }
}

}  // namespace

// The request header fields that attributes are made of: the first field of each name.
struct SpanBuilder::RequestFields {
  explicit RequestFields(const model::HeaderBlock& headers) {
    for (size_t i = 0; i < headers.size(); ++i) {
      switch (headers.known(i)) {
        case model::KnownHeader::kHost:
          keep_first(host, headers[i]);
          break;
        case model::KnownHeader::kForwarded:
          keep_first(forwarded, headers[i]);
          break;
        case model::KnownHeader::kUserAgent:
          keep_first(user_agent, headers[i]);
          break;
        case model::KnownHeader::kXForwardedFor:
          keep_first(forwarded_for, headers[i]);
          break;
        case model::KnownHeader::kXForwardedHost:
          keep_first(forwarded_host, headers[i]);
          break;
        case model::KnownHeader::kXForwardedProto:
          keep_first(forwarded_proto, headers[i]);
          break;
        case model::KnownHeader::kContentType:
          keep_first(content_type, headers[i]);
          break;
        case model::KnownHeader::kConnectProtocolVersion:
          connect_version = true;
          break;
        case model::KnownHeader::kAuthorization:
          keep_first(authorization, headers[i]);
          break;
        default:
          break;
      }
    }
  }

  std::string_view host;
  std::string_view forwarded;
  std::string_view user_agent;
  std::string_view forwarded_for;
  std::string_view forwarded_host;
  std::string_view forwarded_proto;
  std::string_view content_type;
  std::string_view authorization;  // only ever looked at for who is called
  bool connect_version = false;

 private:
  static void keep_first(std::string_view& field, const model::HeaderView& header) {
    if (field.data() == nullptr) {
      field = header.value;
    }
  }
};

SpanBuilder::SpanBuilder(SpanBuilderOptions options)
    : options_(std::move(options)), budget_(options_.max_guessed_routes) {}

Result<SpanBuilder> SpanBuilder::make(SpanBuilderOptions options) {
  SpanBuilder builder(std::move(options));
  auto routes = RouteTable::make(builder.options_.route_templates);
  if (!routes) {
    return tl::unexpected<Error>(routes.error());
  }
  builder.routes_ = std::move(*routes);
  auto request = compile_headers(builder.options_.captured_request_headers, "request");
  if (!request) {
    return tl::unexpected<Error>(request.error());
  }
  builder.request_headers_ = std::move(*request);
  auto response = compile_headers(builder.options_.captured_response_headers, "response");
  if (!response) {
    return tl::unexpected<Error>(response.error());
  }
  builder.response_headers_ = std::move(*response);
  for (const std::string& key : builder.options_.baggage_keys) {
    builder.baggage_keys_.push_back(intern(key));
  }
  return builder;
}

Result<std::vector<SpanBuilder::CapturedHeader>> SpanBuilder::compile_headers(
    const std::vector<std::string>& names, const std::string& message) {
  std::vector<CapturedHeader> compiled;
  for (const std::string& name : names) {
    if (name.empty() || !std::all_of(name.begin(), name.end(), is_token_byte)) {
      return fail(ErrorCode::kInvalidArgument,
                  "captured header \"" + name +
                      "\": this cannot be a header's name (RFC 9110 section 5.1); give the name "
                      "alone, such as x-request-id");
    }
    std::string lower(name);
    std::transform(lower.begin(), lower.end(), lower.begin(), to_lower);
    const bool known = std::any_of(compiled.begin(), compiled.end(),
                                   [&](const CapturedHeader& h) { return h.name == lower; });
    if (!known) {
      const std::string_view http = intern("http." + message + ".header." + lower);
      const std::string_view rpc = intern("rpc." + message + ".metadata." + lower);
      compiled.push_back({std::move(lower), http, rpc});
    }
  }
  return compiled;
}

void SpanBuilder::build(const model::Exchange& exchange, const model::Connection& connection,
                        SpanIdentity identity, const ClockAnchor& clock,
                        std::shared_ptr<const model::Resource> resource,
                        const model::Baggage& baggage, model::Span& span) {
  span.trace_id = identity.trace_id;
  span.span_id = identity.span_id;
  span.parent_span_id = identity.parent_span_id;
  span.parent_is_remote = identity.parent_is_remote;
  span.sampled = identity.sampled;
  span.trace_state = std::move(identity.trace_state);
  span.kind =
      exchange.role == model::Role::kClient ? model::SpanKind::kClient : model::SpanKind::kServer;
  const uint64_t start = first_known_time(exchange);
  const uint64_t end =
      exchange.response_end_ns != 0 ? exchange.response_end_ns : exchange.request_end_ns;
  span.start_unix_ns = clock.to_unix_ns(start);
  span.end_unix_ns = clock.to_unix_ns(std::max(start, end));
  span.resource = std::move(resource);
  constexpr size_t kUsualAttributes = 18;
  constexpr size_t kUsualTextBytes = 256;
  span.attributes.reserve(kUsualAttributes + request_headers_.size() + response_headers_.size(),
                          kUsualTextBytes);

  if (const auto* const db = std::get_if<model::DbExchange>(&exchange.payload)) {
    build_db(exchange, *db, connection, span);
  } else if (const auto* const messaging =
                 std::get_if<model::MessagingExchange>(&exchange.payload)) {
    build_messaging(exchange, *messaging, connection, span);
  } else if (const auto* const dns = std::get_if<model::DnsExchange>(&exchange.payload)) {
    build_dns(exchange, *dns, connection, span);
  } else if (const auto& http = std::get<model::HttpExchange>(exchange.payload); http.grpc) {
    build_grpc(exchange, http, connection, span);
  } else {
    build_http(exchange, http, connection, span);
  }

  if (exchange.incomplete != model::kIncompleteNone) {
    span.attributes.add_texts("zerospan.incomplete", model::incomplete_names(exchange.incomplete));
  }
  for (std::string_view key : baggage_keys_) {
    const auto entry = std::find_if(baggage.begin(), baggage.end(),
                                    [&](const auto& candidate) { return candidate.first == key; });
    if (entry != baggage.end()) {
      add_text(span, key, entry->second);
    }
  }
}

void SpanBuilder::build_http(const model::Exchange& exchange, const model::HttpExchange& http,
                             const model::Connection& connection, model::Span& span) {
  const bool server = span.kind == model::SpanKind::kServer;
  const auto& known = options_.known_methods;
  const bool known_method = std::find(known.begin(), known.end(), http.method) != known.end();
  span.name = known_method ? to_text(http.method, options_.max_value_bytes) : "HTTP";
  if (known_method) {
    span.attributes.add_text("http.request.method", span.name);
  } else {
    span.attributes.add_text("http.request.method", "_OTHER");
    if (http.version_major != 2 || !http.method.empty()) {
      add_text(span, "http.request.method_original", http.method);
    }
  }

  RequestTarget target = parse_request_target(http.method, http.target);
  if (target.scheme.empty()) {
    target.scheme = http.scheme;
  }
  target.known = http.version_major != 2 || !http.target.empty();
  const RequestFields fields(http.request_headers);
  const bool clickhouse = is_clickhouse_call(http);
  target.of_clickhouse = clickhouse || may_be_clickhouse_query(http, target);
  if (server) {
    add_server_attributes(target, fields, connection, span);
  } else {
    add_client_attributes(target, fields, connection, span);
  }
  if (server || options_.client_url_template) {
    add_route(http, target.path, span);
  }
  const auto rpc =
      find_web_rpc(http, fields.content_type, fields.connect_version, target.path, target.query);
  if (rpc) {
    add_web_rpc(*rpc, span);
  } else if (!fields.authorization.empty()) {
    if (const auto aws = find_aws_call(http, fields.authorization, target.query)) {
      add_aws_call(*aws, options_.max_value_bytes, span);
    }
  }
  bool search = false;
  if (may_be_search_call(http, fields.user_agent)) {
    if (const auto call = find_search_call(http, target.path, fields.user_agent)) {
      add_search_call(*call, http, options_.max_value_bytes, span);
      search = true;
    }
  }
  ClickhouseCall query;
  if (clickhouse) {
    constexpr uint32_t kHeadCut = model::kHeadTruncated | model::kGap | model::kFieldsUnknown;
    const bool complete = exchange.outcome == model::Outcome::kComplete &&
                          exchange.incomplete == model::kIncompleteNone;
    query = read_clickhouse_call(http, target, fields.content_type,
                                 (exchange.incomplete & kHeadCut) == 0, complete);
    add_clickhouse_call(query, span);
  }
  const bool has_body = !http.request_body_start.empty() && !search && !clickhouse &&
                        model::is_type_of_call(fields.content_type);
  if (has_body) {
    if (const auto graphql = find_graphql_call(http, target.path, fields.content_type)) {
      add_graphql_call(*graphql, options_.max_value_bytes, span);
    }
  }

  if (!connection.peer.address.empty()) {
    add_text(span, "network.peer.address", connection.peer.address);
    if (connection.peer.port != 0) {
      add_int(span, "network.peer.port", connection.peer.port);
    }
  }
  if (connection.transport == model::Transport::kUnix) {
    span.attributes.add_text("network.transport", "unix");
  }
  // HTTP/2 has no minor version.
  const std::array<char, 3> version = {static_cast<char>('0' + http.version_major % 10), '.',
                                       static_cast<char>('0' + http.version_minor % 10)};
  span.attributes.add_text("network.protocol.version",
                           {version.data(), http.version_major == 2 ? 1 : version.size()});

  if (http.status != 0) {
    add_int(span, "http.response.status_code", http.status);
  }
  // A size that bytes lost in a gap falsify is not told.
  const bool gap = (exchange.incomplete & model::kGap) != 0;
  if (http.request_body_size > 0 && (http.request_body_size_exact || !gap)) {
    add_int(span, "http.request.body.size", http.request_body_size);
  }
  if (http.status != 0 && !http.upgraded && (http.response_body_size_exact || !gap)) {
    add_int(span, "http.response.body.size", http.response_body_size);
  }
  add_captured(request_headers_, http.request_headers, &CapturedHeader::http_key, span);
  add_captured(response_headers_, http.response_headers, &CapturedHeader::http_key, span);
  add_outcome(exchange, http, query.error_code, span);
  if (rpc && rpc->status && span.status != model::StatusCode::kError &&
      is_grpc_error(*rpc->status, server)) {
    span.attributes.add_text("error.type", grpc_status_name(*rpc->status));
    span.status = model::StatusCode::kError;
  }
  if (has_body && !rpc) {
    if (const auto call = find_json_rpc_call(http)) {
      add_json_rpc_call(*call, options_.max_value_bytes, span);
    }
  }
}

// A method that the server does not know is not one of its names.
void SpanBuilder::add_web_rpc(const WebRpc& rpc, model::Span& span) const {
  span.attributes.add_text("rpc.system.name", rpc.system);
  if (span.kind == model::SpanKind::kServer && rpc.unknown_method) {
    span.attributes.add_text("rpc.method", "_OTHER");
    add_text(span, "rpc.method_original", rpc.method);
  } else {
    add_text(span, "rpc.method", rpc.method);
  }
  if (rpc.status) {
    span.attributes.add_text("rpc.response.status_code", grpc_status_name(*rpc.status));
  }
}

void SpanBuilder::build_grpc(const model::Exchange& exchange, const model::HttpExchange& http,
                             const model::Connection& connection, model::Span& span) {
  const bool server = span.kind == model::SpanKind::kServer;
  const std::optional<uint32_t> status = grpc_status(exchange, http);
  const GrpcMethod method = grpc_method(http, status, server);
  span.attributes.add_text("rpc.system.name", "grpc");
  if (!method.recognised.empty()) {
    span.name = to_text(method.recognised, options_.max_value_bytes);
    span.attributes.add_text("rpc.method", span.name);
  } else {
    span.name = "grpc";
    if (!method.original.empty()) {
      span.attributes.add_text("rpc.method", "_OTHER");
      add_text(span, "rpc.method_original", method.original);
    }
  }

  // :authority is the target that the client's channel was made for. The convention wants no
  // addresses of the network here on servers; a client must name something.
  const Authority authority = parse_authority(http.request_headers.find("host"));
  if (!authority.host.empty()) {
    add_text(span, "server.address",
             server ? authority.host : server_name(authority.host, connection));
    if (authority.port) {
      add_int(span, "server.port", *authority.port);
    }
  } else if (!server && !connection.peer.address.empty()) {
    add_text(span, "server.address", server_name(connection.peer.address, connection));
    if (connection.peer.port != 0) {
      add_int(span, "server.port", connection.peer.port);
    }
  }
  if (!connection.peer.address.empty()) {
    add_text(span, "network.peer.address", connection.peer.address);
    if (connection.peer.port != 0) {
      add_int(span, "network.peer.port", connection.peer.port);
    }
  }

  if (status) {
    span.attributes.add_text("rpc.response.status_code", grpc_status_name(*status));
  }
  // Counts that may be too low are not told.
  if (http.grpc->requests.exact) {
    add_int(span, "zerospan.rpc.request.messages", http.grpc->requests.count);
  }
  if (http.grpc->responses.exact) {
    add_int(span, "zerospan.rpc.response.messages", http.grpc->responses.count);
  }
  if (http.grpc->timeout_ns) {
    span.attributes.add_double("zerospan.rpc.timeout",
                               static_cast<double>(*http.grpc->timeout_ns) / 1e9);
  }

  add_captured(request_headers_, http.request_headers, &CapturedHeader::rpc_key, span);
  add_captured(response_headers_, http.response_headers, &CapturedHeader::rpc_key, span);

  std::string error;
  if (!status) {
    error = interruption(exchange, http.reset);
  } else if (is_grpc_error(*status, server)) {
    error = grpc_status_name(*status);
    append_text(span.status_message, http.grpc->message, options_.max_value_bytes);
  }
  if (!error.empty()) {
    span.attributes.add_text("error.type", error);
    span.status = model::StatusCode::kError;
  }
}

void SpanBuilder::add_server_attributes(const RequestTarget& target, const RequestFields& fields,
                                        const model::Connection& connection,
                                        model::Span& span) const {
  const Forwarded forwarded = parse_forwarded(fields.forwarded);

  std::string_view scheme = known_scheme(forwarded.proto);
  if (scheme.empty()) {
    scheme = known_scheme(first_list_element(fields.forwarded_proto));
  }
  if (scheme.empty()) {
    scheme = known_scheme(target.scheme);
  }
  if (scheme.empty()) {
    scheme = "http";
  }
  add_text(span, "url.scheme", scheme);
  // RFC 9112 section 3.2.1: an empty path of an absolute URI is "/".
  const bool absolute = !target.scheme.empty() && !target.authority.empty();
  if (target.known) {
    add_text(span, "url.path", target.path.empty() && absolute ? "/" : target.path);
  }
  if (target.has_query) {
    span.attributes.add_written_text("url.query", [&](std::string& out) {
      append_query(target, out, out.size() + options_.max_value_bytes);
    });
  }

  Authority authority = parse_authority(forwarded.host);
  for (std::string_view candidate :
       {first_list_element(fields.forwarded_host), target.authority, fields.host}) {
    if (authority.host.empty()) {
      authority = parse_authority(candidate);
    }
  }
  if (!authority.host.empty()) {
    add_text(span, "server.address", authority.host);
    // A host without a port means the scheme's default (RFC 9110 section 4.2); on a Unix socket it
    // means nothing.
    if (authority.port) {
      add_int(span, "server.port", *authority.port);
    } else if (connection.transport == model::Transport::kTcp) {
      add_int(span, "server.port", default_port(scheme));
    }
  } else if (!connection.local.address.empty()) {
    add_text(span, "server.address", connection.local.address);
    if (connection.local.port != 0) {
      add_int(span, "server.port", connection.local.port);
    }
  }

  std::string_view client = node_address(forwarded.for_node);
  if (client.empty()) {
    client = node_address(first_list_element(fields.forwarded_for));
  }
  if (client.empty()) {
    client = connection.peer.address;
  }
  if (!client.empty()) {
    add_text(span, "client.address", client);
  }
  if (!fields.user_agent.empty()) {
    add_text(span, "user_agent.original", fields.user_agent);
  }
}

void SpanBuilder::add_client_attributes(const RequestTarget& target, const RequestFields& fields,
                                        const model::Connection& connection,
                                        model::Span& span) const {
  std::string_view scheme = target.scheme.empty() ? "http" : target.scheme;
  if (const std::string_view known = known_scheme(scheme); !known.empty()) {
    scheme = known;
  }
  Authority authority = parse_authority(target.authority);
  const bool from_target = !authority.host.empty();
  if (!from_target) {
    authority = parse_authority(fields.host);
  }
  const bool tcp = connection.transport == model::Transport::kTcp;
  if (authority.host.empty() && tcp && !connection.peer.address.empty()) {
    authority.host = connection.peer.address;
    if (connection.peer.port != 0 && connection.peer.port != default_port(scheme)) {
      authority.port = connection.peer.port;
    }
  }

  // The default that a Unix socket's clients put into Host themselves.
  const std::string_view url_host = authority.host.empty() ? "localhost" : authority.host;
  const auto append_url = [&](std::string& url) {
    const size_t limit = url.size() + options_.max_value_bytes;
    append_text(url, scheme, limit);
    url.append("://");
    if (const size_t at = target.authority.rfind('@');
        from_target && at != std::string_view::npos) {
      const bool password = target.authority.substr(0, at).find(':') != std::string_view::npos;
      url.append(password ? "REDACTED:REDACTED@" : "REDACTED@");
    }
    append_host(url, url_host, limit);
    if (authority.port) {
      url.push_back(':');
      url.append(std::to_string(*authority.port));
    }
    append_text(url, target.path, limit);
    if (target.has_query) {
      append_text(url, "?", limit);
      append_query(target, url, limit);
    }
  };
  if (target.known) {
    span.attributes.add_written_text("url.full", append_url);
  }

  if (!authority.host.empty()) {
    add_text(span, "server.address", server_name(authority.host, connection));
    if (authority.port) {
      add_int(span, "server.port", *authority.port);
    } else if (tcp && default_port(scheme) != 0) {
      add_int(span, "server.port", default_port(scheme));
    }
  } else if (!connection.peer.address.empty()) {
    add_text(span, "server.address", connection.peer.address);
  }
}

void SpanBuilder::add_route(const model::HttpExchange& http, std::string_view path,
                            model::Span& span) {
  const std::string_view key =
      span.kind == model::SpanKind::kServer ? "http.route" : "url.template";
  std::string_view route = routes_.match(path);
  if (route.empty() && span.kind == model::SpanKind::kServer) {
    route = http.route;
  }
  if (!route.empty()) {
    span.attributes.add_text(key, route);
    span.name.append(" ").append(route);
    return;
  }
  if (options_.route_heuristic == RouteHeuristic::kOff) {
    return;
  }
  std::string guess = guess_route(path);
  // What the server does not know is not a route of it: scanners would use the budget up.
  const bool may_learn =
      http.status != 0 && http.status != 400 && http.status != 404 && http.status != 405;
  if (guess.empty() ||
      !budget_.admit(span.resource != nullptr ? span.resource->id : 0, guess, may_learn)) {
    return;
  }
  if (options_.route_heuristic == RouteHeuristic::kName) {
    span.name.append(" ").append(guess);
  }
  span.attributes.add_text(key, guess);
}

void SpanBuilder::add_captured(const std::vector<CapturedHeader>& captured,
                               const model::HeaderBlock& headers,
                               std::string_view CapturedHeader::*key, model::Span& span) const {
  for (const CapturedHeader& wanted : captured) {
    std::vector<std::string> values;
    for (size_t i = 0; i < headers.size() && values.size() < kMaxHeaderValues; ++i) {
      const auto [name, value] = headers[i];
      if (equals_ignoring_case(name, wanted.name)) {
        values.push_back(to_text(value, options_.max_value_bytes));
      }
    }
    if (!values.empty()) {
      span.attributes.add_texts(wanted.*key, values);
    }
  }
}

void SpanBuilder::append_query(const RequestTarget& target, std::string& out, size_t limit) const {
  const auto append = target.of_clickhouse ? append_clickhouse_query : append_redacted_query;
  append(out, target.query, options_.redacted_query_keys, limit);
}

void SpanBuilder::add_outcome(const model::Exchange& exchange, const model::HttpExchange& http,
                              std::string_view exception, model::Span& span) const {
  const bool server = span.kind == model::SpanKind::kServer;
  const bool error_status = http.status != 0 && (server ? http.status >= 500 && http.status < 600
                                                        : http.status >= 400 || http.status < 100);
  std::string error(exception);
  if (error.empty() && error_status) {
    error = std::to_string(http.status);
  } else if (error.empty() && !http.upgraded) {
    // After an upgrade the connection's end says nothing about the request that upgraded it.
    switch (exchange.outcome) {
      case model::Outcome::kComplete:
        break;
      case model::Outcome::kReset:
      case model::Outcome::kClosedEarly:
      case model::Outcome::kNoResponse:
        error = interruption(exchange, http.reset);
        break;
    }
  }
  if (!error.empty()) {
    span.attributes.add_text("error.type", error);
    span.status = model::StatusCode::kError;
  }
}

void SpanBuilder::add_text(model::Span& span, std::string_view key, std::string_view bytes) const {
  span.attributes.add_written_text(key, [&](std::string& out) {
    append_text(out, bytes, out.size() + options_.max_value_bytes);
  });
}

}  // namespace zerospan::spans
