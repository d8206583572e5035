// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/dns/message.h"

#include <arpa/inet.h>

#include <array>
#include <cstdio>

#include "agent/protocols/byte_reader.h"

namespace zerospan::protocols::dns {
namespace {

// RFC 1035 section 2.3.4.
constexpr size_t kMostName = 255;
constexpr uint8_t kLabelBits = 0xc0;  // of a length: none is set, or it is a pointer

constexpr uint16_t kTypeA = 1;
constexpr uint16_t kTypeAaaa = 28;
constexpr uint16_t kTypeOpt = 41;
constexpr uint16_t kClassIn = 1;

// As in a zone file (RFC 1035 section 5.1).
void append_label(std::string& out, std::string_view label) {
  for (const char c : label) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte <= ' ' || byte > '~') {
      std::array<char, 8> digits{};
      std::snprintf(digits.data(), digits.size(), "\\%03u", unsigned{byte});
      out += digits.data();
    } else {
      out += c == '.' || c == '\\' || c == '"' ? "\\" : "";
      out += c;
    }
  }
}

char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// The first name of a message: there is nothing that a pointer could point to.
bool read_question(ByteReader& reader, Message& message) {
  while (message.key.size() < kMostName) {
    const uint64_t length = reader.read(1);
    const std::string_view label = reader.read_bytes(length);
    if (!reader.ok() || (length & kLabelBits) != 0) {
      return false;
    }
    message.key += static_cast<char>(length);
    if (length == 0) {
      message.name += message.name.empty() ? "." : "";
      message.type = static_cast<uint16_t>(reader.read(2));
      const uint64_t question_class = reader.read(2);
      for (const uint64_t number : {uint64_t{message.type}, question_class}) {
        message.key += static_cast<char>(number >> 8U);
        message.key += static_cast<char>(number);
      }
      return reader.ok();
    }
    for (const char c : label) {
      message.key += to_lower(c);
    }
    message.name += message.name.empty() ? "" : ".";
    append_label(message.name, label);
  }
  return false;
}

void skip_name(ByteReader& reader) {
  while (reader.ok()) {
    const uint64_t length = reader.read(1);
    if ((length & kLabelBits) != 0) {
      reader.read_bytes(1);
      return;
    }
    if (length == 0) {
      return;
    }
    reader.read_bytes(length);
  }
}

void read_record(ByteReader& reader, bool is_answer, Message& message) {
  skip_name(reader);
  const uint64_t type = reader.read(2);
  const uint64_t record_class = reader.read(2);
  const uint64_t ttl = reader.read(4);
  const std::string_view data = reader.read_bytes(reader.read(2));
  if (!reader.ok()) {
    return;
  }
  if (type == kTypeOpt && !is_answer) {
    message.response_code = static_cast<uint16_t>(message.response_code | ttl >> 24U << 4U);
  }
  const bool ipv6 = type == kTypeAaaa && data.size() == sizeof(in6_addr);
  if (!is_answer || record_class != kClassIn || message.answers.size() >= kMostAnswers ||
      (!ipv6 && (type != kTypeA || data.size() != sizeof(in_addr)))) {
    return;
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(ipv6 ? AF_INET6 : AF_INET, data.data(), text.data(), text.size());
  message.answers.emplace_back(text.data());
}

}  // namespace

std::optional<Message> read_message(std::string_view bytes, uint64_t size) {
  ByteReader reader(bytes);
  Message message;
  message.id = static_cast<uint16_t>(reader.read(2));
  const uint64_t flags = reader.read(2);
  const uint64_t questions = reader.read(2);
  const uint64_t answers = reader.read(2);
  const uint64_t others = reader.read(2) + reader.read(2);
  message.response = (flags & 0x8000U) != 0;
  message.truncated = (flags & 0x0200U) != 0;
  message.response_code = flags & 0xfU;
  constexpr uint64_t kOpcode = 0x7800;
  if (!reader.ok() || (flags & kOpcode) != 0 || questions > 1 ||
      (questions == 0 && !message.response)) {
    return std::nullopt;
  }
  if (questions == 1 && !read_question(reader, message)) {
    return std::nullopt;
  }
  for (uint64_t i = 0; i < answers + others && reader.ok(); ++i) {
    read_record(reader, i < answers, message);
  }
  message.cut = !reader.ok() && bytes.size() < size;
  return message;
}

}  // namespace zerospan::protocols::dns
