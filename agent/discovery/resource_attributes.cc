// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/resource_attributes.h"

#include <algorithm>
#include <cstdint>

#include "agent/core/utf8.h"

namespace zerospan::discovery {
namespace {

constexpr size_t kMaxAttributes = 128;  // as the specification's default attribute count limit

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  if (c >= 'A' && c <= 'F') {
    return c - 'A' + 10;
  }
  return -1;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (text.size() - i < 3) {
      return std::nullopt;
    }
    const int high = hex_digit(text[i + 1]);
    const int low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) {
      return std::nullopt;
    }
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

}  // namespace

std::string to_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const size_t length = utf8_sequence_length(bytes);
    if (length == 0) {
      out += "\xef\xbf\xbd";
    } else {
      out += bytes.substr(0, length);
    }
    bytes.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

std::optional<ResourceAttributes> parse_resource_attributes(std::string_view value) {
  ResourceAttributes out;
  if (trim(value).empty()) {
    return out;
  }
  for (;;) {
    const size_t comma = std::min(value.find(','), value.size());
    const std::string_view member = value.substr(0, comma);
    const size_t equals = member.find('=');
    if (equals == std::string_view::npos) {
      return std::nullopt;
    }
    auto key = percent_decode(trim(member.substr(0, equals)));
    // '=' in a value should be encoded, but is a legal octet of a W3C baggage value.
    auto text = percent_decode(trim(member.substr(equals + 1)));
    if (!key || key->empty() || !text) {
      return std::nullopt;
    }
    std::string clean_key = to_utf8(*key);
    const auto found = std::find_if(out.begin(), out.end(),
                                    [&](const auto& pair) { return pair.first == clean_key; });
    if (found != out.end()) {
      found->second = to_utf8(*text);
    } else if (out.size() == kMaxAttributes) {
      return std::nullopt;
    } else {
      out.emplace_back(std::move(clean_key), to_utf8(*text));
    }
    if (comma == value.size()) {
      return out;
    }
    value.remove_prefix(comma + 1);
  }
}

}  // namespace zerospan::discovery
