// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The parser of one connection of Memcached's text protocol, with its meta commands
// (https://github.com/memcached/memcached/blob/master/doc/protocol.txt). README.md in this folder
// has what is an exchange. Owner, thread and bounds: lines/connection.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/protocols/lines/connection.h"

namespace zerospan::protocols::memcached {

struct Options {
  lines::Options lines;
};

class Connection final : public lines::Connection {
 public:
  // `counters` outlives the connection and is written by the connection's thread.
  Connection(const model::Connection& connection, const Options& options, ParserCounters* counters);

 private:
  enum class Kind : uint8_t {
    kLine,       // answered by one line
    kList,       // by lines until END, or an error
    kMeta,       // by one line, or a value
    kNoOp,       // by MN; what comes before is for quiet commands
    kTakesOver,  // watch: no commands and answers any more
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
  void on_response_lost() override {}
  void on_end() override {}
  [[nodiscard]] size_t held_bytes() const override { return packed_.capacity(); }

  void end_command();
  void end_answer(std::string_view error);

  // The command that is being read: its value may be still to come.
  bool open_ = false;
  Kind kind_ = Kind::kLine;
  bool unanswered_ = false;
  uint32_t incomplete_ = 0;
  std::string packed_;
  lines::Origin begin_;

  bool ends_after_value_ = false;  // the answer that is being read
  // A quiet command has no answer, or one: which of those that follow it has which is not sure.
  bool after_quiet_ = false;
};

}  // namespace zerospan::protocols::memcached
