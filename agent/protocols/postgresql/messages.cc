// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/postgresql/messages.h"

#include <algorithm>
#include <charconv>

namespace zerospan::protocols::postgresql {
namespace {

constexpr uint32_t kMaxStartupBytes = 10000;  // MAX_STARTUP_PACKET_LENGTH of the server

constexpr std::string_view kRequestTypes = "QPBEDCSHFXdcfp";
constexpr std::string_view kResponseTypes = "RSKZTDCIEN123nstGHWdcVvA";

// Lengths that a type has always, as the specification says.
bool fits(bool request, char type, uint32_t length) {
  if (request) {
    switch (type) {
      case 'S':
      case 'H':
      case 'X':
      case 'c':
        return length == 4;
      case 'Q':
      case 'f':
        return length >= 5;
      case 'P':
        return length >= 8;
      case 'B':
        return length >= 10;
      case 'E':
        return length >= 9;
      case 'D':
      case 'C':
        return length >= 6;
      default:
        return true;
    }
  }
  switch (type) {
    case '1':
    case '2':
    case '3':
    case 'I':
    case 'n':
    case 's':
    case 'c':
      return length == 4;
    case 'Z':
      return length == 5;
    case 'K':
      return length >= 12;
    case 'C':
      return length >= 6 && length < 128;
    case 'E':
    case 'N':
    case 'S':
    case 'T':
    case 'D':
      return length >= 6;
    default:
      return true;
  }
}

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

// `body` is whole.
bool is_well_formed(bool request, char type, std::string_view body) {
  if (request) {
    switch (type) {
      case 'Q':
        return body.find('\0') == body.size() - 1;
      case 'D':
      case 'C':
        return (body[0] == 'S' || body[0] == 'P') && body.back() == '\0';
      case 'E':
        return body[body.size() - 5] == '\0';
      default:
        return true;
    }
  }
  switch (type) {
    case 'Z':
      return body[0] == 'I' || body[0] == 'T' || body[0] == 'E';
    case 'C':
      return body.find('\0') == body.size() - 1 && is_printable(body.substr(0, body.size() - 1));
    case 'E':
    case 'N':
      return body[0] == 'S' && body.back() == '\0' && body[body.size() - 2] == '\0';
    case 'S':
      return body.back() == '\0';
    default:
      return true;
  }
}

// Are the bytes whole messages to their very end?
bool are_messages(bool request, std::string_view bytes) {
  while (!bytes.empty()) {
    if (bytes.size() < kHeaderBytes) {
      return false;
    }
    const uint32_t length = read_u32(bytes.substr(1));
    const char type = bytes[0];
    if (!is_plausible(request, type, length) || bytes.size() < length + 1ULL ||
        !is_well_formed(request, type, bytes.substr(kHeaderBytes, length - 4))) {
      return false;
    }
    bytes.remove_prefix(length + 1ULL);
  }
  return true;
}

}  // namespace

uint32_t read_u32(std::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) {
    value = value << 8U | static_cast<uint8_t>(bytes[i]);
  }
  return value;
}

bool is_startup(uint32_t length, uint32_t code) {
  switch (code) {
    case kSslRequest:
    case kGssEncRequest:
      return length == 8;
    case kCancelRequest:
      return length >= 16 && length <= 268;  // the key has four bytes, or more from 3.2 on
    default:
      return code >> 16U == 3 && (code & 0xffffU) < 16 && length > 8 && length <= kMaxStartupBytes;
  }
}

bool may_be_startup(std::string_view bytes) {
  if (bytes.size() < kStartupBytes || !is_startup(read_u32(bytes), read_u32(bytes.substr(4)))) {
    return false;
  }
  // A parameter's name follows.
  return read_u32(bytes.substr(4)) >> 16U != 3 || bytes.size() == kStartupBytes ||
         (bytes[8] >= 'A' && bytes[8] <= 'z');
}

bool is_plausible(bool request, char type, uint32_t length) {
  return (request ? kRequestTypes : kResponseTypes).find(type) != std::string_view::npos &&
         length >= 4 && length < kMaxMessageBytes && fits(request, type, length);
}

bool begins_with_messages(bool request, std::string_view bytes) {
  bool any = false;
  while (bytes.size() >= kHeaderBytes) {
    const uint32_t length = read_u32(bytes.substr(1));
    const char type = bytes[0];
    if (!is_plausible(request, type, length)) {
      return false;
    }
    any = true;
    if (bytes.size() < length + 1ULL) {
      return true;
    }
    if (!is_well_formed(request, type, bytes.substr(kHeaderBytes, length - 4))) {
      return false;
    }
    bytes.remove_prefix(length + 1ULL);
  }
  return any && (bytes.empty() || (request ? kRequestTypes : kResponseTypes).find(bytes[0]) !=
                                      std::string_view::npos);
}

size_t find_ending_messages(bool request, std::string_view bytes) {
  // ReadyForQuery; Sync or CopyDone.
  const size_t least = request ? 5 : 6;
  size_t end = bytes.size();
  if (end >= least && are_messages(request, bytes.substr(end - least))) {
    const char last = bytes[end - least];
    if (request ? last == 'S' || last == 'c' : last == 'Z') {
      end -= least;
    }
  }
  // The completion, or error, before it. What is before that belongs to who knows what. A server
  // sends an error at once, and ReadyForQuery after it.
  const std::string_view completions = end == bytes.size() ? "E" : "CEIs";
  for (size_t i = end; !request && i-- > 0;) {
    if (completions.find(bytes[i]) != std::string_view::npos &&
        are_messages(request, bytes.substr(i))) {
      return i;
    }
  }
  return end == bytes.size() ? std::string_view::npos : end;
}

std::optional<bool> tells_request(char type) {
  const bool request = kRequestTypes.find(type) != std::string_view::npos;
  const bool response = kResponseTypes.find(type) != std::string_view::npos;
  return request == response ? std::nullopt : std::optional<bool>(request);
}

std::string_view take_string(std::string_view& bytes, bool& cut) {
  const size_t end = bytes.find('\0');
  if (end == std::string_view::npos) {
    cut = true;
    const std::string_view all = bytes;
    bytes = {};
    return all;
  }
  const std::string_view taken = bytes.substr(0, end);
  bytes.remove_prefix(end + 1);
  return taken;
}

std::string_view error_code(std::string_view fields) {
  bool cut = false;
  while (!fields.empty() && fields[0] != '\0' && !cut) {
    const char field = fields[0];
    fields.remove_prefix(1);
    const std::string_view value = take_string(fields, cut);
    if (field == 'C' && !cut) {
      return value.size() == 5 && is_printable(value) ? value : std::string_view{};
    }
  }
  return {};
}

CommandTag parse_command_tag(std::string_view tag) {
  CommandTag result;
  const std::string_view name = tag.substr(0, tag.find(' '));
  result.returns_rows = name == "SELECT" || name == "FETCH";
  result.changes_rows = name == "INSERT" || name == "UPDATE" || name == "DELETE" || name == "MERGE";
  const size_t last = tag.rfind(' ');
  if (last != std::string_view::npos) {
    const std::string_view digits = tag.substr(last + 1);
    uint64_t count = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
    if (error == std::errc() && end == digits.data() + digits.size()) {
      result.count = count;
    }
  }
  return result;
}

}  // namespace zerospan::protocols::postgresql
