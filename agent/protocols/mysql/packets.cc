// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/mysql/packets.h"

#include <algorithm>

namespace zerospan::protocols::mysql {
namespace {

// Takes a string that a zero byte ends.
std::optional<std::string_view> take_string(std::string_view& bytes) {
  const size_t end = bytes.find('\0');
  if (end == std::string_view::npos) {
    return std::nullopt;
  }
  const std::string_view taken = bytes.substr(0, end);
  bytes.remove_prefix(end + 1);
  return taken;
}

}  // namespace

Header read_header(std::string_view bytes) {
  return {static_cast<uint32_t>(read_int(bytes, 3)), static_cast<uint8_t>(bytes[3])};
}

uint64_t read_int(std::string_view bytes, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < std::min(size, bytes.size()); ++i) {
    value |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  }
  return value;
}

std::optional<uint64_t> take_length_encoded(std::string_view& bytes) {
  if (bytes.empty()) {
    return std::nullopt;
  }
  const auto first = static_cast<uint8_t>(bytes[0]);
  const size_t size = first < 0xfb ? 0 : first == 0xfc ? 2 : first == 0xfd ? 3 : 8;
  if (first == 0xfb || first == 0xff || bytes.size() < 1 + size) {
    return std::nullopt;
  }
  const uint64_t value = size == 0 ? first : read_int(bytes.substr(1), size);
  bytes.remove_prefix(1 + size);
  return value;
}

bool is_command(uint8_t byte) {
  return (byte >= 0x01 && byte <= 0x1f) || byte == kBulkExecute;
}

bool is_greeting(std::string_view body) {
  if (body.size() < 2 || body[0] != '\x0a' || body[1] < '0' || body[1] > '9') {
    return false;
  }
  std::string_view rest = body.substr(1);
  const auto version = take_string(rest);
  constexpr size_t kMostVersion = 128;
  if (!version || version->size() > kMostVersion ||
      !std::all_of(version->begin(), version->end(), [](char c) { return c >= ' ' && c <= '~'; })) {
    return false;
  }
  // Thread id, eight bytes of the scramble, and a zero.
  return rest.size() >= 13 && rest[12] == '\0';
}

std::string_view greeting_version(std::string_view body) {
  return body.substr(1, body.find('\0', 1) - 1);
}

std::optional<Login> parse_login(std::string_view body) {
  constexpr size_t kFixed = 32;
  if (body.size() < kFixed) {
    return std::nullopt;
  }
  Login login;
  login.capabilities = static_cast<uint32_t>(read_int(body, 4));
  std::string_view rest = body.substr(kFixed);
  if (!take_string(rest)) {
    return login;  // SSLRequest
  }
  if ((login.capabilities & (kLengthEncodedAuth | kSecureConnection)) != 0) {
    const auto length = take_length_encoded(rest);
    if (!length || *length > rest.size()) {
      return login;
    }
    rest.remove_prefix(*length);
  } else if (!take_string(rest)) {
    return login;
  }
  if ((login.capabilities & kConnectWithDb) != 0) {
    login.database = take_string(rest).value_or(std::string_view());
  }
  return login;
}

std::optional<uint16_t> ok_status(std::string_view body) {
  if (body.empty()) {
    return std::nullopt;
  }
  body.remove_prefix(1);
  if (!take_length_encoded(body) || !take_length_encoded(body) || body.size() < 2) {
    return std::nullopt;
  }
  return static_cast<uint16_t>(read_int(body, 2));
}

std::optional<uint16_t> eof_status(std::string_view body) {
  return body.size() < 5 ? std::nullopt
                         : std::optional(static_cast<uint16_t>(read_int(body.substr(3), 2)));
}

uint16_t error_number(std::string_view body) {
  return body.size() < 3 ? uint16_t{0} : static_cast<uint16_t>(read_int(body.substr(1), 2));
}

size_t find_ending_packet(std::string_view bytes) {
  constexpr size_t kLeastBody = 5;
  for (size_t at = 0; at + kHeaderBytes + kLeastBody <= bytes.size(); ++at) {
    const std::string_view body = bytes.substr(at + kHeaderBytes);
    if (read_header(bytes.substr(at)).length != body.size()) {
      continue;
    }
    const auto first = static_cast<uint8_t>(body[0]);
    if (first == 0xff && body.size() > 9 && body[3] == '#') {
      return at;
    }
    if (first == 0xfe) {
      const auto status = body.size() == 5 ? eof_status(body) : ok_status(body);
      if (status && body.size() != 6 && (*status & kMoreResults) == 0) {
        return at;
      }
    }
  }
  return std::string_view::npos;
}

}  // namespace zerospan::protocols::mysql
