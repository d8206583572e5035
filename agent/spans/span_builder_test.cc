// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/span_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/spans/test_exchange.h"

namespace zerospan::spans {
namespace {

using model::Outcome;
using model::Role;
using testing::Headers;
using testing::make_connection;
using testing::make_exchange;

std::string to_string(const model::AttributeView& value) {
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    return std::string(*text);
  }
  if (const auto* number = std::get_if<int64_t>(&value)) {
    return "#" + std::to_string(*number);
  }
  std::string out = "[";
  for (const std::string_view item : std::get<std::vector<std::string_view>>(value)) {
    out.append(out.size() > 1 ? "|" : "").append(item);
  }
  return out + "]";
}

// "NAME KIND STATUS" and then one "key=value" line per attribute; integers have a '#'.
std::string describe(const model::Span& span) {
  std::string out = span.name;
  out += span.kind == model::SpanKind::kServer ? ", server" : ", client";
  out += span.status == model::StatusCode::kError ? ", error\n" : ", unset\n";
  for (const model::Attribute& attribute : span.attributes) {
    out += std::string(attribute.key) + "=" + to_string(attribute.value) + "\n";
  }
  return out;
}

std::string attribute(const model::Span& span, std::string_view key) {
  for (const model::Attribute& candidate : span.attributes) {
    if (candidate.key == key) {
      return to_string(candidate.value);
    }
  }
  return "(none)";
}

SpanBuilder make_builder(SpanBuilderOptions options = {}) {
  auto builder = SpanBuilder::make(std::move(options));
  EXPECT_TRUE(builder) << builder.error().message;
  return std::move(*builder);
}

model::Span build(SpanBuilder& builder, const model::Exchange& exchange,
                  const model::Connection& connection) {
  model::Span span;
  builder.build(exchange, connection, {}, {}, nullptr, {}, span);
  return span;
}

model::Span build(const model::Exchange& exchange) {
  SpanBuilder builder = make_builder();
  return build(builder, exchange, make_connection(exchange.role));
}

model::Span build_server(std::string target, const Headers& headers) {
  return build(make_exchange(Role::kServer, "GET", std::move(target), 200, headers));
}

TEST(SpanBuilder, ErrorsOfStatements) {
  const auto error = [](bool failed, bool skipped, std::string_view code) {
    model::Exchange exchange = make_exchange(Role::kClient, "", "", 0);
    auto& db = exchange.payload.emplace<model::DbExchange>();
    db.failed = failed;
    db.skipped = skipped;
    db.error_code = code;
    const model::Span span = build(exchange);
    return attribute(span, "error.type") + " " + attribute(span, "db.response.status_code");
  };
  EXPECT_EQ(error(false, false, ""), "(none) (none)");
  EXPECT_EQ(error(true, false, ""), "_OTHER (none)");
  EXPECT_EQ(error(true, false, "42P01"), "42P01 42P01");
  EXPECT_EQ(error(true, true, ""), "pipeline_aborted (none)");
}

model::Span build_client(std::string target, const Headers& headers) {
  return build(make_exchange(Role::kClient, "GET", std::move(target), 200, headers));
}

TEST(SpanBuilder, ServerSpanOfAnOrdinaryRequest) {
  model::Exchange exchange = make_exchange(
      Role::kServer, "POST", "/orders/17?express=1", 201,
      {{"Host", "shop.example:8080"}, {"User-Agent", "curl/7.88.1"}, {"Accept", "*/*"}});
  std::get<model::HttpExchange>(exchange.payload).request_body_size = 42;
  EXPECT_EQ(describe(build(exchange)),
            "POST, server, unset\n"
            "http.request.method=POST\n"
            "url.scheme=http\n"
            "url.path=/orders/17\n"
            "url.query=express=1\n"
            "server.address=shop.example\n"
            "server.port=#8080\n"
            "client.address=10.1.2.3\n"
            "user_agent.original=curl/7.88.1\n"
            "network.peer.address=10.1.2.3\n"
            "network.peer.port=#51234\n"
            "network.protocol.version=1.1\n"
            "http.response.status_code=#201\n"
            "http.request.body.size=#42\n"
            "http.response.body.size=#512\n");
}

TEST(SpanBuilder, ClientSpanOfAnOrdinaryRequest) {
  EXPECT_EQ(describe(build_client("/v1/items?page=2", {{"host", "api.example:8080"},
                                                       {"User-Agent", "python-requests/2"}})),
            "GET, client, unset\n"
            "http.request.method=GET\n"
            "url.full=http://api.example:8080/v1/items?page=2\n"
            "server.address=api.example\n"
            "server.port=#8080\n"
            "network.peer.address=10.1.2.80\n"
            "network.peer.port=#8080\n"
            "network.protocol.version=1.1\n"
            "http.response.status_code=#200\n"
            "http.response.body.size=#512\n");
}

TEST(SpanBuilder, IdentityTimesAndResource) {
  SpanBuilder builder = make_builder();
  const model::Exchange exchange = make_exchange(Role::kServer, "GET", "/", 200);
  SpanIdentity identity;
  identity.trace_id.bytes[0] = 1;
  identity.span_id = model::SpanId::from_u64(2);
  identity.parent_span_id = model::SpanId::from_u64(3);
  identity.parent_is_remote = true;
  identity.sampled = false;
  identity.trace_state = "a=b";
  const auto resource = std::make_shared<const model::Resource>();
  // The anchor lies after the exchange: the arithmetic must also go backwards.
  const ClockAnchor clock{5'000'000, 1'700'000'000'000'000'000};
  model::Span span;
  builder.build(exchange, make_connection(Role::kServer), identity, clock, resource, {}, span);
  EXPECT_EQ(span.trace_id, identity.trace_id);
  EXPECT_EQ(span.span_id, identity.span_id);
  EXPECT_EQ(span.parent_span_id, identity.parent_span_id);
  EXPECT_TRUE(span.parent_is_remote);
  EXPECT_FALSE(span.sampled);
  EXPECT_EQ(span.trace_state, "a=b");
  EXPECT_EQ(span.resource, resource);
  EXPECT_EQ(span.start_unix_ns, 1'699'999'999'996'000'000U);
  EXPECT_EQ(span.end_unix_ns - span.start_unix_ns, 2'500'000U);
}

TEST(SpanBuilder, TimesThatAreNotKnown) {
  model::Exchange exchange = make_exchange(Role::kServer, "GET", "/", 200);
  exchange.request_start_ns = 0;
  exchange.request_end_ns = 0;
  model::Span span = build(exchange);
  EXPECT_EQ(span.end_unix_ns - span.start_unix_ns, 500'000U);
  exchange = make_exchange(Role::kServer, "GET", "/", 0);
  exchange.response_start_ns = 0;
  exchange.response_end_ns = 0;
  span = build(exchange);
  EXPECT_EQ(span.end_unix_ns - span.start_unix_ns, 10'000U);
  // An answer that was recorded before its request never gives a negative duration.
  exchange = make_exchange(Role::kServer, "GET", "/", 200);
  exchange.response_end_ns = 900'000;
  span = build(exchange);
  EXPECT_EQ(span.end_unix_ns, span.start_unix_ns);
}

TEST(SpanBuilder, UnknownMethods) {
  for (const char* method : {"get", "PROPFIND", "GETT", ""}) {
    const model::Span span = build(make_exchange(Role::kServer, method, "/", 200));
    EXPECT_EQ(span.name, "HTTP") << method;
    EXPECT_EQ(attribute(span, "http.request.method"), "_OTHER");
    EXPECT_EQ(attribute(span, "http.request.method_original"), method);
  }
  SpanBuilderOptions options;
  options.known_methods = {"PROPFIND"};
  options.route_templates = {"/"};
  SpanBuilder builder = make_builder(options);
  const auto connection = make_connection(Role::kServer);
  EXPECT_EQ(build(builder, make_exchange(Role::kServer, "PROPFIND", "/", 200), connection).name,
            "PROPFIND /");
  EXPECT_EQ(build(builder, make_exchange(Role::kServer, "GET", "/", 200), connection).name,
            "HTTP /");
}

struct StatusCase {
  Role role;
  uint16_t status;
  Outcome outcome;
  bool error;
  std::string type;
};

TEST(SpanBuilder, StatusAndErrorType) {
  const std::vector<StatusCase> cases = {
      {Role::kServer, 200, Outcome::kComplete, false, "(none)"},
      {Role::kServer, 302, Outcome::kComplete, false, "(none)"},
      {Role::kServer, 404, Outcome::kComplete, false, "(none)"},
      {Role::kServer, 500, Outcome::kComplete, true, "500"},
      {Role::kServer, 599, Outcome::kComplete, true, "599"},
      {Role::kServer, 200, Outcome::kReset, true, "connection_reset"},
      {Role::kServer, 200, Outcome::kClosedEarly, true, "connection_closed"},
      {Role::kServer, 404, Outcome::kReset, true, "connection_reset"},
      {Role::kServer, 503, Outcome::kReset, true, "503"},
      {Role::kServer, 0, Outcome::kNoResponse, true, "no_response"},
      {Role::kServer, 0, Outcome::kComplete, false, "(none)"},
      {Role::kClient, 204, Outcome::kComplete, false, "(none)"},
      {Role::kClient, 304, Outcome::kComplete, false, "(none)"},
      {Role::kClient, 400, Outcome::kComplete, true, "400"},
      {Role::kClient, 502, Outcome::kComplete, true, "502"},
      {Role::kClient, 999, Outcome::kComplete, true, "999"},
      {Role::kClient, 0, Outcome::kReset, true, "connection_reset"},
      {Role::kClient, 0, Outcome::kNoResponse, true, "no_response"},
  };
  for (const StatusCase& c : cases) {
    model::Exchange exchange = make_exchange(c.role, "GET", "/", c.status);
    exchange.outcome = c.outcome;
    const model::Span span = build(exchange);
    SCOPED_TRACE(std::to_string(c.status) + " " + c.type);
    EXPECT_EQ(span.status == model::StatusCode::kError, c.error);
    EXPECT_EQ(attribute(span, "error.type"), c.type);
    EXPECT_EQ(span.status_message, "");
    EXPECT_EQ(attribute(span, "http.response.status_code"),
              c.status == 0 ? "(none)" : "#" + std::to_string(c.status));
  }
}

TEST(SpanBuilder, UpgradedConnections) {
  model::Exchange exchange = make_exchange(Role::kServer, "GET", "/chat", 101);
  std::get<model::HttpExchange>(exchange.payload).upgraded = true;
  exchange.outcome = Outcome::kReset;
  const model::Span span = build(exchange);
  EXPECT_EQ(span.status, model::StatusCode::kUnset);
  EXPECT_EQ(attribute(span, "error.type"), "(none)");
  EXPECT_EQ(attribute(span, "http.response.body.size"), "(none)");
}

TEST(SpanBuilder, APeerThatIsKnownByMoreThanItsAddress) {
  model::Connection connection = make_connection(Role::kClient);
  const std::string address = connection.peer.address;
  connection.peer_name = "cart.shop";
  SpanBuilder builder = make_builder();
  const auto called = [&](const std::string& host) {
    return build(builder, make_exchange(Role::kClient, "GET", "/", 200, {{"Host", host}}),
                 connection);
  };
  EXPECT_EQ(attribute(called(address), "server.address"), "cart.shop");
  EXPECT_EQ(attribute(called(address), "network.peer.address"), address);
  EXPECT_EQ(attribute(called(address), "url.full"), "http://" + address + "/");
  EXPECT_EQ(attribute(called("www.example"), "server.address"), "www.example");
  EXPECT_EQ(attribute(called("10.9.9.9"), "server.address"), "10.9.9.9");
}

TEST(SpanBuilder, ConnectAndAsterisk) {
  model::Span span =
      build(make_exchange(Role::kClient, "CONNECT", "db.example:443", 200, {{"Host", "other"}}));
  EXPECT_EQ(span.name, "CONNECT");
  EXPECT_EQ(attribute(span, "url.full"), "http://db.example:443");
  EXPECT_EQ(attribute(span, "server.address"), "db.example");
  EXPECT_EQ(attribute(span, "server.port"), "#443");
  span = build(make_exchange(Role::kServer, "CONNECT", "[2001:db8::1]:443", 200));
  EXPECT_EQ(attribute(span, "url.path"), "");
  EXPECT_EQ(attribute(span, "server.address"), "2001:db8::1");
  EXPECT_EQ(attribute(span, "server.port"), "#443");
  span = build(make_exchange(Role::kClient, "OPTIONS", "*", 200, {{"Host", "a.example"}}));
  EXPECT_EQ(attribute(span, "url.full"), "http://a.example");
  span = build(make_exchange(Role::kServer, "OPTIONS", "*", 200));
  EXPECT_EQ(attribute(span, "url.path"), "");
  EXPECT_EQ(attribute(span, "url.query"), "(none)");
}

TEST(SpanBuilder, AbsoluteForm) {
  model::Span span = build_client("HTTPS://user:secret@proxy.example/a?b", {{"Host", "ignored:1"}});
  EXPECT_EQ(attribute(span, "url.full"), "https://REDACTED:REDACTED@proxy.example/a?b");
  EXPECT_EQ(attribute(span, "server.address"), "proxy.example");
  EXPECT_EQ(attribute(span, "server.port"), "#443");
  span = build_client("http://token@proxy.example:81", {});
  EXPECT_EQ(attribute(span, "url.full"), "http://REDACTED@proxy.example:81");
  span = build_server("http://www.example?q=1", {{"Host", "ignored:1"}});
  EXPECT_EQ(attribute(span, "url.path"), "/");
  EXPECT_EQ(attribute(span, "url.query"), "q=1");
  EXPECT_EQ(attribute(span, "server.address"), "www.example");
  EXPECT_EQ(attribute(span, "server.port"), "#80");
}

struct ForwardedCase {
  Headers headers;
  std::string scheme, server, port, client;
};

TEST(SpanBuilder, HostAndForwardedHeadersOfServers) {
  const std::vector<ForwardedCase> cases = {
      {{}, "http", "10.1.2.80", "#8080", "10.1.2.3"},
      {{{"Host", ""}}, "http", "10.1.2.80", "#8080", "10.1.2.3"},
      {{{"Host", "a.example"}}, "http", "a.example", "#80", "10.1.2.3"},
      {{{"Host", "[2001:db8::7]:8443"}}, "http", "2001:db8::7", "#8443", "10.1.2.3"},
      {{{"Host", "[2001:db8::7]"}}, "http", "2001:db8::7", "#80", "10.1.2.3"},
      {{{"Host", "bad host"}}, "http", "10.1.2.80", "#8080", "10.1.2.3"},
      {{{"Host", "a.example:99999"}}, "http", "a.example", "#80", "10.1.2.3"},
      {{{"Host", "in:81"}, {"X-Forwarded-Proto", "HTTPS"}}, "https", "in", "#81", "10.1.2.3"},
      {{{"Host", "in"}, {"X-Forwarded-Proto", "https, http"}}, "https", "in", "#443", "10.1.2.3"},
      {{{"Host", "in"}, {"X-Forwarded-Proto", "gopher"}}, "http", "in", "#80", "10.1.2.3"},
      {{{"Host", "in:81"},
        {"X-Forwarded-Host", "shop.example, inner"},
        {"X-Forwarded-Proto", "https"},
        {"X-Forwarded-For", "203.0.113.9, 10.0.0.1"}},
       "https",
       "shop.example",
       "#443",
       "203.0.113.9"},
      {{{"X-Forwarded-For", "203.0.113.9:4711"}}, "http", "10.1.2.80", "#8080", "203.0.113.9"},
      {{{"X-Forwarded-For", "2001:db8::9"}}, "http", "10.1.2.80", "#8080", "2001:db8::9"},
      {{{"X-Forwarded-For", "<script>"}}, "http", "10.1.2.80", "#8080", "10.1.2.3"},
      {{{"X-Forwarded-For", "unknown, 1.2.3.4"}}, "http", "10.1.2.80", "#8080", "10.1.2.3"},
      {{{"Forwarded",
         "For=\"[2001:db8:cafe::17]:4711\" ;Proto=https;host=\"shop.example:444\", for=10.0.0.1"},
        {"X-Forwarded-Host", "later"},
        {"X-Forwarded-For", "1.1.1.1"},
        {"Host", "in"}},
       "https",
       "shop.example",
       "#444",
       "2001:db8:cafe::17"},
      {{{"Forwarded", "for=_hidden;by=10.0.0.9"}, {"X-Forwarded-For", "1.1.1.1"}},
       "http",
       "10.1.2.80",
       "#8080",
       "1.1.1.1"},
      {{{"Forwarded", "for=\"a\\\"b\";host=x"}}, "http", "10.1.2.80", "#8080", "10.1.2.3"},
      {{{"Forwarded", ";;for=1.1.1.1;;,host=x"}}, "http", "10.1.2.80", "#8080", "1.1.1.1"},
      {{{"Forwarded", "for="}}, "http", "10.1.2.80", "#8080", "10.1.2.3"},
      {{{"Forwarded", "host=\"unterminated"}}, "http", "10.1.2.80", "#8080", "10.1.2.3"},
  };
  for (const ForwardedCase& c : cases) {
    const model::Span span = build_server("/", c.headers);
    SCOPED_TRACE(c.headers.empty() ? "no headers" : std::string(c.headers[0].second));
    EXPECT_EQ(attribute(span, "url.scheme"), c.scheme);
    EXPECT_EQ(attribute(span, "server.address"), c.server);
    EXPECT_EQ(attribute(span, "server.port"), c.port);
    EXPECT_EQ(attribute(span, "client.address"), c.client);
    EXPECT_EQ(attribute(span, "network.peer.address"), "10.1.2.3");
  }
}

TEST(SpanBuilder, ClientsWithoutAHostHeader) {
  EXPECT_EQ(attribute(build_client("/a", {}), "url.full"), "http://10.1.2.80:8080/a");
  SpanBuilder builder = make_builder();
  model::Connection connection = make_connection(Role::kClient);
  connection.peer = {"2001:db8::5", 80};
  const model::Span span =
      build(builder, make_exchange(Role::kClient, "GET", "/a", 200), connection);
  EXPECT_EQ(attribute(span, "url.full"), "http://[2001:db8::5]/a");
  EXPECT_EQ(attribute(span, "server.address"), "2001:db8::5");
  EXPECT_EQ(attribute(span, "server.port"), "#80");
}

TEST(SpanBuilder, UnixSockets) {
  SpanBuilder builder = make_builder();
  model::Connection connection;
  connection.transport = model::Transport::kUnix;
  connection.role = Role::kClient;
  connection.peer.address = "/run/docker.sock";
  model::Span span = build(
      builder, make_exchange(Role::kClient, "GET", "/info", 200, {{"Host", "docker"}}), connection);
  EXPECT_EQ(attribute(span, "url.full"), "http://docker/info");
  EXPECT_EQ(attribute(span, "server.address"), "docker");
  EXPECT_EQ(attribute(span, "server.port"), "(none)");
  EXPECT_EQ(attribute(span, "network.peer.address"), "/run/docker.sock");
  EXPECT_EQ(attribute(span, "network.peer.port"), "(none)");
  EXPECT_EQ(attribute(span, "network.transport"), "unix");
  span = build(builder, make_exchange(Role::kClient, "GET", "/info", 200), connection);
  EXPECT_EQ(attribute(span, "url.full"), "http://localhost/info");
  EXPECT_EQ(attribute(span, "server.address"), "/run/docker.sock");
  std::swap(connection.local, connection.peer);
  span = build(builder, make_exchange(Role::kServer, "GET", "/info", 200), connection);
  EXPECT_EQ(attribute(span, "server.address"), "/run/docker.sock");
  EXPECT_EQ(attribute(span, "client.address"), "(none)");
  EXPECT_EQ(attribute(span, "network.peer.address"), "(none)");
}

TEST(SpanBuilder, QueryRedaction) {
  const std::string target =
      "/f?a=1&sig=secret&X-Amz-Signature=s&SIG=kept&signature=kept&sig&Signature=&sig=a=b";
  const std::string redacted =
      "a=1&sig=REDACTED&X-Amz-Signature=REDACTED&SIG=kept&signature=kept&sig&Signature=REDACTED"
      "&sig=REDACTED";
  EXPECT_EQ(attribute(build_server(target, {}), "url.query"), redacted);
  EXPECT_EQ(attribute(build_client(target, {{"Host", "h"}}), "url.full"), "http://h/f?" + redacted);
  EXPECT_EQ(attribute(build_server("/f?", {}), "url.query"), "");
  EXPECT_EQ(attribute(build_server("/f", {}), "url.query"), "(none)");
  SpanBuilderOptions options;
  options.redacted_query_keys = {"token"};
  SpanBuilder builder = make_builder(options);
  const model::Span span =
      build(builder, make_exchange(Role::kServer, "GET", "/?sig=1&token=2", 200),
            make_connection(Role::kServer));
  EXPECT_EQ(attribute(span, "url.query"), "sig=1&token=REDACTED");
}

TEST(SpanBuilder, HostileBytesBecomeText) {
  EXPECT_EQ(attribute(build_server("/a\x1b[31m\xff\xc3\xa9%1b", {}), "url.path"),
            "/a\xEF\xBF\xBD[31m\xEF\xBF\xBD\xC3\xA9%1b");
  SpanBuilderOptions options;
  options.max_value_bytes = 8;
  SpanBuilder builder = make_builder(options);
  const model::Span span =
      build(builder, make_exchange(Role::kServer, "GET", "/12345\xC3\xA9\xC3\xA9", 200),
            make_connection(Role::kServer));
  EXPECT_EQ(attribute(span, "url.path"), "/12345\xC3\xA9");
}

TEST(SpanBuilder, CapturedHeaders) {
  SpanBuilderOptions options;
  options.captured_request_headers = {"X-Request-ID", "accept", "ACCEPT", "absent"};
  options.captured_response_headers = {"Set-Cookie"};
  SpanBuilder builder = make_builder(options);
  const model::Span span =
      build(builder,
            make_exchange(Role::kServer, "GET", "/", 200,
                          {{"Accept", "text/html"}, {"x-request-id", "7"}, {"accept", "a, b"}},
                          {{"set-cookie", "x=1"}, {"Set-Cookie", "y=2"}}),
            make_connection(Role::kServer));
  EXPECT_EQ(attribute(span, "http.request.header.x-request-id"), "[7]");
  EXPECT_EQ(attribute(span, "http.request.header.accept"), "[text/html|a, b]");
  EXPECT_EQ(attribute(span, "http.request.header.absent"), "(none)");
  EXPECT_EQ(attribute(span, "http.response.header.set-cookie"), "[x=1|y=2]");
  options.captured_request_headers = {"not a name"};
  const auto wrong = SpanBuilder::make(options);
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message, ::testing::HasSubstr("not a name"));
}

TEST(SpanBuilder, BaggageAttributes) {
  SpanBuilderOptions options;
  options.baggage_keys = {"tenant"};
  SpanBuilder builder = make_builder(options);
  model::Span span;
  builder.build(make_exchange(Role::kServer, "GET", "/", 200), make_connection(Role::kServer), {},
                {}, nullptr, {{"user", "u"}, {"tenant", "acme"}}, span);
  EXPECT_EQ(attribute(span, "tenant"), "acme");
  EXPECT_EQ(attribute(span, "user"), "(none)");
}

TEST(SpanBuilder, IncompleteExchangesSayWhy) {
  model::Exchange exchange = make_exchange(Role::kServer, "GET", "/", 200);
  EXPECT_EQ(attribute(build(exchange), "zerospan.incomplete"), "(none)");
  exchange.incomplete =
      model::kGap | model::kHeadTruncated | model::kRequestTimeUnknown | model::kBodyEndUnknown;
  EXPECT_EQ(attribute(build(exchange), "zerospan.incomplete"),
            "[gap|head_truncated|request_time_unknown|body_end_unknown]");
}

TEST(SpanBuilder, BodySizes) {
  model::Exchange exchange = make_exchange(Role::kServer, "GET", "/", 200);
  auto& http = std::get<model::HttpExchange>(exchange.payload);
  http.response_body_size = 0;
  EXPECT_EQ(attribute(build(exchange), "http.request.body.size"), "(none)");
  EXPECT_EQ(attribute(build(exchange), "http.response.body.size"), "#0");
  http.response_body_size_exact = false;
  EXPECT_EQ(attribute(build(exchange), "http.response.body.size"), "#0");
  exchange.incomplete = model::kGap;
  EXPECT_EQ(attribute(build(exchange), "http.response.body.size"), "(none)");
}

TEST(SpanBuilder, TheProgramsOwnRoute) {
  SpanBuilderOptions options;
  options.route_templates = {"/users/{id}"};
  SpanBuilder builder = make_builder(options);
  model::Exchange exchange = make_exchange(Role::kServer, "GET", "/items/7", 200);
  std::get<model::HttpExchange>(exchange.payload).route = "/items/{item}";
  model::Span span = build(builder, exchange, make_connection(Role::kServer));
  EXPECT_EQ(span.name, "GET /items/{item}");
  EXPECT_EQ(attribute(span, "http.route"), "/items/{item}");
  // What the operator says comes first.
  exchange = make_exchange(Role::kServer, "GET", "/users/7", 200);
  std::get<model::HttpExchange>(exchange.payload).route = "/users/";
  span = build(builder, exchange, make_connection(Role::kServer));
  EXPECT_EQ(attribute(span, "http.route"), "/users/{id}");
}

TEST(SpanBuilder, RoutesByTemplate) {
  SpanBuilderOptions options;
  options.route_templates = {"/users/{id}"};
  SpanBuilder builder = make_builder(options);
  model::Span span = build(builder, make_exchange(Role::kServer, "GET", "/users/7?x=/", 404),
                           make_connection(Role::kServer));
  EXPECT_EQ(span.name, "GET /users/{id}");
  EXPECT_EQ(attribute(span, "http.route"), "/users/{id}");
  const model::Exchange client = make_exchange(Role::kClient, "GET", "/users/7", 200);
  span = build(builder, client, make_connection(Role::kClient));
  EXPECT_EQ(span.name, "GET");
  EXPECT_EQ(attribute(span, "url.template"), "(none)");
  options.client_url_template = true;
  SpanBuilder with_clients = make_builder(options);
  span = build(with_clients, client, make_connection(Role::kClient));
  EXPECT_EQ(span.name, "GET /users/{id}");
  EXPECT_EQ(attribute(span, "url.template"), "/users/{id}");
  options.route_templates = {"users"};
  EXPECT_FALSE(SpanBuilder::make(options));
}

TEST(SpanBuilder, GuessedRoutes) {
  const auto connection = make_connection(Role::kServer);
  const auto exchange = [](std::string path, uint16_t status = 200) {
    return make_exchange(Role::kServer, "GET", std::move(path), status);
  };
  SpanBuilder off = make_builder();
  EXPECT_EQ(attribute(build(off, exchange("/u/7"), connection), "http.route"), "(none)");

  SpanBuilderOptions options;
  options.route_heuristic = RouteHeuristic::kAttribute;
  options.max_guessed_routes = 2;
  SpanBuilder builder = make_builder(options);
  EXPECT_EQ(attribute(build(builder, exchange("/wp-admin", 404), connection), "http.route"),
            "(none)");
  const model::Span span = build(builder, exchange("/u/7"), connection);
  EXPECT_EQ(span.name, "GET");
  EXPECT_EQ(attribute(span, "http.route"), "/u/{id}");
  EXPECT_EQ(attribute(build(builder, exchange("/b"), connection), "http.route"), "/b");
  EXPECT_EQ(attribute(build(builder, exchange("/c"), connection), "http.route"), "(none)");
  EXPECT_EQ(attribute(build(builder, exchange("/u/9", 404), connection), "http.route"), "/u/{id}");

  options.route_heuristic = RouteHeuristic::kName;
  SpanBuilder named = make_builder(options);
  EXPECT_EQ(build(named, exchange("/u/7"), connection).name, "GET /u/{id}");
}

}  // namespace
}  // namespace zerospan::spans
