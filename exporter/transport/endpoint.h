// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The endpoint as the operator wrote it, checked and taken apart. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/core/result.h"

namespace zerospan::transport {

struct ParsedEndpoint {
  bool has_scheme = false;
  bool secure = false;  // https; without a scheme false
  std::string host;     // a name, an IPv4 address, or an IPv6 address in brackets
  uint16_t port = 0;    // 0: none was given
  std::string path;     // with its query; empty, or starting with '/'

  [[nodiscard]] std::string authority(uint16_t default_port) const;
};

// [http(s)://]HOST[:PORT][/PATH][?QUERY]. User names, fragments, white space and control characters
// are refused (kInvalidArgument).
[[nodiscard]] Result<ParsedEndpoint> parse_endpoint(std::string_view endpoint);

// The URL that OTLP/HTTP requests go to: with for_traces the endpoint as it is (root path if it has
// none), else its path with v1/traces behind.
[[nodiscard]] Result<std::string> http_traces_url(std::string_view endpoint, bool for_traces);

}  // namespace zerospan::transport
