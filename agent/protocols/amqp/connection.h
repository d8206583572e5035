// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The parser of one connection of AMQP 0-9-1
// (https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf, and RabbitMQ's extensions): frames of
// many channels, and what is done on each. README.md in this folder has what is an exchange, and
// the rules after a loss.
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
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/model/connection.h"
#include "agent/protocols/amqp/methods.h"
#include "agent/protocols/parser.h"

namespace zerospan::protocols::amqp {

struct Options {
  size_t max_pending = 4096;           // calls and publishes that wait for their answer
  size_t max_frame_bytes = 16 * 1024;  // of one frame that are looked at
  size_t max_channels = 2048;
  size_t max_consumers = 256;         // of one channel
  size_t max_deliveries = 16 * 1024;  // that are remembered until they are settled
  size_t max_early = 256;             // answers on one channel that were recorded before their call
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
  // The operation that a frame began in.
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
    std::string header;  // of the next frame, as far as it has come
    bool in_frame = false;
    uint8_t type = 0;
    uint16_t channel = 0;
    uint64_t size = 0;    // of the payload; the octet that ends the frame is behind it
    uint64_t at = 0;      // how much of both has passed
    bool gap = false;     // some of it was lost
    bool cut = false;     // some of it is not in `payload`
    std::string payload;  // its beginning; not of bodies
    bool first = false;   // its operation begins with it
    Origin begin;
  };

  // A call, or a publish, that waits for its answer.
  struct Pending {
    std::unique_ptr<model::Exchange> exchange;
    bool announced = false;
    uint32_t method = 0;
    uint32_t answer = 0;
    uint64_t number = 0;  // a publish's
    std::string tag;      // a consumer's
    bool without_ack = false;
  };

  struct Answer {
    uint32_t method = 0;
    uint64_t begin_ns = 0;
    uint64_t end_ns = 0;
    uint32_t incomplete = 0;
    std::string queue;                 // that the server has named, or the consumer's tag
    model::MessagingExchange message;  // that was got
  };

  // Of a publish that was not recorded yet.
  struct EarlyConfirm {
    uint64_t number = 0;
    bool multiple = false;
    bool refused = false;
    uint64_t begin_ns = 0;
    uint64_t end_ns = 0;
  };

  // A message of which the method was read, and more frames are to come.
  struct Content {
    uint32_t method = 0;
    bool header_seen = false;
    uint64_t body_left = 0;
    uint32_t incomplete = 0;
    std::string error_code;  // of one that is returned
    uint64_t whole_at =
        0;  // the operation that begins with it; 0: none does, or it was not captured whole
    Origin begin;
    model::MessagingExchange message;
  };

  struct Consumer {
    std::string queue;
    bool without_ack = false;
  };

  struct Delivery {
    uint64_t tag = 0;
    std::string destination;
  };

  struct Channel {
    bool known = false;  // since it was opened: what is not known of it is not so
    bool confirms = false;
    bool published_without = false;  // confirms, since it was opened
    bool numbers_known = false;      // of publishes
    uint64_t published = 0;          // since confirms were selected, as far as was seen
    uint64_t missed = 0;             // the same that was not seen, by the confirms' numbers
    uint64_t settled_below = 0;      // publishes up to here were told already
    std::string closed_by;           // the server's reply code
    bool doubt = false;              // which call an answer answers
    uint64_t last_tag = 0;           // of a delivery; 0: none yet, or not known
    bool tags_whole = false;         // all deliveries since the channel was opened are remembered
    std::deque<Pending> calls;
    std::deque<Pending> publishes;  // by number
    std::deque<EarlyConfirm> early_confirms;
    std::optional<Answer> early_answer;
    std::array<std::optional<Content>, 2> contents;  // the server's, the client's
    std::map<std::string, Consumer> consumers;       // by tag
    std::deque<Delivery> deliveries;                 // by tag
  };

  [[nodiscard]] bool is_client(model::Direction direction) const {
    return direction ==
           (role_ == model::Role::kServer ? model::Direction::kReceive : model::Direction::kSend);
  }
  [[nodiscard]] Side& side(model::Direction direction) {
    return sides_[static_cast<size_t>(direction)];
  }
  [[nodiscard]] Channel& channel(uint16_t number);
  void resume(Side& side, std::string_view head);
  void feed(Side& side, bool client, std::string_view bytes);
  void skip(Side& side, bool client, uint64_t count, bool lost);
  void note_gap(Side& side, bool client, uint64_t offset);
  void lose(Side& side, bool client);
  void end_frame(Side& side, bool client);
  void on_connection_method(bool client, uint32_t method, Reader& arguments);
  void on_client_method(Channel& channel, Side& side, uint32_t method, std::string_view arguments);
  void on_server_method(Channel& channel, Side& side, uint32_t method, std::string_view arguments);
  void on_call(Channel& channel, const Side& side, uint32_t method, Call&& call);
  void on_answer(Channel& channel, Answer&& answer);
  void answer_call(Channel& channel, Pending&& pending, Answer&& answer);
  void on_confirm(Channel& channel, const EarlyConfirm& confirm);
  void confirm(Pending&& pending, const EarlyConfirm& confirm);
  void on_settle(Channel& channel, const Side& side, uint32_t method, Reader& arguments);
  void end_content(Channel& channel, bool client);
  void end_publish(Channel& channel, Content&& content);
  void end_deliver(Channel& channel, Content&& content);
  void note_tag(Channel& channel, uint64_t tag, bool unsettled, const std::string& destination);
  void fail_channel(Channel& channel, std::string_view code);
  void close_channel(uint16_t number, model::Outcome outcome, uint32_t incomplete);
  void close_all(model::Outcome outcome, uint32_t incomplete);
  void close_pending(Channel& channel, model::Outcome outcome, uint32_t incomplete);
  void tell_server_close(std::string_view operation, std::string_view code, const Origin& begin);
  [[nodiscard]] std::unique_ptr<model::Exchange> make(const Origin& begin, bool client,
                                                      model::MessagingExchange&& message,
                                                      uint64_t whole_at = 0);
  void push(std::deque<Pending>& queue, Pending&& pending);
  [[nodiscard]] Pending pop(std::deque<Pending>& queue, size_t index);
  void announce(Pending& pending);
  void tell(Pending&& pending);
  void tell_now(std::unique_ptr<model::Exchange> exchange);

  Options options_;
  ParserCounters* counters_;
  ExchangeSink* sink_ = nullptr;  // during a call
  model::Role kernel_role_;
  model::Role role_ = model::Role::kUnknown;
  bool opaque_ = false;
  bool seen_from_start_;
  bool several_channels_ = false;  // of the client's have methods
  uint16_t only_channel_ = 0;
  Origin op_;  // the operation that is being worked on
  uint64_t operations_ = 0;
  bool op_whole_ = false;  // it was captured whole,
  bool op_ends_ = false;   // and ends with the frame that is being worked on
  std::array<Side, 2> sides_;
  std::map<uint16_t, Channel> channels_;
  size_t pending_ = 0;     // of all channels
  size_t deliveries_ = 0;  // of all channels
  uint64_t next_sequence_ = 0;
};

}  // namespace zerospan::protocols::amqp
