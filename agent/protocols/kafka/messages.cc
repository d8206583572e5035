// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/kafka/messages.h"

#include <algorithm>
#include <utility>

#include "agent/protocols/kafka/api.h"
#include "agent/protocols/kafka/records.h"

namespace zerospan::protocols::kafka {
namespace {

constexpr uint64_t kMostMessageBytes = uint64_t{512} << 20U;
constexpr size_t kMostNameBytes = 249;  // of a topic; groups and clients get as much
constexpr size_t kLeastNameBytes = 3;   // of a client, to be recognised by it
constexpr size_t kTopicIdBytes = 16;

uint32_t read_u32(std::string_view bytes) {
  uint32_t value = 0;
  for (const char byte : bytes.substr(0, 4)) {
    value = value << 8U | static_cast<uint8_t>(byte);
  }
  return value;
}

uint16_t read_u16(std::string_view bytes) {
  return static_cast<uint16_t>(static_cast<uint8_t>(bytes[0]) << 8U |
                               static_cast<uint8_t>(bytes[1]));
}

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < 0x7f; });
}

// As Kafka prints it: base64 without padding, for addresses (RFC 4648 section 5).
std::string to_text(std::string_view topic_id) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  uint32_t bits = 0;
  unsigned count = 0;
  for (const char byte : topic_id) {
    bits = bits << 8U | static_cast<uint8_t>(byte);
    for (count += 8; count >= 6; count -= 6) {
      text.push_back(kDigits[bits >> (count - 6) & 63U]);
    }
  }
  if (count != 0) {
    text.push_back(kDigits[bits << (6 - count) & 63U]);
  }
  return text;
}

// Collects what is the same of all topics and partitions of a message.
class Destination {
 public:
  Destination(uint32_t pid, const Shared& shared) : pid_(pid), shared_(shared) {}

  void add(std::string_view name, std::string_view id, int32_t partition) {
    if (partitions_ == 0) {
      name_ = name;
      id_ = id;
      partition_ = partition;
    }
    same_topic_ = same_topic_ && name == name_ && id == id_;
    same_partition_ = same_partition_ && same_topic_ && partition == partition_;
    ++partitions_;
  }
  // `complete`: all was read; else there may be more, but if `topics` is 1 no other topic.
  void fill(bool complete, uint32_t topics, model::MessagingExchange& messaging) const {
    if (partitions_ == 0 || !same_topic_ || (!complete && topics != 1)) {
      return;
    }
    const std::string_view known = id_.empty() ? name_ : shared_.find_topic(pid_, id_);
    messaging.destination = known.substr(0, kMostNameBytes);
    messaging.destination_id = known.empty() ? to_text(id_) : std::string();
    if (same_partition_ && complete) {
      messaging.partition = partition_;
    }
  }
  [[nodiscard]] uint64_t partitions() const { return partitions_; }

 private:
  uint32_t pid_;
  const Shared& shared_;
  std::string_view name_;
  std::string_view id_;
  int32_t partition_ = 0;
  bool same_topic_ = true;
  bool same_partition_ = true;
  uint64_t partitions_ = 0;
};

struct Topic {
  std::string_view name;
  std::string_view id;
};

Topic read_topic(Reader& reader, bool by_id, bool flexible) {
  Topic topic;
  if (by_id) {
    topic.id = reader.read_bytes(kTopicIdBytes);
  } else {
    topic.name = reader.read_string(flexible);
  }
  return topic;
}

void take_records(Records&& records, uint64_t partitions, model::MessagingExchange& messaging) {
  if (records.count_known) {
    messaging.message_count = records.count;
    if (records.count == 1 && partitions == 1 &&
        messaging.type == model::MessagingOperation::kReceive) {
      messaging.offset = records.first_offset;
    }
  }
  messaging.creation_contexts = std::move(records.contexts);
}

void note_error(int16_t code, model::MessagingExchange& messaging) {
  if (code != 0 && messaging.error_code.empty()) {
    messaging.error_code = error_name(code);
  }
}

