// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "exporter/transport/endpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace zerospan::transport {
namespace {

tl::unexpected<Error> bad_endpoint(std::string_view endpoint, std::string_view problem) {
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("the OTLP endpoint '{}' {}; write it as http://HOST:PORT or "
                          "https://HOST:PORT, for instance http://localhost:4317 (gRPC) or "
                          "http://localhost:4318 (HTTP)",
                          endpoint, problem));
}

bool is_host_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_';
}

bool is_ipv6_char(char c) {
  return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || (c >= '0' && c <= '9') || c == ':' ||
         c == '.';
}

}  // namespace

std::string ParsedEndpoint::authority(uint16_t default_port) const {
  return fmt::format("{}:{}", host, port == 0 ? default_port : port);
}

Result<ParsedEndpoint> parse_endpoint(std::string_view endpoint) {
  ParsedEndpoint parsed;
  std::string_view rest = endpoint;
  if (std::any_of(rest.begin(), rest.end(), [](char c) { return c <= ' ' || c == 0x7F; })) {
    return bad_endpoint(endpoint, "has white space or characters that are not ASCII");
  }
  if (const size_t scheme_end = rest.find("://"); scheme_end != std::string_view::npos) {
    std::string scheme(rest.substr(0, scheme_end));
    std::transform(scheme.begin(), scheme.end(), scheme.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (scheme != "http" && scheme != "https") {
      return bad_endpoint(endpoint, "has a scheme other than http and https");
    }
    parsed.has_scheme = true;
    parsed.secure = scheme == "https";
    rest.remove_prefix(scheme_end + 3);
  }
  if (rest.find('#') != std::string_view::npos) {
    return bad_endpoint(endpoint, "has a fragment (#)");
  }
  const size_t authority_end = std::min(rest.find_first_of("/?"), rest.size());
  parsed.path = rest.substr(authority_end);
  if (parsed.path.starts_with('?')) {
    parsed.path.insert(0, 1, '/');
  }
  std::string_view authority = rest.substr(0, authority_end);
  if (authority.find('@') != std::string_view::npos) {
    return bad_endpoint(endpoint, "has a user name; give credentials as headers");
  }
  size_t host_end = 0;
  if (authority.starts_with('[')) {
    host_end = authority.find(']');
    if (host_end == std::string_view::npos || host_end == 1 ||
        !std::all_of(authority.begin() + 1,
                     authority.begin() + static_cast<std::ptrdiff_t>(host_end), is_ipv6_char)) {
      return bad_endpoint(endpoint, "has no valid IPv6 address between [ and ]");
    }
    ++host_end;
  } else {
    host_end = std::min(authority.find(':'), authority.size());
    if (host_end == 0) {
      return bad_endpoint(endpoint, "names no host");
    }
    if (!std::all_of(authority.begin(), authority.begin() + static_cast<std::ptrdiff_t>(host_end),
                     is_host_char)) {
      return bad_endpoint(endpoint, "has a host name with characters that host names cannot have");
    }
  }
  parsed.host = authority.substr(0, host_end);
  const std::string_view port = authority.substr(host_end);
  if (port.empty()) {
    return parsed;
  }
  const char* port_end = port.data() + port.size();
  const auto number = std::from_chars(port.data() + 1, port_end, parsed.port);
  if (port.front() != ':' || number.ec != std::errc() || number.ptr != port_end ||
      parsed.port == 0) {
    return bad_endpoint(endpoint, "has a port that is not a number from 1 to 65535");
  }
  return parsed;
}

Result<std::string> http_traces_url(std::string_view endpoint, bool for_traces) {
  auto parsed = parse_endpoint(endpoint);
  if (!parsed) {
    return tl::unexpected(parsed.error());
  }
  if (!parsed->has_scheme) {
    return bad_endpoint(endpoint, "has no scheme, which OTLP over HTTP needs");
  }
  std::string path = parsed->path;
  if (for_traces) {
    path = path.empty() ? "/" : path;
  } else {
    std::string query;
    if (const size_t at = path.find('?'); at != std::string::npos) {
      query = path.substr(at);
      path.resize(at);
    }
    path += path.ends_with('/') ? "v1/traces" : "/v1/traces";
    path += query;
  }
  // Without a port a URL means its scheme's; OTLP's 4318 is in the default endpoint only.
  const std::string authority =
      parsed->port == 0 ? parsed->host : fmt::format("{}:{}", parsed->host, parsed->port);
  return fmt::format("{}://{}{}", parsed->secure ? "https" : "http", authority, path);
}

}  // namespace zerospan::transport
