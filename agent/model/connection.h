// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Connections and the chunks that passed through them, as the kernel saw them. Plain values; views
// are valid only during the call that hands them over.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace zerospan::model {

// Seen from the traced process that owns the socket.
enum class Direction : uint8_t { kReceive = 0, kSend = 1 };

[[nodiscard]] constexpr Direction opposite(Direction direction) {
  return direction == Direction::kReceive ? Direction::kSend : Direction::kReceive;
}

enum class Role : uint8_t { kUnknown = 0, kServer = 1, kClient = 2 };

enum class Transport : uint8_t { kTcp = 0, kUnix = 1, kUdp = 2 };

struct Endpoint {
  std::string address;  // IPv4 dotted, IPv6 per RFC 5952 (IPv4-mapped ones as IPv4), or a Unix
                        // socket's path; may be empty
  uint16_t port = 0;    // 0 for Unix sockets
};

struct Connection {
  uint64_t id = 0;       // unique within one run of the agent
  uint32_t pid = 0;      // thread group id of the traced process, in the initial pid namespace
  uint64_t time_ns = 0;  // CLOCK_MONOTONIC when first seen
  Transport transport = Transport::kTcp;
  bool ipv6 = false;
  bool is_dns = false;  // by its port, whatever its bytes are
  bool seen_from_start =
      false;  // false: it was open before us, so its first bytes may be the middle of a message
  Role role =
      Role::kUnknown;  // the kernel's knowledge; the first message's direction may decide it
  Endpoint local;
  Endpoint peer;  // UDP: empty if the socket is connected to nobody
  // What the peer is called where it is known by more than its address; may be empty.
  std::string peer_name{};
};

// `host`, or what the peer is called if that is the peer's address.
[[nodiscard]] inline std::string_view server_name(std::string_view host,
                                                  const Connection& connection) {
  return connection.peer_name.empty() || host != connection.peer.address
             ? host
             : std::string_view(connection.peer_name);
}

// Which request of the traced program an operation was made for, as the kernel could tell.
enum class Evidence : uint8_t {
  kNone = 0,
  kThread = 1,  // the thread that read the request made this operation (blocking style)
  kTick = 2,    // event loop: the request was read in this turn of the loop
  kTickResponse =
      3,  // event loop: a response was read in this turn, to a call that the request had made
  kTickSameConnection = 4,  // as kTickResponse, and the response came on this very connection
  kCreatingThread = 5,      // the thread was created while its creator was serving the request
  kAmbiguous = 6,           // something was current, but nothing proves that it still is
  kGoroutine = 7,           // the goroutine that asks serves the request, or was started for it
};

// One socket operation, of UDP one datagram: `length` bytes went in `direction`, of which the first
// head.size() and the last tail.size() bytes are here (head and tail never overlap). length >
// head.size() + tail.size() means the middle was not captured.
struct Chunk {
  Direction direction = Direction::kReceive;
  uint64_t offset = 0;  // of the first byte in this direction's stream, counted since the
                        // connection was first seen
  // In the other direction's stream: what is missing below was lost, it will not come later.
  uint64_t opposite_offset = 0;
  uint32_t length = 0;
  std::string_view head;
  std::string_view tail;
  uint64_t time_ns = 0;  // CLOCK_MONOTONIC at the end of the operation
  // Sends: when the bytes could first have left this host (never after time_ns). A peer's answer
  // can be recorded before the send that caused it, because the kernel reports a send when the call
  // ends. Receives: equals time_ns.
  uint64_t departed_ns = 0;
  uint32_t thread_id = 0;
  // Server connections, receive: the id (never 0) that the kernel gave to the request which begins
  // with or continues in this chunk. Client connections, send: the id of the request that was being
  // served, 0 if none.
  uint64_t request_id = 0;
  Evidence evidence = Evidence::kNone;  // how request_id is known, on client connections
  // UDP, sends: to whom, where the socket is connected to nobody. Null: not known, as of receives.
  const Endpoint* peer = nullptr;
};

// A client's stream of HTTP/2: for which request it is begun. Known before the stream's first
// frame.
struct StreamOrigin {
  uint32_t stream_id = 0;
  uint64_t request_id = 0;
  Evidence evidence = Evidence::kNone;
  uint64_t time_ns = 0;  // when the program asked for it; the headers leave later
};

// A request that a client sent was given a traceparent on its way, which its program does not know
// of.
struct Injection {
  uint64_t offset = 0;  // Exchange::request_offset; HTTP/2: the stream's number
  uint64_t trace_id_high = 0;
  uint64_t trace_id_low = 0;
  uint64_t span_id = 0;    // of the client's span
  uint64_t parent_id = 0;  // of the request that it was made for; 0: it starts the trace
  bool sampled = true;
  Evidence evidence = Evidence::kNone;  // how parent_id is known
};

enum class CloseKind : uint8_t {
  kSendClosed = 0,     // this side will send no more (shutdown or close)
  kReceiveClosed = 1,  // the peer will send no more (read returned 0)
  kClosed = 2,         // gone, in order
  kReset = 3,          // gone, by RST or error
};

struct Closed {
  CloseKind kind = CloseKind::kClosed;
  uint64_t time_ns = 0;
  // How far each direction's stream went: what is missing below was lost.
  uint64_t receive_offset = 0;
  uint64_t send_offset = 0;
};

// Of a Go program: whose template a route is, which says how it is written.
enum class Router : uint8_t { kPattern, kGin, kEcho, kMux, kFiber };

// What a program's own router has found for a request; not verified.
struct ToldRoute {
  uint64_t request_id = 0;
  Router router = Router::kPattern;
  std::string_view text;
};

}  // namespace zerospan::model
