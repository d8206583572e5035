// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Conversations of PostgreSQL's protocol as tests make them, and what the parser tells of them.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "agent/model/connection.h"
#include "agent/model/exchange.h"
#include "agent/protocols/postgresql/connection.h"

namespace zerospan::protocols::postgresql {

// One socket operation.
struct Step {
  bool request = true;
  std::string bytes;
};

[[nodiscard]] std::string message(char type, std::string_view body);
[[nodiscard]] std::string startup();
[[nodiscard]] std::string query(std::string_view text);
[[nodiscard]] std::string parse(std::string_view name, std::string_view text);
[[nodiscard]] std::string bind(std::string_view portal, std::string_view statement);
[[nodiscard]] std::string execute(std::string_view portal);
[[nodiscard]] std::string sync();
[[nodiscard]] std::string rows(size_t count, size_t width = 8);  // described
[[nodiscard]] std::string data_rows(size_t count, size_t width = 8);
[[nodiscard]] std::string done(std::string_view tag);
[[nodiscard]] std::string error(std::string_view code);
[[nodiscard]] std::string ready(char status = 'I');

// A session of `turns` random turns; each statement's text is its own.
[[nodiscard]] std::vector<Step> random_session(std::mt19937_64& random, size_t turns,
                                               bool pipelined);

struct Told {
  std::string statement;
  std::string id;
  std::string error;
  bool skipped = false;
  int64_t rows = -1;
  uint32_t incomplete = 0;
  model::Outcome outcome = model::Outcome::kComplete;
  model::Evidence evidence = model::Evidence::kNone;
  uint64_t request_id = 0;
  uint64_t start_ns = 0;
  uint64_t end_ns = 0;
  std::string database;
  std::string traceparent;

  auto operator<=>(const Told&) const = default;
};

// What has nothing to do with time.
[[nodiscard]] std::string brief(const Told& told);

// Feeds operations; each takes a microsecond.
class Runner final : public ExchangeSink {
 public:
  explicit Runner(model::Role role = model::Role::kServer, bool seen_from_start = true);

  void on_request(const RequestStart& start) override;
  void on_exchange(model::Exchange&& exchange) override;

  // Of the operation's bytes the first `head` and the last `tail` are there.
  void step(const Step& step, size_t head = SIZE_MAX, size_t tail = 0);
  void lose(const Step& step);
  void close(model::CloseKind kind = model::CloseKind::kClosed);
  void finish();
  // Sends a chunk as it is.
  Verdict chunk(model::Chunk chunk);

  std::vector<Told> told;
  ParserCounters counters;
  uint64_t now_ns = 1'000'000;
  bool opaque = false;
  bool broken = false;  // the sink's contract
  Connection connection;

 private:
  uint64_t offsets_[2] = {0, 0};
  model::Role role_;
  std::vector<bool> open_;
};

}  // namespace zerospan::protocols::postgresql
