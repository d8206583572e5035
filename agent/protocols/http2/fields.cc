// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/http2/fields.h"

#include <array>

namespace zerospan::protocols::http2 {
namespace {

// Section 8.2.1: a token of RFC 9110 section 5.6.2 without upper-case letters.
constexpr std::array<bool, 256> kNameBytes = [] {
  std::array<bool, 256> allowed{};
  for (const char c : std::string_view("abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~")) {
    allowed[static_cast<uint8_t>(c)] = true;
  }
  return allowed;
}();

bool is_name(std::string_view name) {
  for (const char c : name) {
    if (!kNameBytes[static_cast<uint8_t>(c)]) {
      return false;
    }
  }
  return !name.empty();
}

bool is_value(std::string_view value) {
  for (const char c : value) {
    if (c == '\0' || c == '\r' || c == '\n') {
      return false;
    }
  }
  return true;
}

std::string_view* pseudo_field(KnownFields& known, std::string_view name) {
  if (name == ":path") {
    return &known.path;
  }
  if (name == ":method") {
    return &known.method;
  }
  if (name == ":scheme") {
    return &known.scheme;
  }
  if (name == ":authority") {
    return &known.authority;
  }
  return name == ":status" ? &known.status : nullptr;
}

std::string_view* regular_field(KnownFields& known, std::string_view name) {
  // Most fields differ from these in length.
  switch (name.size()) {
    case 4:
      return name == "host" ? &known.host : nullptr;
    case 11:
      return name == "grpc-status" ? &known.grpc_status : nullptr;
    case 12:
      return name == "content-type"   ? &known.content_type
             : name == "grpc-message" ? &known.grpc_message
             : name == "grpc-timeout" ? &known.grpc_timeout
                                      : nullptr;
    default:
      return nullptr;
  }
}

}  // namespace

std::optional<KnownFields> check_fields(const FieldList& list) {
  KnownFields known;
  bool regular = false;
  for (size_t i = 0; i < list.size(); ++i) {
    const auto [name, value] = list[i];
    if (!is_value(value)) {
      return std::nullopt;
    }
    if (!name.starts_with(':')) {
      if (!is_name(name)) {
        return std::nullopt;
      }
      regular = true;
      if (std::string_view* const field = regular_field(known, name);
          field != nullptr && field->data() == nullptr) {
        *field = value;
      }
      continue;
    }
    if (name == ":protocol") {
      continue;  // RFC 8441: CONNECT to a WebSocket
    }
    std::string_view* const field = pseudo_field(known, name);
    if (regular || field == nullptr || field->data() != nullptr) {
      return std::nullopt;
    }
    *field = value;
  }
  if (known.of_request() && known.of_response()) {
    return std::nullopt;
  }
  if (known.of_response() && parse_status(known.status) == 0) {
    return std::nullopt;
  }
  return known;
}

uint16_t parse_status(std::string_view value) {
  if (value.size() != 3) {
    return 0;
  }
  uint16_t status = 0;
  for (const char c : value) {
    if (c < '0' || c > '9') {
      return 0;
    }
    status = static_cast<uint16_t>(status * 10 + (c - '0'));
  }
  return status;
}

size_t copy_fields(const FieldList& list, const KnownFields& known, model::HeaderBlock& block) {
  block.clear();
  block.reserve_fields(list.size());
  if (known.authority.data() != nullptr && known.host.data() == nullptr) {
    block.append_field("host", known.authority);
  }
  for (size_t i = 0; i < list.size(); ++i) {
    const auto [name, value] = list[i];
    if (!name.starts_with(':')) {
      block.append_field(name, value);
    }
  }
  return block.raw().size() + block.size() * 4 * sizeof(uint32_t);
}

}  // namespace zerospan::protocols::http2