void read_produce(Reader& reader, int16_t version, bool flexible, uint32_t pid,
                  const Shared& shared, Request& request) {
  if (version >= 3) {
    static_cast<void>(reader.read_string(flexible));  // of the transaction
  }
  const int16_t acks = reader.read_int16();
  request.answered = !reader.ok() || acks != 0;
  reader.skip(4);  // timeout
  Records records;
  bool complete = false;  // what follows the last records does not matter
  Destination destination(pid, shared);
  const uint32_t all_topics = reader.read_array(flexible);
  for (uint32_t topics = all_topics; topics != 0 && reader.ok(); --topics) {
    const Topic topic = read_topic(reader, version >= 13, flexible);
    for (uint32_t count = reader.read_array(flexible); count != 0 && reader.ok(); --count) {
      const int32_t partition = reader.read_int32();
      if (reader.ok()) {
        destination.add(topic.name, topic.id, partition);
      }
      read_records(reader, reader.read_length(flexible), records);
      complete = reader.ok() && topics == 1 && count == 1;
      reader.skip_tags(flexible);
    }
    reader.skip_tags(flexible);
  }
  complete = complete || reader.ok();
  records.count_known = records.count_known && complete;
  model::MessagingExchange& messaging = request.messaging;
  destination.fill(complete, all_topics, messaging);
  take_records(std::move(records), destination.partitions(), messaging);
}

void read_offset_commit(Reader& reader, int16_t version, bool flexible, uint32_t pid,
                        const Shared& shared, model::MessagingExchange& messaging) {
  if (version >= 1) {
    reader.skip(4);                                   // generation
    static_cast<void>(reader.read_string(flexible));  // member
  }
  if (version >= 7) {
    static_cast<void>(reader.read_string(flexible));  // instance
  }
  if (version >= 2 && version <= 4) {
    reader.skip(8);  // retention time
  }
  Destination destination(pid, shared);
  const uint32_t all_topics = reader.read_array(flexible);
  for (uint32_t topics = all_topics; topics != 0 && reader.ok(); --topics) {
    const Topic topic = read_topic(reader, version >= 10, flexible);
    for (uint32_t count = reader.read_array(flexible); count != 0 && reader.ok(); --count) {
      destination.add(topic.name, topic.id, reader.read_int32());
      reader.skip(8);  // offset
      if (version >= 6) {
        reader.skip(4);  // leader's epoch
      }
      if (version == 1) {
        reader.skip(8);  // time
      }
      static_cast<void>(reader.read_string(flexible));  // metadata
      reader.skip_tags(flexible);
    }
    reader.skip_tags(flexible);
  }
  destination.fill(reader.ok(), all_topics, messaging);
}

void read_produce_response(Reader& reader, int16_t version, bool flexible,
                           model::MessagingExchange& messaging) {
  uint64_t partitions = 0;
  int64_t offset = 0;
  for (uint32_t topics = reader.read_array(flexible); topics != 0 && reader.ok(); --topics) {
    static_cast<void>(read_topic(reader, version >= 13, flexible));
    for (uint32_t count = reader.read_array(flexible); count != 0 && reader.ok(); --count) {
      ++partitions;
      reader.skip(4);  // partition
      note_error(reader.read_int16(), messaging);
      offset = reader.read_int64();
      if (version >= 2) {
        reader.skip(8);  // time
      }
      if (version >= 5) {
        reader.skip(8);  // the log's first offset
      }
      if (version >= 8) {
        for (uint32_t errors = reader.read_array(flexible); errors != 0 && reader.ok(); --errors) {
          reader.skip(4);
          static_cast<void>(reader.read_string(flexible));
          reader.skip_tags(flexible);
        }
        static_cast<void>(reader.read_string(flexible));
      }
      reader.skip_tags(flexible);
    }
    reader.skip_tags(flexible);
  }
  if (reader.ok() && partitions == 1 && messaging.message_count == 1U &&
      messaging.error_code.empty()) {
    messaging.offset = offset;
  }
}

