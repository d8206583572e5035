// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/web_rpc.h"

#include <charconv>

namespace zerospan::spans {
namespace {

// Either protocol puts "/Service/Method" behind whatever prefix the server was mounted at.
std::string_view find_method(std::string_view path) {
  const size_t method = path.rfind('/');
  if (method == std::string_view::npos || method == 0 || method + 1 == path.size()) {
    return {};
  }
  const size_t service = path.rfind('/', method - 1);
  if (service == std::string_view::npos || service + 1 == method) {
    return {};
  }
  return path.substr(service + 1);
}

// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md: "application/grpc-web", with
// "-text" and "+proto" or the like behind it.
bool is_grpc_web(std::string_view content_type) {
  constexpr std::string_view kType = "application/grpc-web";
  if (!content_type.starts_with(kType)) {
    return false;
  }
  content_type.remove_prefix(kType.size());
  return content_type.empty() || content_type[0] == '+' || content_type[0] == '-' ||
         content_type[0] == ';';
}

// https://connectrpc.com/docs/protocol: streams have content types of their own; a unary POST says
// Connect-Protocol-Version, and a unary GET connect=v1.
bool is_connect(std::string_view method, std::string_view content_type, bool connect_version,
                std::string_view query) {
  constexpr std::string_view kStream = "application/connect+";
  if (method == "POST") {
    return connect_version || content_type.starts_with(kStream);
  }
  if (method != "GET") {
    return false;
  }
  constexpr std::string_view kVersion = "connect=v1";
  for (size_t at = query.find(kVersion); at != std::string_view::npos;
       at = query.find(kVersion, at + 1)) {
    const size_t end = at + kVersion.size();
    if ((at == 0 || query[at - 1] == '&') && (end == query.size() || query[end] == '&')) {
      return true;
    }
  }
  return false;
}

std::optional<uint32_t> parse_status(std::string_view value) {
  uint32_t status = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), status);
  return error == std::errc() && end == value.data() + value.size() ? std::optional(status)
                                                                    : std::nullopt;
}

}  // namespace

std::optional<WebRpc> find_web_rpc(const model::HttpExchange& http, std::string_view content_type,
                                   bool connect_version, std::string_view path,
                                   std::string_view query) {
  WebRpc rpc;
  if (is_grpc_web(content_type)) {
    rpc.system = "grpc";
    rpc.status = parse_status(http.response_headers.find("grpc-status"));
  } else if (is_connect(http.method, content_type, connect_version, query)) {
    rpc.system = "connectrpc";
  } else {
    return std::nullopt;
  }
  // Connect's not_found is a 404 as well, with its error as JSON; a router has no such answer.
  rpc.unknown_method =
      http.status == 501 ||
      (http.status == 404 &&
       !http.response_headers.find("content-type").starts_with("application/json"));
  rpc.method = find_method(path);
  return rpc.method.empty() ? std::nullopt : std::optional(rpc);
}

}  // namespace zerospan::spans
