// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Turns one record of the kernel side (bpf/abi/abi.h) into model values. Pure and total: any bytes
// give an event or a refusal, never a read outside of them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "agent/model/connection.h"

namespace zerospan::kernel {

// What the records of one ring tell, in order. Used by the worker thread that owns the ring.
class ConnectionEvents {
 public:
  virtual ~ConnectionEvents() = default;
  // `socket` is the kernel's key of the connection, for Capture::mute; 0 in a replay.
  virtual void on_connection(const model::Connection& connection, uint64_t socket) = 0;
  virtual void on_chunk(uint64_t connection_id, const model::Chunk& chunk) = 0;
  virtual void on_stream(uint64_t connection_id, const model::StreamOrigin& origin) = 0;
  virtual void on_injection(uint64_t connection_id, const model::Injection& injection) = 0;
  virtual void on_close(uint64_t connection_id, const model::Closed& closed) = 0;
  // What the program's router has found for a request that it answers; not verified.
  virtual void on_route(uint64_t connection_id, const model::ToldRoute& route) = 0;
};

enum class DecodeStatus : uint8_t {
  kOk,
  kMalformed,    // lengths or enumerators that the ABI does not allow
  kUnknownType,  // a newer kernel side's record
};

// Views handed to `events` point into `record` and are valid during the call.
DecodeStatus decode_record(std::span<const std::byte> record, ConnectionEvents& events);

// The time of a well-formed record, in CLOCK_MONOTONIC nanoseconds; 0 if it has none.
[[nodiscard]] uint64_t record_time_ns(std::span<const std::byte> record);

}  // namespace zerospan::kernel
