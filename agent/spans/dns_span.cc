// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Spans of questions to name servers. The conventions have no spans for DNS, only attributes, in
// development (https://opentelemetry.io/docs/specs/semconv/registry/attributes/dns/); what they do
// not have is under zerospan.

#include <array>

#include "agent/spans/interruption.h"
#include "agent/spans/span_builder.h"
#include "agent/spans/text.h"

namespace zerospan::spans {
namespace {

// https://www.iana.org/assignments/dns-parameters, the types that programs ask for. Empty: another.
std::string_view type_name(uint16_t type) {
  switch (type) {
    case 1:
      return "A";
    case 2:
      return "NS";
    case 5:
      return "CNAME";
    case 6:
      return "SOA";
    case 12:
      return "PTR";
    case 15:
      return "MX";
    case 16:
      return "TXT";
    case 28:
      return "AAAA";
    case 33:
      return "SRV";
    case 35:
      return "NAPTR";
    case 43:
      return "DS";
    case 46:
      return "RRSIG";
    case 48:
      return "DNSKEY";
    case 52:
      return "TLSA";
    case 64:
      return "SVCB";
    case 65:
      return "HTTPS";
    case 251:
      return "IXFR";
    case 252:
      return "AXFR";
    case 255:
      return "ANY";
    case 257:
      return "CAA";
    default:
      return {};
  }
}

constexpr std::array<std::string_view, 12> kResponseCodes = {
    "NOERROR",  "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",  "REFUSED",
    "YXDOMAIN", "YXRRSET", "NXRRSET",  "NOTAUTH",  "NOTZONE", "DSOTYPENI"};
constexpr uint16_t kServerFailure = 2;
constexpr uint16_t kNotImplemented = 4;

}  // namespace

void SpanBuilder::build_dns(const model::Exchange& exchange, const model::DnsExchange& dns,
                            const model::Connection& connection, model::Span& span) const {
  // Other types are numbers that anybody may make up.
  const std::string_view type = type_name(dns.type);
  span.name = type.empty() ? "DNS" : "DNS " + std::string(type);
  add_text(span, "dns.question.name", dns.name);
  add_text(span, "zerospan.dns.question.type",
           type.empty() ? "TYPE" + std::to_string(dns.type) : std::string(type));
  if (!dns.answers.empty()) {
    span.attributes.add_texts("dns.answers", dns.answers);
  }
  if (dns.truncated) {
    span.attributes.add_bool("zerospan.dns.truncated", true);
  }
  if (dns.peer.address.empty()) {
    add_store_address(connection, span);
  } else {
    model::Connection with_peer = connection;
    with_peer.peer = dns.peer;
    add_store_address(with_peer, span);
  }
  const bool datagrams = connection.transport == model::Transport::kUdp;
  add_text(span, "network.transport", datagrams ? "udp" : "tcp");

  // Nobody listens at the server's port: that is all that ends a socket of UDP.
  std::string error(datagrams && exchange.outcome == model::Outcome::kReset
                        ? "connection_refused"
                        : interruption(exchange));
  if (dns.response_code) {
    const uint16_t code = *dns.response_code;
    const std::string name = code < kResponseCodes.size() ? std::string(kResponseCodes[code])
                                                          : "RCODE" + std::to_string(code);
    add_text(span, "zerospan.dns.response_code", name);
    // That there is no such name is what a server is asked for.
    const bool server = span.kind == model::SpanKind::kServer;
    const bool failed = server ? code == kServerFailure || code == kNotImplemented : code != 0;
    error = failed ? name : "";
  }
  if (!error.empty()) {
    add_text(span, "error.type", error);
    span.status = model::StatusCode::kError;
  }
}

}  // namespace zerospan::spans
