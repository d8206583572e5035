// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What requests and responses say of interest (https://kafka.apache.org/protocol.html). Pure but
// for the names of topics, which are learnt.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/model/exchange.h"
#include "agent/protocols/kafka/reader.h"
#include "agent/protocols/shared.h"

namespace zerospan::protocols::kafka {

struct RequestHeader {
  int16_t key = 0;
  int16_t version = 0;
  int32_t correlation_id = 0;
};

inline constexpr uint64_t kRequestHeaderBytes = 8;  // without the client's name and tags

// Do these bytes begin with a request that could be Kafka's, without its length in front? `strict`:
// nothing else says so. A request of `length` bytes.
[[nodiscard]] bool begins_request(std::string_view bytes, uint64_t length, bool strict);
// The length in front of a message; nullopt: there is no such message.
[[nodiscard]] std::optional<uint64_t> read_frame_length(std::string_view four_bytes);

struct Request {
  RequestHeader header;
  bool answered = true;  // false: acks=0
  model::MessagingExchange messaging;
};

// Such requests are made again and again, and most of them bring nothing.
[[nodiscard]] bool is_poll(int16_t key);

// Nullopt: it is none. What was not captured is left out.
[[nodiscard]] std::optional<Request> read_request(const Parts& parts, uint64_t length, uint32_t pid,
                                                  const Shared& shared);

// Adds what the response says. `idle`: the request brought nothing, and will be repeated.
void read_response(const Parts& parts, uint64_t length, const RequestHeader& header, uint32_t pid,
                   Shared& shared, model::MessagingExchange& messaging, bool& idle);

}  // namespace zerospan::protocols::kafka
