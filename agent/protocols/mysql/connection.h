// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The parser of one connection of MySQL's or MariaDB's protocol
// (https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html): commands and their
// answers in partly captured, partly lost bytes. README.md in this folder has the rules after a
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
#include <optional>
#include <string>
#include <string_view>

#include "agent/model/connection.h"
#include "agent/protocols/early_answers.h"
#include "agent/protocols/parser.h"

namespace zerospan::protocols::mysql {

struct Options {
  size_t max_pending = 64;       // commands that wait for their answer
  size_t max_statements = 1024;  // prepared ones that are remembered
  size_t max_statement_bytes = 512 * 1024;
  size_t max_body_bytes = 16 * 1024;   // of one packet
  size_t max_early_bytes = 16 * 1024;  // of answers that were recorded before their command
};

class Connection final : public ConnectionParser {
 public:
  // `counters` outlives the connection and is written by the connection's thread.
  Connection(const model::Connection& connection, const Options& options, ParserCounters* counters);

  Verdict on_chunk(const model::Chunk& chunk, ExchangeSink& sink) override;
  Verdict on_close(const model::Closed& closed, ExchangeSink& sink) override;
  void finish(uint64_t time_ns, ExchangeSink& sink) override;
  [[nodiscard]] model::Role role() const override;
  [[nodiscard]] size_t memory_bytes() const override;

 private:
  enum class Phase : uint8_t {
    kGreeting,  // the server's first packet is due
    kLogin,     // the client's answer to it
    kAuthenticate,
    kCommands,
  };
  // What is due of an answer.
  enum class Reply : uint8_t { kFirst, kColumns, kEndOfColumns, kRows, kDefinitions, kMissed };

  struct Operation {
    uint64_t time_ns = 0;
    uint64_t departed_ns = 0;
    uint64_t request_id = 0;
    uint32_t thread_id = 0;
    model::Evidence evidence = model::Evidence::kNone;
  };

  // One direction.
  struct Side {
    bool lost = false;
    bool offset_known = false;
    uint64_t next_offset = 0;
    std::string header;  // what there is of it
    bool in_body = false;
    uint8_t sequence = 0;
    bool continued = false;  // the next packet goes on with this one's message
    bool goes_on = false;    // this packet goes on with the one before
    uint32_t length = 0;
    uint32_t remaining = 0;
    bool body_cut = false;
    size_t body_wanted = 0;
    std::string body;
    Operation begin;
    std::string tail;  // lost: the last bytes that were captured without a break
  };

  struct Statement {
    std::string text;
    bool cut = false;
    bool doubtful = false;
  };
  using StatementPtr = std::shared_ptr<const Statement>;

  struct Pending {
    uint8_t command = 0;
    bool begun = false;
    Reply reply = Reply::kFirst;
    uint64_t left = 0;  // columns or definitions that are due
    uint64_t rows = 0;
    bool rows_exact = true;
    bool lost = false;  // a record that may be of its answer
    bool has_rows = false;
    std::string use;         // the database that it makes the current one
    StatementPtr statement;  // Prepare
    bool of_last = false;    // Execute of what was prepared last, sent before that was answered
    std::unique_ptr<model::Exchange> exchange;  // Query, Execute; Prepare once it fails
    Operation begin;
  };

  [[nodiscard]] bool is_request(model::Direction direction) const {
    return direction ==
           (role_ == model::Role::kServer ? model::Direction::kReceive : model::Direction::kSend);
  }
  [[nodiscard]] Side& side(model::Direction direction) {
    return sides_[static_cast<size_t>(direction)];
  }
  void begin(model::Role role);
  void decide_role(const model::Chunk& chunk);
  void take(const model::Chunk& chunk, ExchangeSink& sink);
  void release_early(uint64_t before_ns, ExchangeSink& sink);
  void feed(Side& side, bool request, std::string_view bytes, ExchangeSink& sink);
  void skip(Side& side, bool request, uint64_t count, bool lost, ExchangeSink& sink);
  void lose(Side& side, bool request, bool lost, ExchangeSink& sink);
  void end_packet(Side& side, bool request, std::string_view body, ExchangeSink& sink);

  void on_login(std::string_view body);
  void on_command(const Side& side, std::string_view body, ExchangeSink& sink);
  void on_reply(const Side& side, std::string_view body, ExchangeSink& sink);
  void on_first(Pending& pending, const Side& side, std::string_view body, ExchangeSink& sink);
  void on_end_of_result(Pending& pending, std::optional<uint16_t> status, ExchangeSink& sink);
  void on_error(Pending& pending, std::string_view body, ExchangeSink& sink);
  void done(ExchangeSink& sink);
  void give_up(uint32_t incomplete, ExchangeSink& sink);
  void remember(uint32_t id, StatementPtr statement);
  std::unique_ptr<model::Exchange> make_exchange(const StatementPtr& statement,
                                                 const Operation& begin);
  void announce(model::Exchange& exchange, ExchangeSink& sink);
  void close_all(model::Outcome interrupted, model::Outcome unanswered, uint32_t flags,
                 uint64_t time_ns, ExchangeSink& sink);

  Options options_;
  ParserCounters* counters_;
  model::Role kernel_role_;
  model::Role role_ = model::Role::kUnknown;
  Phase phase_ = Phase::kCommands;
  bool opaque_ = false;
  Operation op_;  // the operation that is being worked on
  std::array<Side, 2> sides_;
  EarlyAnswers early_;

  model::DbSystem system_ = model::DbSystem::kMysql;
  std::string database_;
  uint32_t capabilities_ = 0;
  std::optional<bool> deprecate_eof_;  // unknown until told, or seen
  bool backslash_escapes_ = true;
  bool doubt_next_ = false;      // a command may have been missed
  size_t doubtful_answers_ = 0;  // of so many commands: those of earlier ones may still come

  std::map<uint32_t, StatementPtr> statements_;
  size_t statement_bytes_ = 0;
  StatementPtr last_prepared_;
  bool last_prepare_failed_ = false;
  std::deque<Pending> pending_;
  uint64_t next_sequence_ = 0;
  uint64_t last_request_id_ = 0;
  uint32_t batch_index_ = 0;
};

}  // namespace zerospan::protocols::mysql
