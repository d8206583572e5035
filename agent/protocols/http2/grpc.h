// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What gRPC adds to HTTP/2 (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md): the
// length-prefixed messages of a stream, and the fields around them. No I/O, any bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/model/exchange.h"

namespace zerospan::protocols::http2 {

// "application/grpc", alone or with "+proto" or the like; not "application/grpc-web", which is
// another protocol.
[[nodiscard]] bool is_grpc_content_type(std::string_view value);

// grpc-status: a decimal number without leading zeros.
[[nodiscard]] std::optional<uint32_t> parse_grpc_status(std::string_view value);

// grpc-timeout: at most 8 digits and a unit; in nanoseconds.
[[nodiscard]] std::optional<uint64_t> parse_grpc_timeout(std::string_view value);

// grpc-message. What is no percent-encoding stays as it is. At most `limit` bytes.
[[nodiscard]] std::string decode_grpc_message(std::string_view value, size_t limit);

// Counts the messages of one direction of one stream from its DATA, of which parts may be missing.
class MessageCounter {
 public:
  void feed(std::string_view data);
  // Data that is not here: harmless inside of a message whose length is known.
  void skip(uint64_t count);
  // The stream ended here; a message that goes on is not whole.
  void end();
  // Data was missed, nobody knows how much.
  void lose() { messages_.exact = false; }
  void clear() { *this = MessageCounter(); }
  [[nodiscard]] const model::GrpcMessages& messages() const { return messages_; }

 private:
  static constexpr size_t kPrefixBytes = 5;

  model::GrpcMessages messages_;
  std::array<uint8_t, kPrefixBytes> prefix_{};
  uint8_t prefix_count_ = 0;
  uint32_t left_ = 0;  // of the message
};

}  // namespace zerospan::protocols::http2
