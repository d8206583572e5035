// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/http2/grpc.h"

#include <algorithm>

namespace zerospan::protocols::http2 {
namespace {

// At most `max_digits` of them, nothing else.
std::optional<uint32_t> parse_decimal(std::string_view text, size_t max_digits) {
  if (text.empty() || text.size() > max_digits) {
    return std::nullopt;
  }
  uint32_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') {
      return std::nullopt;
    }
    value = value * 10 + static_cast<uint32_t>(c - '0');
  }
  return value;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

}  // namespace

bool is_grpc_content_type(std::string_view value) {
  constexpr std::string_view kType = "application/grpc";
  if (!value.starts_with(kType)) {
    return false;
  }
  value.remove_prefix(kType.size());
  return value.empty() || value[0] == '+' || value[0] == ';' || value[0] == ' ';
}

std::optional<uint32_t> parse_grpc_status(std::string_view value) {
  return parse_decimal(value, 9);
}

std::optional<uint64_t> parse_grpc_timeout(std::string_view value) {
  if (value.empty()) {
    return std::nullopt;
  }
  uint64_t unit_ns = 0;
  switch (value.back()) {
    case 'H':
      unit_ns = 3'600'000'000'000;
      break;
    case 'M':
      unit_ns = 60'000'000'000;
      break;
    case 'S':
      unit_ns = 1'000'000'000;
      break;
    case 'm':
      unit_ns = 1'000'000;
      break;
    case 'u':
      unit_ns = 1'000;
      break;
    case 'n':
      unit_ns = 1;
      break;
    default:
      return std::nullopt;
  }
  const auto number = parse_decimal(value.substr(0, value.size() - 1), 8);
  // 99999999 hours do not fit into 64 bits; no deadline is that far.
  if (!number || *number > UINT64_MAX / unit_ns) {
    return std::nullopt;
  }
  return *number * unit_ns;
}

std::string decode_grpc_message(std::string_view value, size_t limit) {
  std::string text;
  for (size_t i = 0; i < value.size() && text.size() < limit; ++i) {
    if (value[i] == '%' && value.size() - i > 2) {
      const int high = hex_digit(value[i + 1]);
      const int low = hex_digit(value[i + 2]);
      if (high >= 0 && low >= 0) {
        text.push_back(static_cast<char>(high * 16 + low));
        i += 2;
        continue;
      }
    }
    text.push_back(value[i]);
  }
  return text;
}

void MessageCounter::feed(std::string_view data) {
  while (messages_.exact && !data.empty()) {
    if (left_ != 0) {
      const size_t taken = std::min<size_t>(left_, data.size());
      left_ -= static_cast<uint32_t>(taken);
      data.remove_prefix(taken);
      continue;
    }
    prefix_[prefix_count_++] = static_cast<uint8_t>(data[0]);
    data.remove_prefix(1);
    if (prefix_count_ == kPrefixBytes) {
      prefix_count_ = 0;
      left_ = uint32_t{prefix_[1]} << 24U | uint32_t{prefix_[2]} << 16U |
              uint32_t{prefix_[3]} << 8U | prefix_[4];
      if (prefix_[0] > 1) {
        messages_.exact = false;  // no such flag: this is not where a message begins
        return;
      }
      ++messages_.count;
      messages_.compressed = messages_.compressed || prefix_[0] == 1;
    }
  }
}

void MessageCounter::skip(uint64_t count) {
  if (count > left_) {
    messages_.exact = false;
  } else {
    left_ -= static_cast<uint32_t>(count);
  }
}

void MessageCounter::end() {
  if (left_ != 0 || prefix_count_ != 0) {
    messages_.exact = false;
  }
}

}  // namespace zerospan::protocols::http2
