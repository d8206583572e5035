// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What a protocol parser is. A parser owns the state of one connection, is pure (no I/O, no clock,
// no globals), total (any bytes in any split), bounded in memory, and used by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <variant>

#include "agent/model/connection.h"
#include "agent/model/exchange.h"

namespace zerospan::protocols {

// A request whose head is known. Given before its Exchange, as early as possible, so that calls
// which the request's handler makes can be tied to it.
struct RequestStart {
  uint64_t sequence = 0;  // the same as the later Exchange's
  model::Role role = model::Role::kServer;
  uint64_t request_id = 0;
  uint32_t stream_id = 0;  // HTTP/2; 0: the request came over HTTP/1.1
  model::Evidence evidence = model::Evidence::kNone;
  uint64_t request_offset = 0;  // HTTP/1: Exchange::request_offset
  uint32_t batch_index = 0;
  uint32_t thread_id = 0;
  uint64_t time_ns = 0;                       // Exchange::request_start_ns
  uint64_t asked_ns = 0;                      // when the program asked for it; 0: when it left
  const model::HttpExchange* http = nullptr;  // method, target and headers; valid during the call
  const model::DbExchange* db = nullptr;      // of a data store: the statement; the same
  const model::MessagingExchange* messaging = nullptr;  // of a message broker; the same
  const model::DnsExchange* dns = nullptr;              // of a name server; the same
};

// Of the exchange that was begun, whose payload it points to.
[[nodiscard]] inline RequestStart request_start(const model::Exchange& exchange) {
  RequestStart start;
  start.sequence = exchange.sequence;
  start.role = exchange.role;
  start.request_id = exchange.request_id;
  start.evidence = exchange.evidence;
  start.request_offset = exchange.request_offset;
  start.batch_index = exchange.batch_index;
  start.thread_id = exchange.thread_id;
  start.time_ns = exchange.request_start_ns;
  start.http = std::get_if<model::HttpExchange>(&exchange.payload);
  start.db = std::get_if<model::DbExchange>(&exchange.payload);
  start.messaging = std::get_if<model::MessagingExchange>(&exchange.payload);
  start.dns = std::get_if<model::DnsExchange>(&exchange.payload);
  return start;
}

// The next stage. For one connection: on_request(s) comes before on_exchange(s), exactly once each,
// for every sequence number s; several requests may be open at once.
class ExchangeSink {
 public:
  virtual ~ExchangeSink() = default;
  virtual void on_request(const RequestStart& start) = 0;
  // The sink may move from `exchange`.
  virtual void on_exchange(model::Exchange&& exchange) = 0;
};

// Counters of one protocol, in one worker. Monotonic.
struct ParserCounters {
  uint64_t messages = 0;        // requests and responses whose head was parsed
  uint64_t exchanges = 0;       // given to on_exchange
  uint64_t unparsed_bytes = 0;  // captured bytes that were part of no message
  uint64_t resyncs = 0;  // times that a message boundary was found again after a gap or garbage
  uint64_t gaps = 0;     // holes in a direction's stream
  uint64_t gap_bytes = 0;
  uint64_t heads_truncated = 0;
  uint64_t requests_without_response = 0;
  uint64_t responses_without_request = 0;
  uint64_t messages_missed = 0;  // that were not captured, by the numbers of others
  uint64_t idle_polls = 0;       // exchanges that brought nothing and are not given out
  uint64_t limits_hit = 0;       // a per-connection bound made the parser give something up
};

// A request over HTTP/1.1 after which the connection speaks another protocol, which answers it
// (Upgrade, RFC 9110 section 7.8): what one parser hands to the next.
struct UpgradedRequest {
  model::Exchange exchange;     // on_request() had it; on_exchange() is still to come
  uint64_t next_sequence = 0;   // of the connection's next request
  uint64_t receive_offset = 0;  // where the new protocol begins in each direction
  uint64_t send_offset = 0;
};

enum class Verdict : uint8_t {
  kContinue,  // go on feeding
  kOpaque,  // nothing more to learn from this connection (Upgrade, CONNECT, or not this protocol):
            // mute it
};

class ConnectionParser {
 public:
  virtual ~ConnectionParser() = default;
  // Chunks of one direction come in stream order; the two directions may be reordered against each
  // other as Chunk::departed_ns describes. A jump of `offset` is a gap.
  virtual Verdict on_chunk(const model::Chunk& chunk, ExchangeSink& sink) = 0;
  virtual Verdict on_close(const model::Closed& closed, ExchangeSink& sink) = 0;
  // The connection is forgotten now (agent's exit, table full, idle): give out what is open,
  // flagged.
  virtual void finish(uint64_t time_ns, ExchangeSink& sink) = 0;
  [[nodiscard]] virtual model::Role role() const = 0;  // kUnknown until a message told
  [[nodiscard]] virtual size_t memory_bytes()
      const = 0;  // approximate heap use, for the table's bound
};

}  // namespace zerospan::protocols