void read_fetch_response(Reader& reader, int16_t version, bool flexible, uint32_t pid,
                         const Shared& shared, model::MessagingExchange& messaging, bool& idle) {
  if (version >= 1) {
    reader.skip(4);  // throttle time
  }
  if (version >= 7) {
    note_error(reader.read_int16(), messaging);
    reader.skip(4);  // session
  }
  Records records;
  bool complete = false;  // what follows the last records does not matter
  Destination destination(pid, shared);
  const uint32_t all_topics = reader.read_array(flexible);
  for (uint32_t topics = all_topics; topics != 0 && reader.ok(); --topics) {
    const Topic topic = read_topic(reader, version >= 13, flexible);
    for (uint32_t count = reader.read_array(flexible); count != 0 && reader.ok(); --count) {
      const int32_t partition = reader.read_int32();
      const int16_t error = reader.read_int16();
      reader.skip(8);  // high watermark
      if (version >= 4) {
        reader.skip(8);  // last stable offset
      }
      if (version >= 5) {
        reader.skip(8);  // the log's first offset
      }
      if (version >= 4) {
        for (uint32_t aborted = reader.read_array(flexible); aborted != 0 && reader.ok();
             --aborted) {
          reader.skip(16);
          reader.skip_tags(flexible);
        }
      }
      if (version >= 11) {
        reader.skip(4);  // the replica to read from
      }
      const uint64_t length = reader.read_length(flexible);
      note_error(error, messaging);
      // What had nothing is no destination.
      if (reader.ok() && (length != 0 || error != 0)) {
        destination.add(topic.name, topic.id, partition);
      }
      read_records(reader, length, records);
      complete = reader.ok() && topics == 1 && count == 1;
      reader.skip_tags(flexible);
    }
    reader.skip_tags(flexible);
  }
  reader.skip_tags(flexible);
  complete = complete || reader.ok();
  records.count_known = records.count_known && complete;
  idle = reader.at_end() && records.bytes == 0 && messaging.error_code.empty();
  destination.fill(complete, all_topics, messaging);
  take_records(std::move(records), destination.partitions(), messaging);
}

void read_offset_commit_response(Reader& reader, int16_t version, bool flexible,
                                 model::MessagingExchange& messaging) {
  if (version >= 3) {
    reader.skip(4);
  }
  for (uint32_t topics = reader.read_array(flexible); topics != 0 && reader.ok(); --topics) {
    static_cast<void>(read_topic(reader, version >= 10, flexible));
    for (uint32_t count = reader.read_array(flexible); count != 0 && reader.ok(); --count) {
      reader.skip(4);  // partition
      note_error(reader.read_int16(), messaging);
      reader.skip_tags(flexible);
    }
    reader.skip_tags(flexible);
  }
}

// From version 10 on it has the topics' ids.
void learn_topics(Reader& reader, uint32_t pid, Shared& shared) {
  reader.skip(4);
  for (uint32_t brokers = reader.read_array(true); brokers != 0 && reader.ok(); --brokers) {
    reader.skip(4);
    static_cast<void>(reader.read_string(true));  // host
    reader.skip(4);
    static_cast<void>(reader.read_string(true));  // rack
    reader.skip_tags(true);
  }
  static_cast<void>(reader.read_string(true));  // cluster
  reader.skip(4);
  for (uint32_t topics = reader.read_array(true); topics != 0 && reader.ok(); --topics) {
    reader.skip(2);
    const std::string_view name = reader.read_string(true);
    const std::string_view id = reader.read_bytes(kTopicIdBytes);
    if (reader.ok() && !name.empty() && name.size() <= kMostNameBytes &&
        id.find_first_not_of('\0') != std::string_view::npos) {
      shared.learn_topic(pid, id, name);
    }
    reader.skip(1);
    for (uint32_t count = reader.read_array(true); count != 0 && reader.ok(); --count) {
      reader.skip(2 + 4 + 4 + 4);
      for (int replicas = 0; replicas < 3; ++replicas) {  // all, in sync, offline
        reader.skip(uint64_t{reader.read_array(true)} * 4);
      }
      reader.skip_tags(true);
    }
    reader.skip(4);
    reader.skip_tags(true);
  }
}

}  // namespace

bool is_poll(int16_t key) {
  return key == kFetch || key == kHeartbeat || key == kBrokerHeartbeat ||
         key == kConsumerGroupHeartbeat || key == kShareGroupHeartbeat;
}

std::optional<uint64_t> read_frame_length(std::string_view four_bytes) {
  const uint32_t length = read_u32(four_bytes);
  return length >= 4 && length <= kMostMessageBytes ? std::optional<uint64_t>(length)
                                                    : std::nullopt;
}

