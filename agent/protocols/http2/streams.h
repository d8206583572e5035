// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The open streams of one connection (RFC 9113 section 5) and the exchanges that they carry: when
// one is told, and when one is given up. A stream's number names its exchange, so nothing here has
// to guess which response belongs to which request.
//
// Owned by one connection, used by one thread. Bounded by the limits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "agent/model/exchange.h"
#include "agent/protocols/http2/grpc.h"
#include "agent/protocols/parser.h"

namespace zerospan::protocols::http2 {

struct StreamLimits {
  size_t max_streams = 512;
  size_t max_memory_bytes = 256 * 1024;  // header fields of open streams
  // How long a stream whose response has ended waits for its request's end. It may never come: a
  // server may answer early, and a send can be recorded late.
  uint64_t linger_ns = 100'000'000;
  // How long a stream that may have ended unseen is kept without a sign of life.
  uint64_t suspect_ns = 60'000'000'000;
};

struct Stream {
  uint32_t id = 0;
  bool request_seen = false;  // its head; on a client the response can be recorded first
  bool request_done = false;
  bool response_begun = false;  // the final head came
  bool response_done = false;
  bool suspect = false;        // frames were lost while it was open
  bool response_lost = false;  // of the response's direction
  uint64_t last_ns = 0;        // last sign of life
  size_t field_bytes = 0;      // share of StreamLimits::max_memory_bytes
  MessageCounter requests;
  MessageCounter responses;
  model::Exchange exchange;

  [[nodiscard]] model::HttpExchange& http() {
    return std::get<model::HttpExchange>(exchange.payload);
  }
};

class Streams {
 public:
  Streams(const StreamLimits& limits, ParserCounters* counters)
      : limits_(limits), counters_(counters) {}

  [[nodiscard]] Stream* find(uint32_t id);
  // A new one; if there are too many, the one that was quiet the longest is given up.
  Stream& open(uint32_t id, uint64_t now_ns, ExchangeSink& sink);
  // Stream 1, whose request came whole over HTTP/1.1 and was announced (RFC 7540 section 3.2).
  void adopt(UpgradedRequest&& request);
  // The request's head is there: its exchange gets its sequence number.
  void announce(Stream& stream, model::Role role, ExchangeSink& sink);
  // Charges header fields to the stream.
  void charge(Stream& stream, size_t bytes);
  // Gives the exchange out if nothing more is to come; the stream is gone then.
  void settle(Stream& stream, ExchangeSink& sink);
  // The stream ended by a reset at `time_ns`.
  void reset(Stream& stream, const model::StreamReset& reset, uint64_t time_ns, ExchangeSink& sink);
  // A GOAWAY of the responding side: streams above `last_id` will not be served (section 6.8).
  void refuse_above(uint32_t last_id, uint64_t time_ns, ExchangeSink& sink);
  // Responses that wait for the request of a stream below `id` wait in vain: ids only grow.
  void drop_unrequested(uint32_t below_id);
  // Frames of one direction were lost.
  void lose(bool requests, uint64_t now_ns);
  // Gives out what has waited long enough.
  void expire(uint64_t now_ns, ExchangeSink& sink);
  // The connection is gone.
  void close(model::Outcome interrupted, model::Outcome unanswered, uint32_t flags,
             uint64_t time_ns, ExchangeSink& sink);

  [[nodiscard]] size_t size() const { return open_.size(); }
  [[nodiscard]] size_t memory_bytes() const;

 private:
  void emit(Stream& stream, ExchangeSink& sink);
  void give_up(Stream& stream, ExchangeSink& sink);
  void remove(uint32_t id);

  StreamLimits limits_;
  ParserCounters* counters_;
  std::vector<std::unique_ptr<Stream>> open_;  // by id, ascending
  std::unique_ptr<Stream> spare_;              // its buffers are used again
  size_t field_bytes_ = 0;
  uint64_t next_sequence_ = 0;
  size_t waiting_ = 0;  // streams that expire() may end: suspect ones, and answered ones
  uint64_t next_expiry_ns_ = UINT64_MAX;
  size_t unrequested_ = 0;  // streams whose request's head was not seen
  uint64_t last_request_id_ = 0;
  uint32_t batch_index_ = 0;
};

}  // namespace zerospan::protocols::http2
