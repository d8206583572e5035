// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What one PostgreSQL session has asked for and what was answered
// (https://www.postgresql.org/docs/current/protocol-flow.html): statements and portals by name, and
// the requests that wait, in order. Knows nothing of bytes in streams: Connection tells it the
// messages, and what was missed. README.md has the rules.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "agent/model/exchange.h"
#include "agent/protocols/parser.h"

namespace zerospan::protocols::postgresql {

struct SessionLimits {
  size_t max_pending = 4096;                // messages that wait for their answer
  size_t max_statements = 1024;             // prepared ones that are remembered
  size_t max_statement_bytes = 512 * 1024;  // of their texts
  size_t max_portals = 256;
};

// The operation that a message began in.
struct Origin {
  uint64_t time_ns = 0;      // when it ended
  uint64_t departed_ns = 0;  // when its first byte could have left; receives: time_ns
  uint64_t request_id = 0;
  uint32_t thread_id = 0;
  model::Evidence evidence = model::Evidence::kNone;
};

class Session {
 public:
  Session(const SessionLimits& limits, bool seen_from_start, ParserCounters* counters)
      : limits_(limits), counters_(counters), seen_from_start_(seen_from_start) {}

  void set_role(model::Role role) { role_ = role; }

  // A request message; `body` is what was captured of it, from its first byte on.
  void on_request(char type, std::string_view body, bool cut, const Origin& begin, uint64_t end_ns,
                  ExchangeSink& sink);
  void on_startup(std::string_view parameters);
  // A response message. False: nothing more can be told of this connection.
  [[nodiscard]] bool on_response(char type, std::string_view body, bool cut, uint64_t time_ns,
                                 ExchangeSink& sink);

  // Bytes were missed in which messages may have begun. `lost`: their record was lost; else they
  // were not captured.
  void miss_requests(bool lost);
  void miss_responses(bool lost);
  // The answer that is being read goes on in bytes that were lost.
  void flag_response(uint32_t incomplete);

  // Nothing waits for an answer.
  [[nodiscard]] bool is_idle() const { return pending_.empty() && !held_; }
  void close(model::Outcome interrupted, model::Outcome unanswered, uint32_t flags,
             uint64_t time_ns, ExchangeSink& sink);

  [[nodiscard]] size_t memory_bytes() const;

 private:
  struct Statement {
    std::string name;
    std::string text;
    bool cut = false;
    bool doubtful = false;  // requests were missed since it was prepared
  };
  using StatementPtr = std::shared_ptr<const Statement>;

  enum class Kind : uint8_t {
    kQuery,
    kParse,
    kBind,
    kDescribe,
    kExecute,
    kClose,
    kSync,
    kFunction
  };

  // A message that will be answered.
  struct Pending {
    Kind kind = Kind::kSync;
    bool begun = false;      // a part of its answer was seen
    bool rows_exact = true;  // none of them was missed
    bool describes_rows = false;
    bool copies_in = false;
    uint32_t completions = 0;
    uint64_t rows = 0;
    StatementPtr statement;  // Parse: what it defines; Execute, Query: what it runs
    StatementPtr replaced;   // Parse: what had the name before
    std::unique_ptr<model::Exchange> exchange;  // Query, Execute, Function
  };

  void push(Pending&& pending, const Origin& begin, ExchangeSink& sink);
  std::unique_ptr<model::Exchange> make_exchange(const StatementPtr& statement, const Origin& begin,
                                                 uint64_t end_ns);
  void announce(model::Exchange& exchange, ExchangeSink& sink);
  void emit(Pending& pending, ExchangeSink& sink);
  void emit_held(uint64_t end_ns, ExchangeSink& sink);
  void give_up(Pending& pending, ExchangeSink& sink);
  void note_begun(Pending& pending, uint64_t time_ns);
  // The first one of this kind in the turn that is being answered; those before it are given up.
  Pending* expect(Kind kind, uint64_t time_ns, ExchangeSink& sink);
  Pending* running(uint64_t time_ns, ExchangeSink& sink);  // that rows and completions belong to
  void complete(Pending& pending, uint64_t time_ns, ExchangeSink& sink);
  void on_completion(std::string_view tag, bool cut, uint64_t time_ns, ExchangeSink& sink);
  void on_error(std::string_view fields, uint64_t time_ns, ExchangeSink& sink);
  void on_ready(char status, uint64_t time_ns, ExchangeSink& sink);
  void skip_failed(uint64_t time_ns, ExchangeSink& sink);

  void doubt();
  void define(const StatementPtr& statement);
  void undefine(std::string_view name);
  [[nodiscard]] StatementPtr find_statement(std::string_view name) const;

  SessionLimits limits_;
  ParserCounters* counters_;
  bool seen_from_start_;
  model::Role role_ = model::Role::kUnknown;
  std::string database_;
  bool backslash_escapes_ = false;  // standard_conforming_strings is off

  std::map<std::string, StatementPtr, std::less<>> statements_;
  size_t statement_bytes_ = 0;
  std::map<std::string, StatementPtr, std::less<>> portals_;

  std::deque<Pending> pending_;
  // An Execute that is complete waits for what follows: before ReadyForQuery comes the commit, and
  // its error.
  std::unique_ptr<Pending> held_;
  size_t syncs_ = 0;               // Sync, Query and Function among pending_
  bool extended_begun_ = false;    // since the last Execute or Sync
  Origin extended_begin_;          // of the first Parse, Bind or Describe since then
  bool skipping_ = false;          // the server passes over all until Sync
  bool told_ahead_ = false;        // skipping: what its next Execute would run has its exchange
  bool data_may_follow_ = false;   // of a COPY whose answer was recorded before the last of it
  StatementPtr passed_over_;       // skipping: the last one that is not prepared
  bool responses_missed_ = false;  // in the turn that is being answered
  bool responses_lost_ = false;    // the same, with their record
  bool turns_unclear_ = false;     // nobody knows how many turns ended in what was missed

  bool suspect_ = false;  // it is not sure which answer belongs to which request
  bool flag_next_ = false;
  bool pipelining_seen_ = false;
  uint32_t clean_turns_ = 0;
  uint64_t last_response_ns_ = 0;

  uint64_t next_sequence_ = 0;
  uint64_t last_request_id_ = 0;
  uint32_t batch_index_ = 0;
};

}  // namespace zerospan::protocols::postgresql
