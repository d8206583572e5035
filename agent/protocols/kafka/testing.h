// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Kafka's messages as tests make them, and what the parser tells of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/protocols/kafka/connection.h"
#include "agent/protocols/messaging_runner.h"

namespace zerospan::protocols::kafka {

inline std::string be(uint64_t value, unsigned bytes) {
  std::string out;
  for (unsigned i = bytes; i-- > 0;) {
    out.push_back(static_cast<char>(value >> (8 * i)));
  }
  return out;
}
inline std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7U) {
    out.push_back(static_cast<char>(value | 0x80U));
  }
  return out + static_cast<char>(value);
}
inline std::string zigzag(int64_t value) {
  return varint(static_cast<uint64_t>(value) << 1U ^ static_cast<uint64_t>(value >> 63U));
}
inline std::string text(std::string_view value, bool flexible) {
  return (flexible ? varint(value.size() + 1) : be(value.size(), 2)) + std::string(value);
}
inline std::string array(const std::vector<std::string>& elements, bool flexible) {
  std::string out = flexible ? varint(elements.size() + 1) : be(elements.size(), 4);
  for (const std::string& element : elements) {
    out += element;
  }
  return out;
}
inline std::string tags(bool flexible) {
  return flexible ? std::string(1, '\0') : std::string();
}

inline std::string framed(const std::string& message) {
  return be(message.size(), 4) + message;
}
inline std::string request(int key, int version, uint32_t id, bool flexible,
                           const std::string& body, std::string_view client = "client") {
  return framed(be(key, 2) + be(version, 2) + be(id, 4) + text(client, false) + tags(flexible) +
                body);
}
inline std::string response(uint32_t id, bool flexible, const std::string& body) {
  return framed(be(id, 4) + tags(flexible) + body);
}

struct Batch {
  int64_t first_offset = 0;
  std::vector<std::string> values;
  std::string traceparent = {};  // of the first one
  int attributes = 0;
};
inline std::string batch(const Batch& of) {
  std::string records;
  for (size_t i = 0; i < of.values.size(); ++i) {
    std::string record = be(0, 1) + zigzag(0) + zigzag(static_cast<int64_t>(i)) + zigzag(-1) +
                         zigzag(static_cast<int64_t>(of.values[i].size())) + of.values[i];
    if (i == 0 && !of.traceparent.empty()) {
      record += zigzag(2) + zigzag(1) + "a" + zigzag(-1) + zigzag(11) + "traceparent" +
                zigzag(static_cast<int64_t>(of.traceparent.size())) + of.traceparent;
    } else {
      record += zigzag(0);
    }
    records += zigzag(static_cast<int64_t>(record.size())) + record;
  }
  const std::string rest = be(0, 4) + be(2, 1) + be(0xabcdef, 4) + be(of.attributes, 2) +
                           be(of.values.size() - 1, 4) + be(1, 8) + be(1, 8) + be(~0ULL, 8) +
                           be(0xffff, 2) + be(~0U, 4) + be(of.values.size(), 4) + records;
  return be(of.first_offset, 8) + be(rest.size(), 4) + rest;
}
inline std::string records(const std::string& batches, bool flexible) {
  return (flexible ? varint(batches.size() + 1) : be(batches.size(), 4)) + batches;
}

