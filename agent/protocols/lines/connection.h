// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// One connection of a protocol of lines, some of which announce a body of known length, whose
// commands are answered in order: what Redis and Memcached have in common. Here are bytes to lines
// in partly captured, partly lost operations, and which answer is which command's; what a line
// means is the derived class's. README.md in this folder has the rules after a loss.
//
// Owned by the connection table; used by one thread. Total: any bytes, any lengths, any order of
// closes. Memory is bounded by Options.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agent/model/connection.h"
#include "agent/protocols/early_answers.h"
#include "agent/protocols/parser.h"

namespace zerospan::protocols::lines {

struct Options {
  size_t max_pending = 4096;  // commands that wait for their answer
  size_t max_line_bytes = 2048;
  size_t max_early_bytes = 16 * 1024;  // of answers that were recorded before their command
};

// The operation that a command began in.
struct Origin {
  uint64_t time_ns = 0;      // when it ended
  uint64_t departed_ns = 0;  // when its first byte could have left; receives: time_ns
  uint64_t request_id = 0;
  uint32_t thread_id = 0;
  model::Evidence evidence = model::Evidence::kNone;
};

// What follows a line.
struct Body {
  uint64_t length = 0;  // with the line's end behind it; 0: another line
  size_t wanted = 0;    // how much of its beginning is of use
};

struct Pending {
  std::unique_ptr<model::Exchange> exchange;
  uint8_t kind = 0;      // the derived class's
  uint32_t answers = 1;  // that are due
  bool begun = false;    // some of its answer was seen
};

class Connection : public ConnectionParser {
 public:
  Verdict on_chunk(const model::Chunk& chunk, ExchangeSink& sink) final;
  Verdict on_close(const model::Closed& closed, ExchangeSink& sink) final;
  void finish(uint64_t time_ns, ExchangeSink& sink) final;
  [[nodiscard]] model::Role role() const final;
  [[nodiscard]] size_t memory_bytes() const final;

 protected:
  // `counters` outlives the connection and is written by the connection's thread.
  Connection(const model::Connection& connection, const Options& options, ParserCounters* counters);

  // Does an operation with these first bytes begin with a command, or with an answer?
  [[nodiscard]] virtual bool begins_request(std::string_view head) const = 0;
  [[nodiscard]] virtual bool begins_response(std::string_view head) const = 0;
  // A line without its end. nullopt: there is no such line, and what follows is not understood.
  [[nodiscard]] virtual std::optional<Body> on_request_line(std::string_view line, bool cut) = 0;
  [[nodiscard]] virtual std::optional<Body> on_response_line(std::string_view line, bool cut) = 0;
  // `cut`: it is less than was wanted.
  virtual void on_request_body(std::string_view body, bool cut) = 0;
  virtual void on_response_body(std::string_view body, bool cut) = 0;
  // What comes next is not known. `lost`: its record was; else it was not captured. True: the bytes
  // were left out on purpose, and belong to the command that is being read.
  virtual bool on_request_lost(bool lost) = 0;
  virtual void on_response_lost() = 0;
  // The connection ends: what the derived class still holds is told.
  virtual void on_end() = 0;
  [[nodiscard]] virtual size_t held_bytes() const = 0;

  // For the derived class, during the calls above.
  [[nodiscard]] const Origin& line_origin() const { return line_origin_; }
  [[nodiscard]] bool has_pending() const { return !pending_.empty(); }
  [[nodiscard]] Pending& front() { return pending_.front(); }
  [[nodiscard]] const std::deque<Pending>& pending() const { return pending_; }
  [[nodiscard]] bool seen_from_start() const { return seen_from_start_; }
  [[nodiscard]] ParserCounters& counters() { return *counters_; }
  [[nodiscard]] uint64_t now_ns() const { return op_.time_ns; }
  // A command of which the last byte was read just now.
  void ask(model::DbExchange&& db, uint8_t kind, uint32_t answers, uint32_t incomplete,
           const Origin& begin);
  // The same, of one that is not answered.
  void tell_unanswered(model::DbExchange&& db, uint32_t incomplete, const Origin& begin);
  // The front's answer is whole; its exchange is the caller's to tell().
  [[nodiscard]] std::unique_ptr<model::Exchange> answered();
  void tell(model::Exchange&& exchange);
  void on_surplus_answer();
  void end() { opaque_ = true; }
  [[nodiscard]] static model::DbExchange& db_of(model::Exchange& exchange) {
    return std::get<model::DbExchange>(exchange.payload);
  }

 private:
  // One direction.
  struct Side {
    bool lost = false;
    bool offset_known = false;
    uint64_t next_offset = 0;
    bool in_line = false;
    bool line_cut = false;
    std::string line;  // what there is of it
    uint64_t body_left = 0;
    uint64_t body_length = 0;
    size_t body_wanted = 0;
    bool body_cut = false;
    std::string body;
  };

  [[nodiscard]] bool is_request(model::Direction direction) const {
    return direction ==
           (role_ == model::Role::kServer ? model::Direction::kReceive : model::Direction::kSend);
  }
  [[nodiscard]] Side& side(model::Direction direction) {
    return sides_[static_cast<size_t>(direction)];
  }
  [[nodiscard]] Side& response_side() {
    return side(role_ == model::Role::kServer ? model::Direction::kSend
                                              : model::Direction::kReceive);
  }
  void take(const model::Chunk& chunk);
  void release_early(uint64_t before_ns);
  void feed(Side& side, bool request, std::string_view bytes);
  void end_line(Side& side, bool request, std::string_view line, bool cut);
  void end_body(Side& side, bool request, std::string_view body, bool cut);
  void note_gap(Side& side, bool request, uint64_t offset);
  void skip(Side& side, bool request, uint64_t count, bool lost);
  void lose(Side& side, bool request, bool lost);
  void settle_missed();
  void doubt(uint32_t reason, uint32_t turns);
  std::unique_ptr<model::Exchange> make(model::DbExchange&& db, uint32_t incomplete,
                                        const Origin& begin);
  void announce(const model::Exchange& exchange);
  void give_up_all(uint32_t incomplete);
  void close_all(model::Outcome interrupted, model::Outcome unanswered, uint32_t flags,
                 uint64_t time_ns);

  Options options_;
  ParserCounters* counters_;
  ExchangeSink* sink_ = nullptr;  // during a call
  model::Role kernel_role_;
  model::Role role_ = model::Role::kUnknown;
  bool seen_from_start_;
  bool joined_;  // open before us, and no turn of it was seen whole
  bool opaque_ = false;
  Origin op_;  // the operation that is being worked on
  Origin line_origin_;
  std::array<Side, 2> sides_;
  EarlyAnswers early_;

  std::deque<Pending> pending_;
  bool missed_ = false;      // what pending_ waits for may have passed unseen
  bool pipelined_ = false;   // several waited at once, ever
  bool turn_clean_ = true;   // this turn began when nothing waited
  bool line_ended_ = false;  // the last captured byte of the answers was a line's end
  uint64_t last_answer_ns_ = 0;
  uint32_t doubted_turns_ = 0;  // until then it is not sure which answer is whose
  uint32_t doubt_ = 0;          // why
  uint64_t next_sequence_ = 0;
  uint64_t last_request_id_ = 0;
  uint32_t batch_index_ = 0;
};

}  // namespace zerospan::protocols::lines
