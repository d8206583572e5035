// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/mqtt/packets.h"

#include <algorithm>

#include "agent/protocols/byte_reader.h"

namespace zerospan::protocols::mqtt {
namespace {

constexpr uint8_t kFailure = 0x80;

uint64_t read_variable(ByteReader& reader) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 28; shift += 7) {
    const uint64_t byte = reader.read(1);
    value |= (byte & 0x7fU) << shift;
    if ((byte & 0x80U) == 0) {
      return value;
    }
  }
  reader.read_bytes(UINT64_MAX);  // too long
  return 0;
}

std::string_view read_text(ByteReader& reader) {
  return reader.read_bytes(reader.read(2));
}

bool is_text(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(),
                     [](char byte) { return byte >= ' ' && byte != 0x7f; });
}

// Properties (section 2.2.2.2). False: some were not understood.
bool read_properties(ByteReader reader, Publish& publish) {
  while (reader.ok() && !reader.at_end()) {
    switch (reader.read(1)) {
      case 0x01:  // payload format
        reader.read(1);
        break;
      case 0x02:  // expiry
        reader.read(4);
        break;
      case 0x03:  // content type
      case 0x08:  // response topic
        read_text(reader);
        break;
      case 0x09: {
        const std::string_view data = read_text(reader);
        publish.correlation = is_text(data) ? data.substr(0, 256) : std::string_view();
        break;
      }
      case 0x0b:  // subscription
        read_variable(reader);
        break;
      case 0x23:
        publish.alias = static_cast<uint16_t>(reader.read(2));
        break;
      case 0x26: {
        const std::string_view name = read_text(reader);
        const std::string_view value = read_text(reader);
        if (name == "traceparent" && publish.traceparent.empty()) {
          publish.traceparent = value.substr(0, 128);
        }
        break;
      }
      default:
        return false;
    }
  }
  return reader.ok();
}

}  // namespace

std::optional<Publish> read_publish(uint8_t flags, unsigned version, std::string_view payload,
                                    uint64_t size, bool& known) {
  const unsigned qos = flags >> 1U & 3U;
  ByteReader reader(payload);
  Publish publish;
  publish.topic = read_text(reader);
  publish.id = qos != 0 ? static_cast<uint16_t>(reader.read(2)) : 0;
  if (!reader.ok() || qos == 3 || (qos != 0 && publish.id == 0)) {
    return std::nullopt;
  }
  known = true;
  uint64_t head = payload.size() - reader.left();
  if (version == 5) {
    const uint64_t length = read_variable(reader);
    head = payload.size() - reader.left() + length;
    const std::string_view properties = reader.read_bytes(length);
    known = reader.ok() && read_properties(ByteReader(properties), publish);
  }
  if (head > size) {
    return std::nullopt;
  }
  publish.body_size = size - head;
  return publish;
}

std::optional<Ack> read_ack(Type type, unsigned version, std::string_view payload) {
  ByteReader reader(payload);
  Ack ack;
  if (type == kConnAck) {
    reader.read(1);
    ack.reason = static_cast<uint8_t>(reader.read(1));
    return reader.ok() ? std::optional(ack) : std::nullopt;
  }
  ack.id = static_cast<uint16_t>(reader.read(2));
  if (!reader.ok()) {
    return std::nullopt;
  }
  if (type == kSubAck || type == kUnsubAck) {
    if (version == 5) {
      reader.read_bytes(read_variable(reader));
    }
    while (reader.ok() && !reader.at_end() && ack.reason < kFailure) {
      ack.reason = static_cast<uint8_t>(reader.read(1));
    }
  } else if (!reader.at_end()) {
    ack.reason = static_cast<uint8_t>(reader.read(1));
  }
  return ack;
}

std::optional<Subscription> read_subscription(Type type, unsigned version,
                                              std::string_view payload) {
  ByteReader reader(payload);
  Subscription subscription;
  subscription.id = static_cast<uint16_t>(reader.read(2));
  if (version == 5) {
    reader.read_bytes(read_variable(reader));
  }
  if (!reader.ok() || subscription.id == 0) {
    return std::nullopt;
  }
  while (reader.ok() && !reader.at_end()) {
    const std::string_view topic = read_text(reader);
    if (type == kSubscribe) {
      reader.read(1);
    }
    if (reader.ok()) {
      ++subscription.count;
      subscription.topic = topic;
    }
  }
  if (subscription.count != 1 || !reader.ok()) {
    subscription.topic.clear();
  }
  return subscription;
}

unsigned read_version(std::string_view payload) {
  ByteReader reader(payload);
  const bool named = read_text(reader) == "MQTT";
  const auto version = static_cast<unsigned>(reader.read(1));
  return named && (version == 4 || version == 5) ? version : 0;
}

std::string reason_name(Type type, unsigned version, uint8_t reason) {
  if (type == kConnAck && version == 4) {
    switch (reason) {
      case 0:
        return {};
      case 1:
        return "unacceptable_protocol_version";
      case 2:
        return "identifier_rejected";
      case 3:
        return "server_unavailable";
      case 4:
        return "bad_user_name_or_password";
      case 5:
        return "not_authorized";
      default:
        return std::to_string(reason);
    }
  }
  if (reason < kFailure) {
    return {};
  }
  switch (reason) {
    case 0x80:
      return "unspecified_error";
    case 0x82:
      return "protocol_error";
    case 0x83:
      return "implementation_specific_error";
    case 0x85:
      return "client_identifier_not_valid";
    case 0x86:
      return "bad_user_name_or_password";
    case 0x87:
      return "not_authorized";
    case 0x88:
      return "server_unavailable";
    case 0x89:
      return "server_busy";
    case 0x8b:
      return "server_shutting_down";
    case 0x8d:
      return "keep_alive_timeout";
    case 0x8e:
      return "session_taken_over";
    case 0x8f:
      return "topic_filter_invalid";
    case 0x90:
      return "topic_name_invalid";
    case 0x91:
      return "packet_identifier_in_use";
    case 0x93:
      return "receive_maximum_exceeded";
    case 0x95:
      return "packet_too_large";
    case 0x97:
      return "quota_exceeded";
    case 0x99:
      return "payload_format_invalid";
    case 0x9b:
      return "qos_not_supported";
    default:
      return std::to_string(reason);
  }
}

}  // namespace zerospan::protocols::mqtt
