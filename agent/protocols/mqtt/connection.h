// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The parser of one connection of MQTT 3.1.1 or 5
// (https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html): packets, and the acknowledgements
// that have their numbers. README.md in this folder has what is an exchange, and the rules after a
// loss.
//
// Owned by the connection table; used by one thread. Total: any bytes, any lengths, any order of
// closes. Memory is bounded by Options.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "agent/model/connection.h"
#include "agent/protocols/mqtt/packets.h"
#include "agent/protocols/parser.h"

namespace zerospan::protocols::mqtt {

struct Options {
  size_t max_pending = 4096;           // packets that wait to be acknowledged
  size_t max_packet_bytes = 8 * 1024;  // of one packet that are looked at
  size_t max_aliases = 1024;           // of topics, in one direction
  size_t max_early = 256;              // acknowledgements that were recorded before their packet
};

class Connection final : public ConnectionParser {
 public:
  // `counters` outlives the connection and is used by its thread.
  Connection(const model::Connection& connection, const Options& options, ParserCounters* counters);

  Verdict on_chunk(const model::Chunk& chunk, ExchangeSink& sink) override;
  Verdict on_close(const model::Closed& closed, ExchangeSink& sink) override;
  void finish(uint64_t time_ns, ExchangeSink& sink) override;
  [[nodiscard]] model::Role role() const override;
  [[nodiscard]] size_t memory_bytes() const override;

 private:
  // The operation that a packet began in.
  struct Origin {
    uint64_t time_ns = 0;      // when it ended
    uint64_t departed_ns = 0;  // when its first byte could have left; receives: time_ns
    uint64_t request_id = 0;
    uint32_t thread_id = 0;
    model::Evidence evidence = model::Evidence::kNone;
  };

  // One direction.
  struct Side {
    bool lost = false;
    bool offset_known = false;
    uint64_t next_offset = 0;
    std::string header;  // of the next packet, as far as it has come
    bool in_packet = false;
    uint64_t size = 0;    // of what follows the header
    uint64_t at = 0;      // how much of it has passed
    bool gap = false;     // some of it was lost
    bool cut = false;     // some of it is not in `payload`
    std::string payload;  // its beginning
    Origin begin;
    std::map<uint16_t, std::string> topics;  // by alias
  };

  struct Pending {
    std::unique_ptr<model::Exchange> exchange;
    bool announced = false;
    Type answer = kConnAck;  // the last one
    uint16_t id = 0;
  };

  struct Early {
    Type type = kConnAck;
    Ack ack;
    uint64_t begin_ns = 0;
    uint64_t end_ns = 0;
  };

  [[nodiscard]] bool is_client(model::Direction direction) const {
    return direction ==
           (role_ == model::Role::kServer ? model::Direction::kReceive : model::Direction::kSend);
  }
  [[nodiscard]] Side& side(model::Direction direction) {
    return sides_[static_cast<size_t>(direction)];
  }
  void feed(Side& side, bool client, std::string_view bytes);
  void skip(Side& side, bool client, uint64_t count, bool lost);
  void note_gap(Side& side, bool client, uint64_t offset);
  void lose(Side& side, bool client);
  void end_packet(Side& side, bool client);
  void on_publish(Side& side, bool client, uint8_t flags);
  void on_subscription(Side& side, Type type);
  void on_ack(Type type, const Ack& ack, uint64_t begin_ns, uint64_t end_ns, bool early);
  void on_disconnect(Side& side);
  void wait(Pending&& pending);
  [[nodiscard]] std::unique_ptr<model::Exchange> make(const Side& side, bool client,
                                                      model::MessagingExchange&& message);
  void announce(Pending& pending);
  void tell(Pending&& pending);
  void close_all(model::Outcome outcome, uint32_t incomplete);

  Options options_;
  ParserCounters* counters_;
  ExchangeSink* sink_ = nullptr;  // during a call
  model::Role kernel_role_;
  model::Role role_ = model::Role::kUnknown;
  bool opaque_ = false;
  unsigned version_ = 0;  // 0: no CONNECT was seen
  Origin op_;             // the operation that is being worked on
  std::array<Side, 2> sides_;
  std::deque<Pending> pending_;
  std::deque<Early> early_;
  uint64_t next_sequence_ = 0;
};

}  // namespace zerospan::protocols::mqtt
