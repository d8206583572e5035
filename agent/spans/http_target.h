// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Taking apart what an HTTP request says about where it went: the request target (RFC 9112 section
// 3.2), authorities (RFC 3986 section 3.2), and what proxies add (Forwarded, RFC 7239; the
// X-Forwarded-* family). Pure functions over hostile bytes; the views point into the arguments.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace zerospan::spans {

// The default port of "http" or "https"; 0 for any other scheme.
[[nodiscard]] uint16_t default_port(std::string_view scheme);

struct Authority {
  std::string_view host;  // without the brackets of an IPv6 literal; empty: there is none
  std::optional<uint16_t> port;
};

// "host", "host:port", "[v6]", "[v6]:port" or a bare IPv6 address (which X-Forwarded-For carries);
// user information in front of an '@' is left out. The host is empty if the bytes are no authority.
[[nodiscard]] Authority parse_authority(std::string_view text);

struct RequestTarget {
  std::string_view scheme;     // absolute form only; as on the wire
  std::string_view authority;  // absolute form, and the authority form of CONNECT
  std::string_view path;       // empty for the authority and asterisk forms (RFC 9112 section 3.3)
  std::string_view query;
  bool has_query = false;
  bool known = true;           // false: the target was not seen, so an empty path says nothing
  bool of_clickhouse = false;  // the query is for append_clickhouse_query()
};

[[nodiscard]] RequestTarget parse_request_target(std::string_view method, std::string_view target);

// What the first element of `Forwarded` (that of the proxy nearest to the client) says; each view
// may be empty. A quoted value is given without its quotes; one with backslash escapes, which no
// address needs, is left out.
struct Forwarded {
  std::string_view for_node;
  std::string_view host;
  std::string_view proto;
};
[[nodiscard]] Forwarded parse_forwarded(std::string_view value);

// The first element of a comma-separated list, without white space around it.
[[nodiscard]] std::string_view first_list_element(std::string_view value);

// "http" or "https" (in lower case) if `text` is one of them in any case, else empty: other values
// come from anybody on the network and would make the attribute's cardinality theirs.
[[nodiscard]] std::string_view known_scheme(std::string_view text);

// The address of a node of Forwarded's `for` or of X-Forwarded-For, without its port; empty for
// "unknown" and obfuscated identifiers (RFC 7239 section 6) and for what cannot be an address.
[[nodiscard]] std::string_view node_address(std::string_view node);

// Appends the query with the values of `keys` (compared byte by byte with the raw parameter name,
// as the convention asks) replaced by REDACTED, as text (see append_text) within `limit` bytes.
void append_redacted_query(std::string& out, std::string_view query,
                           const std::vector<std::string>& keys, size_t limit);

}  // namespace zerospan::spans
