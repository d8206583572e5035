// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The parser of one connection of Redis's protocol, RESP2 and RESP3
// (https://redis.io/docs/latest/develop/reference/protocol-spec/): commands and their answers.
// README.md in this folder has what is an exchange. Owner, thread and bounds: lines/connection.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/commands/description.h"
#include "agent/protocols/lines/connection.h"

namespace zerospan::protocols::redis {

struct Options {
  lines::Options lines;
  size_t max_queued = 1024;           // commands of one transaction whose result is told
  size_t max_statement_bytes = 4096;  // of a command's arguments
  size_t max_name_bytes = 1024;       // of one argument that is a name
  size_t max_value_bytes = 256;       // of one that is a value
};

class Connection final : public lines::Connection {
 public:
  // `counters` outlives the connection and is written by the connection's thread.
  Connection(const model::Connection& connection, const Options& options, ParserCounters* counters);

 private:
  enum class Kind : uint8_t {
    kPlain,
    kMulti,
    kExec,
    kDiscard,
    kReset,
    kSelect,
    kSubscribe,  // and its opposite
    kTakesOver,  // MONITOR, replication: no commands and answers any more
  };

  struct Queued {
    std::unique_ptr<model::Exchange> exchange;
    bool selects = false;
  };

  // The answer that is being read.
  struct Reply {
    bool open = false;
    char type = 0;
    uint64_t elements = 0;    // that are still to begin, of an aggregate
    uint64_t inside = 0;      // items that are still to come of the element that has begun
    uint64_t attributes = 0;  // items of attributes that are still to come
    uint64_t index = 0;       // of the element
    bool first_is_text = false;
    std::string first;  // the first element, its beginning; or the whole if it is no aggregate
    std::string last;   // the last element, if it is a number
  };

  [[nodiscard]] bool begins_request(std::string_view head) const override;
  [[nodiscard]] bool begins_response(std::string_view head) const override;
  [[nodiscard]] std::optional<lines::Body> on_request_line(std::string_view line,
                                                           bool cut) override;
  [[nodiscard]] std::optional<lines::Body> on_response_line(std::string_view line,
                                                            bool cut) override;
  void on_request_body(std::string_view body, bool cut) override;
  void on_response_body(std::string_view body, bool cut) override;
  bool on_request_lost(bool lost) override;
  void on_response_lost() override;
  void on_end() override;
  [[nodiscard]] size_t held_bytes() const override;

  void begin_command();
  [[nodiscard]] size_t wanted_of_argument(uint64_t length) const;
  void add_argument(std::string_view bytes, bool cut);
  void on_inline(std::string_view line, bool cut);
  void end_command();
  void on_item(char type, std::string_view text, uint64_t items);
  void end_reply();
  void end_transaction(bool ran);
  void on_element_error(std::string_view text);
  void select(const model::Exchange& exchange);

  Options options_;

  // The command that is being read.
  uint64_t arguments_left_ = 0;
  uint64_t argument_ = 0;  // its index
  uint64_t length_ = 0;    // of the argument
  const commands::Syntax* syntax_ = nullptr;
  std::string packed_;
  uint32_t incomplete_ = 0;
  lines::Origin begin_;

  Reply reply_;
  char bulk_ = 0;  // the type of the body that is being read
  bool subscribed_ = false;
  bool silent_ = false;   // CLIENT REPLY OFF
  uint32_t skipped_ = 0;  // commands that CLIENT REPLY SKIP still silences
  bool in_transaction_ = false;
  std::vector<Queued> queued_;
  std::optional<std::string> database_;
  // The database before a command that was not captured, because it has a password: others may have
  // been in the same operation.
  std::optional<std::string> database_before_;
};

}  // namespace zerospan::protocols::redis
