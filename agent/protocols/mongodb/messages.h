// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What requests and answers say of interest
// (https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "agent/model/exchange.h"
#include "agent/protocols/parts.h"

namespace zerospan::protocols::mongodb {

inline constexpr uint64_t kHeaderBytes = 16;

enum OpCode : int32_t {
  kOpReply = 1,
  kOpQuery = 2004,
  kOpCompressed = 2012,
  kOpMsg = 2013,
};

struct Header {
  uint64_t length = 0;  // with the header
  int32_t request_id = 0;
  int32_t response_to = 0;  // of a request 0
  int32_t op_code = 0;
};

// `bytes` has kHeaderBytes. Nullopt: no message of a kind that is followed has such a header.
[[nodiscard]] std::optional<Header> read_header(std::string_view bytes);

// What the first operation that is seen of a connection begins with.
enum class Begin : uint8_t { kNo, kRequest, kResponse };
[[nodiscard]] Begin begins_message(std::string_view bytes);

struct Request {
  model::DbExchange db;
  bool answered = true;       // false: the client wants no answer
  bool housekeeping = false;  // drivers' own, made again and again
  bool secret = false;        // an authentication command, which is told by its name alone
  bool cut = false;           // the database was not captured
};

// Nullopt: it is none. `request` is what was captured of a message with this header.
[[nodiscard]] std::optional<Request> read_request(const Parts& parts, const Header& header);

struct Response {
  bool more_to_come = false;  // another one follows, for the same request
  bool cut = false;           // whether it went well was not captured
};

// Adds what the answer says.
[[nodiscard]] Response read_response(const Parts& parts, const Header& header,
                                     model::DbExchange& db);

}  // namespace zerospan::protocols::mongodb
