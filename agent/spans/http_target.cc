// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/http_target.h"

#include <algorithm>
#include <array>

#include "agent/spans/text.h"

namespace zerospan::spans {

namespace {

constexpr size_t kMaxHostLength = 255;  // RFC 1035 section 3.1

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
    text.remove_prefix(1);
  }
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
    text.remove_suffix(1);
  }
  return text;
}

using ByteSet = std::array<bool, 256>;

constexpr ByteSet make_byte_set(std::string_view punctuation, bool raw_utf8) {
  ByteSet set{};
  for (size_t i = 0; i < set.size(); ++i) {
    const auto c = static_cast<char>(i);
    set[i] = i >= 0x80
                 ? raw_utf8
                 : is_alpha(c) || is_digit(c) || punctuation.find(c) != std::string_view::npos;
  }
  return set;
}

// RFC 3986's unreserved, sub-delims and '%', and bytes of raw UTF-8, which some clients send.
constexpr ByteSet kHostBytes = make_byte_set("-._~%!$&'()*+,;=", true);
// A zone identifier (RFC 6874) makes letters, '%' and the unreserved ones possible.
constexpr ByteSet kIpv6Bytes = make_byte_set(":.%-_~", false);

std::optional<uint16_t> parse_port(std::string_view digits) {
  if (digits.empty() || digits.size() > 5 || !std::all_of(digits.begin(), digits.end(), is_digit)) {
    return std::nullopt;
  }
  uint32_t value = 0;
  for (char c : digits) {
    value = value * 10 + static_cast<uint32_t>(c - '0');
  }
  if (value == 0 || value > UINT16_MAX) {
    return std::nullopt;
  }
  return static_cast<uint16_t>(value);
}

Authority valid_or_nothing(std::string_view host, std::string_view port, bool ipv6) {
  const ByteSet& allowed = ipv6 ? kIpv6Bytes : kHostBytes;
  if (host.empty() || host.size() > kMaxHostLength ||
      !std::all_of(host.begin(), host.end(),
                   [&](char c) { return allowed[static_cast<uint8_t>(c)]; })) {
    return {};
  }
  return {host, parse_port(port)};
}

}  // namespace

uint16_t default_port(std::string_view scheme) {
  if (scheme == "http") {
    return 80;
  }
  return scheme == "https" ? 443 : 0;
}

Authority parse_authority(std::string_view text) {
  text = trim(text);
  if (const size_t at = text.rfind('@'); at != std::string_view::npos) {
    text.remove_prefix(at + 1);
  }
  if (text.empty()) {
    return {};
  }
  if (text.front() == '[') {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) {
      return {};
    }
    const std::string_view after = text.substr(end + 1);
    if (!after.empty() && after.front() != ':') {
      return {};
    }
    return valid_or_nothing(text.substr(1, end - 1), after.empty() ? after : after.substr(1), true);
  }
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    return valid_or_nothing(text, {}, false);
  }
  if (text.find(':', colon + 1) != std::string_view::npos) {
    return valid_or_nothing(text, {}, true);
  }
  return valid_or_nothing(text.substr(0, colon), text.substr(colon + 1), false);
}

RequestTarget parse_request_target(std::string_view method, std::string_view target) {
  RequestTarget out;
  if (target.empty() || target == "*") {
    return out;
  }
  std::string_view rest = target;
  if (target.front() != '/') {
    if (method == "CONNECT") {
      out.authority = target;
      return out;
    }
    const size_t scheme_end = target.find("://");
    const bool absolute = scheme_end != std::string_view::npos && scheme_end > 0 &&
                          is_alpha(target.front()) &&
                          std::all_of(target.begin(), target.begin() + scheme_end, [](char c) {
                            return is_alpha(c) || is_digit(c) || c == '+' || c == '-' || c == '.';
                          });
    if (absolute) {
      out.scheme = target.substr(0, scheme_end);
      rest = target.substr(scheme_end + 3);
      const size_t authority_end = std::min(rest.find_first_of("/?"), rest.size());
      out.authority = rest.substr(0, authority_end);
      rest.remove_prefix(authority_end);
    }
  }
  const size_t question = rest.find('?');
  if (question != std::string_view::npos) {
    out.query = rest.substr(question + 1);
    out.has_query = true;
    rest = rest.substr(0, question);
  }
  out.path = rest;
  return out;
}

Forwarded parse_forwarded(std::string_view value) {
  Forwarded out;
  size_t at = 0;
  while (at < value.size()) {
    // One pair: token "=" ( token | quoted-string ), ended by ';' (next pair) or ',' (next
    // element).
    const size_t name_end = value.find_first_of("=;,", at);
    if (name_end == std::string_view::npos || value[name_end] == ',') {
      return out;
    }
    if (value[name_end] == ';') {
      at = name_end + 1;
      continue;
    }
    const std::string_view name = trim(value.substr(at, name_end - at));
    at = name_end + 1;
    while (at < value.size() && (value[at] == ' ' || value[at] == '\t')) {
      ++at;
    }
    std::string_view pair_value;
    if (at < value.size() && value[at] == '"') {
      const size_t end = value.find('"', at + 1);
      if (end == std::string_view::npos) {
        return out;
      }
      pair_value = value.substr(at + 1, end - at - 1);
      if (pair_value.find('\\') != std::string_view::npos) {
        return out;  // where the quoted string ends is not certain any more
      }
      at = end + 1;
    } else {
      const size_t end = std::min(value.find_first_of(";,", at), value.size());
      pair_value = trim(value.substr(at, end - at));
      at = end;
    }
    if (equals_ignoring_case(name, "for") && out.for_node.empty()) {
      out.for_node = pair_value;
    } else if (equals_ignoring_case(name, "host") && out.host.empty()) {
      out.host = pair_value;
    } else if (equals_ignoring_case(name, "proto") && out.proto.empty()) {
      out.proto = pair_value;
    }
    const size_t separator = value.find_first_of(";,", at);
    if (separator == std::string_view::npos || value[separator] == ',') {
      return out;
    }
    at = separator + 1;
  }
  return out;
}

std::string_view first_list_element(std::string_view value) {
  return trim(value.substr(0, value.find(',')));
}

std::string_view known_scheme(std::string_view text) {
  if (equals_ignoring_case(text, "http")) {
    return "http";
  }
  if (equals_ignoring_case(text, "https")) {
    return "https";
  }
  return {};
}

std::string_view node_address(std::string_view node) {
  if (node.empty() || node.front() == '_' || equals_ignoring_case(node, "unknown")) {
    return {};
  }
  return parse_authority(node).host;
}

void append_redacted_query(std::string& out, std::string_view query,
                           const std::vector<std::string>& keys, size_t limit) {
  size_t kept = 0;  // what is before it is in `out`
  for (size_t begin = 0; begin <= query.size();) {
    const size_t end = std::min(query.find('&', begin), query.size());
    const std::string_view parameter = query.substr(begin, end - begin);
    const size_t equals = parameter.find('=');
    const bool secret =
        equals != std::string_view::npos &&
        std::find(keys.begin(), keys.end(), parameter.substr(0, equals)) != keys.end();
    if (secret) {
      append_text(out, query.substr(kept, begin + equals + 1 - kept), limit);
      append_text(out, "REDACTED", limit);
      kept = end;
    }
    begin = end + 1;
  }
  append_text(out, query.substr(kept), limit);
}

}  // namespace zerospan::spans
