// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/amqp/methods.h"

#include <algorithm>
#include <array>

namespace zerospan::protocols::amqp {
namespace {

// What follows a call's two reserved bytes.
enum class Arguments : uint8_t {
  kNone,
  kName,     // and bits
  kName2,    // a name, another string, and bits
  kName3,    // a name, two strings, and bits
  kConsume,  // a queue, a tag, and bits
  kTag,      // not even the reserved bytes; and bits
};

struct Kind {
  uint32_t method;
  uint32_t answer;
  std::string_view name;
  Arguments arguments;
  uint8_t no_wait;  // which of the bits; 0: it is always answered
};

constexpr auto kKinds = std::to_array<Kind>({
    {method_id(40, 10), method_id(40, 11), "exchange.declare", Arguments::kName2, 0x10},
    {method_id(40, 20), method_id(40, 21), "exchange.delete", Arguments::kName, 0x02},
    {method_id(40, 30), method_id(40, 31), "exchange.bind", Arguments::kName3, 0x01},
    {method_id(40, 40), method_id(40, 51), "exchange.unbind", Arguments::kName3, 0x01},
    {method_id(50, 10), kQueueDeclareOk, "queue.declare", Arguments::kName, 0x10},
    {method_id(50, 20), method_id(50, 21), "queue.bind", Arguments::kName3, 0x01},
    {method_id(50, 30), method_id(50, 31), "queue.purge", Arguments::kName, 0x01},
    {method_id(50, 40), method_id(50, 41), "queue.delete", Arguments::kName, 0x04},
    {method_id(50, 50), method_id(50, 51), "queue.unbind", Arguments::kName3, 0},
    {method_id(60, 10), method_id(60, 11), "qos", Arguments::kNone, 0},
    {kBasicConsume, kBasicConsumeOk, "consume", Arguments::kConsume, 0x08},
    {kBasicCancel, kBasicCancelOk, "cancel", Arguments::kTag, 0x01},
    {kBasicGet, kBasicGetOk, "get", Arguments::kName, 0},
    {method_id(60, 110), method_id(60, 111), "recover", Arguments::kNone, 0},
    {kConfirmSelect, method_id(85, 11), "confirm.select", Arguments::kNone, 0x01},
    {method_id(90, 10), method_id(90, 11), "tx.select", Arguments::kNone, 0},
    {method_id(90, 20), method_id(90, 21), "tx.commit", Arguments::kNone, 0},
    {method_id(90, 30), method_id(90, 31), "tx.rollback", Arguments::kNone, 0},
});

constexpr uint64_t kVariable = UINT64_MAX - 1;
constexpr uint64_t kUnknown = UINT64_MAX;

// How many bytes a value of a table has, RabbitMQ's types.
uint64_t value_bytes(char type) {
  switch (type) {
    case 'V':
      return 0;
    case 't':
    case 'b':
    case 'B':
      return 1;
    case 's':
    case 'u':
      return 2;
    case 'I':
    case 'i':
    case 'f':
      return 4;
    case 'D':
      return 5;
    case 'L':
    case 'l':
    case 'd':
    case 'T':
      return 8;
    case 'S':
    case 'A':
    case 'F':
    case 'x':
      return kVariable;
    default:
      return kUnknown;
  }
}

// Only this table's own fields: those of tables in it are not the message's.
std::string find_traceparent(std::string_view table) {
  Reader reader(table);
  while (reader.ok() && !reader.at_end()) {
    const std::string_view name = reader.read_short_string();
    const auto type = static_cast<char>(reader.read(1));
    const uint64_t bytes = value_bytes(type);
    if (bytes == kUnknown) {
      return {};
    }
    const std::string_view value =
        bytes == kVariable ? reader.read_long_string() : reader.read_bytes(bytes);
    if (reader.ok() && (type == 'S' || type == 'x') && name == "traceparent") {
      return std::string(value.substr(0, 128));
    }
  }
  return {};
}

}  // namespace

std::optional<Call> read_call(uint32_t method, std::string_view arguments) {
  const auto* const kind =
      std::find_if(kKinds.begin(), kKinds.end(), [&](const Kind& k) { return k.method == method; });
  if (kind == kKinds.end()) {
    return std::nullopt;
  }
  Call call;
  call.name = kind->name;
  call.answer = kind->answer;
  Reader reader(arguments);
  if (kind->arguments == Arguments::kTag) {
    call.tag = reader.read_short_string();
  } else if (kind->arguments != Arguments::kNone) {
    reader.read(2);
    call.queue = reader.read_short_string();
    if (kind->arguments == Arguments::kConsume) {
      call.tag = reader.read_short_string();
    } else if (kind->arguments != Arguments::kName) {
      reader.read_short_string();
      if (kind->arguments == Arguments::kName3) {
        reader.read_short_string();
      }
    }
  }
  if (method == kBasicGet) {
    call.without_ack = (reader.read(1) & 1U) != 0;
  } else if (kind->no_wait != 0) {
    const uint64_t bits = reader.read(1);
    call.answered = (bits & kind->no_wait) == 0;
    call.without_ack = kind->arguments == Arguments::kConsume && (bits & 2U) != 0;
  }
  return call;
}

std::optional<ContentHeader> read_content_header(std::string_view payload) {
  Reader reader(payload);
  const uint64_t group = reader.read(2);
  const uint64_t weight = reader.read(2);
  ContentHeader header;
  header.body_size = reader.read(8);
  if (!reader.ok() || group != 60 || weight != 0) {
    return std::nullopt;
  }
  const auto flags = static_cast<uint32_t>(reader.read(2));
  if ((flags & 1U) != 0) {
    return header;  // more flags than basic has
  }
  const auto has = [flags](unsigned property) { return (flags >> (15 - property) & 1U) != 0; };
  if (has(0)) {
    reader.read_short_string();  // content type
  }
  if (has(1)) {
    reader.read_short_string();  // content encoding
  }
  if (has(2)) {
    header.traceparent = find_traceparent(reader.read_long_string());
  }
  reader.read_bytes((has(3) ? 1 : 0) + (has(4) ? 1 : 0));  // delivery mode, priority
  if (has(5)) {
    header.correlation_id = reader.read_short_string();
  }
  if (has(6)) {
    reader.read_short_string();  // reply to
  }
  if (has(7)) {
    reader.read_short_string();  // expiration
  }
  if (has(8)) {
    header.message_id = reader.read_short_string();
  }
  return header;
}

std::string join_destination(std::string_view exchange, std::string_view routing_key,
                             std::string_view queue) {
  if (queue == routing_key) {
    queue = {};
  }
  std::string joined;
  for (const std::string_view part : {exchange, routing_key, queue}) {
    if (!part.empty()) {
      joined.append(joined.empty() ? "" : ":").append(part);
    }
  }
  return joined.empty() ? "amq.default" : joined;
}

Begin begins(std::string_view bytes) {
  if (bytes.substr(0, 7) == std::string_view("AMQP\0\0\x09", 7)) {
    return Begin::kClient;
  }
  Reader reader(bytes);
  const uint64_t type = reader.read(1);
  const uint64_t channel = reader.read(2);
  const uint64_t length = reader.read(4);
  const uint64_t group = reader.read(2);
  const uint64_t number = reader.read(2);
  if (!reader.ok() || type != 1 || channel >= 0x800 || length < 4 || length > 0xffff ||
      number < 10 || number > 0xff) {
    return Begin::kNo;
  }
  switch (group) {
    case 20:
      if (number >= 20) {
        return Begin::kNo;
      }
      break;
    case 60:
      // Everybody's.
      if (number == 30 || number == 31 || number == 80 || number == 120) {
        return Begin::kNo;
      }
      if (number == 50 || number == 60 || number == 72) {
        return Begin::kServer;
      }
      break;
    case 40:
    case 50:
    case 90:
      break;
    default:
      return Begin::kNo;
  }
  return number % 10 == 0 ? Begin::kClient : number % 10 == 1 ? Begin::kServer : Begin::kNo;
}

}  // namespace zerospan::protocols::amqp
