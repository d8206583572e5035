// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "agent/spans/span_builder.h"
#include "agent/spans/test_exchange.h"

namespace zerospan::spans {
namespace {

using model::Role;

model::Exchange make_question(Role role, std::optional<uint16_t> code) {
  model::Exchange exchange = testing::make_exchange(role, "", "", 0);
  model::DnsExchange dns;
  dns.name = "www.example.com";
  dns.type = 28;
  dns.response_code = code;
  exchange.payload = std::move(dns);
  return exchange;
}

model::DnsExchange& dns_of(model::Exchange& exchange) {
  return std::get<model::DnsExchange>(exchange.payload);
}

model::Span build(const model::Exchange& exchange,
                  model::Transport transport = model::Transport::kUdp) {
  auto builder = SpanBuilder::make({});
  EXPECT_TRUE(builder);
  model::Connection connection = testing::make_connection(exchange.role);
  connection.transport = transport;
  model::Span span;
  builder->build(exchange, connection, {}, {}, nullptr, {}, span);
  return span;
}

std::string text_of(const model::Span& span, std::string_view key) {
  for (const model::Attribute& attribute : span.attributes) {
    if (attribute.key == key) {
      if (const auto* text = std::get_if<std::string_view>(&attribute.value)) {
        return std::string(*text);
      }
      if (const auto* texts = std::get_if<std::vector<std::string_view>>(&attribute.value)) {
        std::string all;
        for (const std::string_view one : *texts) {
          all.append(one).append(" ");
        }
        return all;
      }
      return "?";
    }
  }
  return "none";
}

TEST(DnsSpan, Attributes) {
  model::Exchange exchange = make_question(Role::kClient, 0);
  dns_of(exchange).answers = {"2001:db8::1", "2001:db8::2"};
  const model::Span span = build(exchange);
  EXPECT_EQ(span.name, "DNS AAAA");
  EXPECT_EQ(span.kind, model::SpanKind::kClient);
  EXPECT_EQ(span.status, model::StatusCode::kUnset);
  EXPECT_EQ(text_of(span, "dns.question.name"), "www.example.com");
  EXPECT_EQ(text_of(span, "dns.answers"), "2001:db8::1 2001:db8::2 ");
  EXPECT_EQ(text_of(span, "zerospan.dns.question.type"), "AAAA");
  EXPECT_EQ(text_of(span, "zerospan.dns.response_code"), "NOERROR");
  EXPECT_EQ(text_of(span, "server.address"), "10.1.2.80");
  EXPECT_EQ(text_of(span, "network.transport"), "udp");
  EXPECT_EQ(text_of(span, "error.type"), "none");
  EXPECT_EQ(text_of(build(exchange, model::Transport::kTcp), "network.transport"), "tcp");
}

TEST(DnsSpan, MadeUpTypesAreNotInTheName) {
  model::Exchange exchange = make_question(Role::kServer, 0);
  dns_of(exchange).type = 4711;
  EXPECT_EQ(build(exchange).name, "DNS");
  EXPECT_EQ(text_of(build(exchange), "zerospan.dns.question.type"), "TYPE4711");
}

TEST(DnsSpan, Errors) {
  EXPECT_EQ(text_of(build(make_question(Role::kClient, 3)), "error.type"), "NXDOMAIN");
  EXPECT_EQ(text_of(build(make_question(Role::kClient, 4095)), "error.type"), "RCODE4095");
  const model::Span answered = build(make_question(Role::kServer, 3));
  EXPECT_EQ(text_of(answered, "error.type"), "none");
  EXPECT_EQ(text_of(answered, "zerospan.dns.response_code"), "NXDOMAIN");
  EXPECT_EQ(text_of(build(make_question(Role::kServer, 2)), "error.type"), "SERVFAIL");
  model::Exchange exchange = make_question(Role::kClient, std::nullopt);
  EXPECT_EQ(text_of(build(exchange), "error.type"), "none");
  exchange.outcome = model::Outcome::kNoResponse;
  EXPECT_EQ(text_of(build(exchange), "error.type"), "no_response");
  exchange.outcome = model::Outcome::kReset;
  EXPECT_EQ(text_of(build(exchange), "error.type"), "connection_refused");
  EXPECT_EQ(text_of(build(exchange, model::Transport::kTcp), "error.type"), "connection_reset");
  EXPECT_EQ(build(exchange).status, model::StatusCode::kError);
}

TEST(DnsSpan, PeerOfASocketThatIsConnectedToNobody) {
  model::Exchange exchange = make_question(Role::kClient, 0);
  dns_of(exchange).peer = {"10.9.9.9", 53};
  EXPECT_EQ(text_of(build(exchange), "server.address"), "10.9.9.9");
  exchange.role = Role::kServer;
  EXPECT_EQ(text_of(build(exchange), "network.peer.address"), "10.9.9.9");
  EXPECT_EQ(text_of(build(exchange), "server.address"), "10.1.2.80");
}

}  // namespace
}  // namespace zerospan::spans