bool begins_request(std::string_view bytes, uint64_t length, bool strict) {
  constexpr size_t kWithClient = kRequestHeaderBytes + 2;
  if (bytes.size() < kWithClient || length < kWithClient) {
    return false;
  }
  const auto key = static_cast<int16_t>(read_u16(bytes));
  const auto version = static_cast<int16_t>(read_u16(bytes.substr(2)));
  if ((strict ? find_api(key) == nullptr : key < 0 || key >= kNever) || version < 0 ||
      version >= kVersionsEnd) {
    return false;
  }
  if (!strict) {
    return true;
  }
  // The client's name: a response has zeros there, times and errors. The first byte of the
  // correlation id has an odd stream's number in a frame of HTTP/2.
  const uint16_t name = read_u16(bytes.substr(kRequestHeaderBytes));
  return bytes[4] == 0 && bytes.size() >= kWithClient + kLeastNameBytes &&
         name >= kLeastNameBytes && name <= kMostNameBytes && length >= kWithClient + name &&
         is_printable(bytes.substr(kWithClient, name));
}

std::optional<Request> read_request(const Parts& parts, uint64_t length, uint32_t pid,
                                    const Shared& shared) {
  Reader reader(parts, length);
  Request request;
  RequestHeader& header = request.header;
  header.key = reader.read_int16();
  header.version = reader.read_int16();
  header.correlation_id = reader.read_int32();
  if (!reader.ok() || header.key < 0 || header.key >= kNever || header.version < 0 ||
      header.version >= kVersionsEnd) {
    return std::nullopt;
  }
  model::MessagingExchange& messaging = request.messaging;
  messaging.system = model::MessagingSystem::kKafka;
  const Api* const api = find_api(header.key);
  messaging.operation = api != nullptr ? std::string(api->name) : std::to_string(header.key);
  const bool flexible = api == nullptr || header.version >= api->flexible_from;
  if (header.key != kControlledShutdown || header.version != 0) {
    messaging.client_id = reader.read_string(false).substr(0, kMostNameBytes);
  }
  reader.skip_tags(flexible);
  if (api == nullptr) {
    return request;
  }
  if (api->group == Group::kFirst || (header.key == kOffsetFetch && header.version < 8)) {
    messaging.consumer_group = reader.read_string(flexible).substr(0, kMostNameBytes);
  } else if (header.key == kOffsetFetch) {
    if (reader.read_array(flexible) == 1) {
      messaging.consumer_group = reader.read_string(flexible).substr(0, kMostNameBytes);
    }
  } else if (header.key == kTxnOffsetCommit) {
    static_cast<void>(reader.read_string(flexible));  // of the transaction
    messaging.consumer_group = reader.read_string(flexible).substr(0, kMostNameBytes);
    messaging.type = model::MessagingOperation::kSettle;
  }
  switch (header.key) {
    case kProduce:
      messaging.type = model::MessagingOperation::kSend;
      read_produce(reader, header.version, flexible, pid, shared, request);
      break;
    case kFetch:
      messaging.type = model::MessagingOperation::kReceive;
      break;
    case kOffsetCommit:
      messaging.type = model::MessagingOperation::kSettle;
      read_offset_commit(reader, header.version, flexible, pid, shared, messaging);
      break;
    default:
      break;
  }
  return request;
}

void read_response(const Parts& parts, uint64_t length, const RequestHeader& header, uint32_t pid,
                   Shared& shared, model::MessagingExchange& messaging, bool& idle) {
  const Api* const api = find_api(header.key);
  if (api == nullptr) {
    return;
  }
  Reader reader(parts, length);
  reader.skip(4);  // correlation id
  const bool flexible = header.version >= api->flexible_from;
  // A client that does not know the broker's version yet must understand it.
  reader.skip_tags(flexible && header.key != kApiVersions);
  switch (header.key) {
    case kProduce:
      read_produce_response(reader, header.version, flexible, messaging);
      return;
    case kFetch:
      read_fetch_response(reader, header.version, flexible, pid, shared, messaging, idle);
      return;
    case kOffsetCommit:
      read_offset_commit_response(reader, header.version, flexible, messaging);
      return;
    case kMetadata:
      if (header.version >= 10) {
        learn_topics(reader, pid, shared);
      }
      return;
    default:
      break;
  }
  if (api->error == ErrorAt::kNone || (header.key == kFindCoordinator && header.version > 3)) {
    return;
  }
  if (api->error == ErrorAt::kAfterThrottle && header.version >= api->throttle_from) {
    reader.skip(4);
  }
  const int16_t error = reader.read_int16();
  note_error(error, messaging);
  idle = reader.ok() && error == 0 && is_poll(header.key);
}

}  // namespace zerospan::protocols::kafka