inline std::string produce(uint32_t id, int version, std::string_view topic, int partition,
                           const std::string& batches, int acks = -1) {
  const bool f = version >= 9;
  return request(0, version, id, f,
                 (version >= 3 ? (f ? varint(0) : be(0xffff, 2)) : "") + be(acks, 2) +
                     be(30000, 4) +
                     array({text(topic, f) +
                            array({be(partition, 4) + records(batches, f) + tags(f)}, f) + tags(f)},
                           f) +
                     tags(f));
}
inline std::string produced(uint32_t id, int version, std::string_view topic, int error,
                            int64_t offset) {
  const bool f = version >= 9;
  std::string partition = be(0, 4) + be(error, 2) + be(offset, 8) + (version >= 2 ? be(1, 8) : "") +
                          (version >= 5 ? be(0, 8) : "") +
                          (version >= 8 ? array({}, f) + (f ? varint(0) : be(0xffff, 2)) : "") +
                          tags(f);
  return response(
      id, f, array({text(topic, f) + array({partition}, f) + tags(f)}, f) + be(0, 4) + tags(f));
}
inline std::string fetch(uint32_t id, int version) {
  const bool f = version >= 12;
  return request(1, version, id, f,
                 be(~0U, 4) + be(500, 4) + be(1, 4) + be(1 << 20, 4) + be(0, 1) + be(0, 4) +
                     be(0, 4) + array({}, f) + array({}, f) + text("", f) + tags(f));
}
// `topic`: a name, or from version 13 on an id. Versions 7 and later.
inline std::string fetched(uint32_t id, int version, std::string_view topic,
                           const std::string& batches, int error = 0) {
  const bool f = version >= 12;
  const std::string partition = be(2, 4) + be(error, 2) + be(9, 8) + be(9, 8) + be(0, 8) +
                                (f ? varint(0) : be(~0U, 4)) + (version >= 11 ? be(~0U, 4) : "") +
                                records(batches, f) + tags(f);
  const std::string one =
      (version >= 13 ? std::string(topic) : text(topic, f)) + array({partition}, f) + tags(f);
  return response(
      id, f,
      be(0, 4) + be(0, 2) + be(77, 4) +
          array(topic.empty() ? std::vector<std::string>{} : std::vector<std::string>{one}, f) +
          tags(f));
}
inline std::string metadata(uint32_t id) {
  return request(3, 12, id, true, varint(0) + be(0, 2) + tags(true));
}
inline std::string described(uint32_t id, std::string_view name, std::string_view topic_id) {
  const std::string broker =
      be(1, 4) + text("localhost", true) + be(9092, 4) + varint(0) + tags(true);
  const std::string partition = be(0, 2) + be(0, 4) + be(1, 4) + be(0, 4) +
                                array({be(1, 4)}, true) + array({be(1, 4)}, true) +
                                array({}, true) + tags(true);
  return response(id, true,
                  be(0, 4) + array({broker}, true) + text("cluster", true) + be(1, 4) +
                      array({be(0, 2) + text(name, true) + std::string(topic_id) + be(0, 1) +
                             array({partition, partition}, true) + be(0, 4) + tags(true)},
                            true) +
                      tags(true));
}
inline std::string heartbeat(uint32_t id) {
  return request(12, 4, id, true,
                 text("group", true) + be(1, 4) + text("me", true) + varint(0) + tags(true));
}
inline std::string heart_beats(uint32_t id, int error = 0) {
  return response(id, true, be(0, 4) + be(error, 2) + tags(true));
}

inline Connection make_connection(const model::Connection& connection, ParserCounters* counters,
                                  Shared* shared) {
  return {connection, Options{}, counters, shared};
}
using Runner = MessagingRunner<make_connection>;

// Requests, each of its own topic or group, and their responses; up to `most` at once.
inline std::vector<Step> random_session(std::mt19937_64& random, size_t turns, size_t most) {
  const auto below = [&](uint64_t limit) { return random() % limit; };
  std::vector<Step> steps;
  uint32_t id = 0;
  for (size_t turn = 0; turn < turns; ++turn) {
    std::string requests;
    std::string responses;
    for (size_t count = 1 + below(most); count > 0; --count) {
      const uint32_t n = id++;
      const std::string topic = "topic" + std::to_string(n);
      const std::vector<std::string> values(1 + below(4),
                                            std::string(below(5) == 0 ? 900 : 20, '\0'));
      const Batch some{
          static_cast<int64_t>(below(1000)), values,
          below(2) == 0 ? "00-11111111111111111111111111111111-2222222222222222-01" : ""};
      switch (below(7)) {
        case 0:
        case 1: {
          const int version = static_cast<int>(3 + below(9));
          requests +=
              produce(n, version, topic, 1, batch(some) + (below(3) == 0 ? batch(some) : ""));
          responses += produced(n, version, topic, below(5) == 0 ? 10 : 0, 5);
          break;
        }
        case 2:
        case 3: {
          const int version = static_cast<int>(7 + below(6));
          requests += fetch(n, version);
          responses += fetched(n, version, topic, batch(some));
          break;
        }
        case 4:
          requests += fetch(n, 12);
          responses += fetched(n, 12, "", "");
          break;
        case 5:
          requests += produce(n, 9, topic, 0, batch(some), 0);
          break;
        default:
          requests += heartbeat(n);
          responses += heart_beats(n, below(2) == 0 ? 27 : 0);
          break;
      }
    }
    steps.push_back({true, std::move(requests)});
    if (!responses.empty()) {
      steps.push_back({false, std::move(responses)});
    }
  }
  return steps;
}

}  // namespace zerospan::protocols::kafka
