// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/conn/connection_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace zerospan::conn {
namespace {

using ::testing::ElementsAre;
using ::testing::FieldsAre;
using ::testing::IsEmpty;

// A protocol of one-letter operations, begun by a greeting: "hi" by a server, "HI" by a client. 'q'
// asks, 'a' answers the oldest question, 'x' makes the connection opaque.
class LetterParser final : public protocols::ConnectionParser {
 public:
  explicit LetterParser(protocols::ParserCounters* counters) : counters_(counters) { ++alive; }
  ~LetterParser() override { --alive; }
  LetterParser(const LetterParser&) = delete;
  LetterParser& operator=(const LetterParser&) = delete;

  protocols::Verdict on_chunk(const model::Chunk& chunk, protocols::ExchangeSink& sink) override {
    for (const char letter : chunk.head) {
      switch (letter) {
        case 'H':
          role_ = model::Role::kClient;
          break;
        case 'h':
          role_ = model::Role::kServer;
          break;
        case 'q':
          sink.on_request({.sequence = asked_++, .role = role_, .time_ns = chunk.time_ns});
          break;
        case 'a':
          answer(chunk.time_ns, 0, sink);
          break;
        case 'x':
          return protocols::Verdict::kOpaque;
        default:
          break;
      }
    }
    return protocols::Verdict::kContinue;
  }
  protocols::Verdict on_close(const model::Closed& closed, protocols::ExchangeSink& sink) override {
    if (closed.kind == model::CloseKind::kSendClosed) {
      return protocols::Verdict::kContinue;
    }
    finish(closed.time_ns, sink);
    return protocols::Verdict::kOpaque;
  }
  void finish(uint64_t time_ns, protocols::ExchangeSink& sink) override {
    while (answered_ < asked_) {
      answer(time_ns, model::kBodyEndUnknown, sink);
    }
  }
  [[nodiscard]] model::Role role() const override { return role_; }
  [[nodiscard]] size_t memory_bytes() const override { return sizeof(*this); }

  static inline int alive = 0;

 private:
  void answer(uint64_t time_ns, uint32_t incomplete, protocols::ExchangeSink& sink) {
    model::Exchange exchange;
    exchange.sequence = answered_++;
    exchange.role = role_;
    exchange.response_end_ns = time_ns;
    exchange.incomplete = incomplete;
    ++counters_->exchanges;
    sink.on_exchange(std::move(exchange));
  }

  protocols::ParserCounters* counters_;
  model::Role role_ = model::Role::kUnknown;
  uint64_t asked_ = 0;
  uint64_t answered_ = 0;
};

std::unique_ptr<protocols::ConnectionParser> make_letters(const model::Connection&,
                                                          protocols::ParserCounters* counters,
                                                          protocols::Shared* /*shared*/) {
  return std::make_unique<LetterParser>(counters);
}
bool starts_with_hi(model::Direction, std::string_view bytes) {
  return bytes.starts_with("hi") || bytes.starts_with("HI");
}
bool starts_with_yo(model::Direction, std::string_view bytes) {
  return bytes.starts_with("yo");
}

constexpr auto kProtocols = std::to_array<protocols::Protocol>({
    {"yo", starts_with_yo, make_letters},
    {"hi", starts_with_hi, make_letters},
    {"by port", nullptr, make_letters},
});

struct Told {
  uint64_t connection;
  char what;  // 'q' or 'a'
  uint64_t sequence;
  uint32_t incomplete = 0;
  model::Role role = model::Role::kUnknown;  // of the connection, when it was told
};
auto asked(uint64_t connection, uint64_t sequence) {
  return FieldsAre(connection, 'q', sequence, 0U, ::testing::_);
}
auto answered(uint64_t connection, uint64_t sequence, uint32_t incomplete = 0) {
  return FieldsAre(connection, 'a', sequence, incomplete, ::testing::_);
}

struct Sink : TrafficSink {
  void on_request(const model::Connection& connection,
                  const protocols::RequestStart& start) override {
    told.push_back({connection.id, 'q', start.sequence, 0, connection.role});
  }
  void on_exchange(const model::Connection& connection, model::Exchange&& exchange) override {
    told.push_back({connection.id, 'a', exchange.sequence, exchange.incomplete, connection.role});
  }
  void on_given_up(const model::Connection& connection, std::string&& why) override {
    given_up.push_back(std::to_string(connection.id) + " " + why);
  }
  std::vector<Told> told;
  std::vector<std::string> given_up;
};

class Table : public ::testing::Test {
 protected:
  ~Table() override { EXPECT_GE(LetterParser::alive, 0); }

  void open(uint64_t id, bool seen_from_start = true, bool datagrams = false, uint32_t pid = 7) {
    model::Connection connection;
    connection.id = id;
    connection.pid = pid;
    connection.is_dns = datagrams;
    connection.transport = datagrams ? model::Transport::kUdp : model::Transport::kTcp;
    connection.time_ns = ++now_;
    connection.seen_from_start = seen_from_start;
    table_->on_connection(connection, 1000 + id);
  }
  void feed(uint64_t id, std::string_view bytes) {
    model::Chunk chunk;
    chunk.head = bytes;
    chunk.length = static_cast<uint32_t>(bytes.size());
    chunk.time_ns = ++now_;
    table_->on_chunk(id, chunk);
  }
  void close(uint64_t id, model::CloseKind kind = model::CloseKind::kClosed) {
    table_->on_close(id, {kind, ++now_});
  }
  void limit(size_t max_connections) {
    table_ = std::make_unique<ConnectionTable>(
        TableOptions{.protocols = kProtocols, .max_connections = max_connections}, sink_);
  }
  [[nodiscard]] const TableCounters& counters() const { return table_->counters(); }

  uint64_t now_ = 0;
  Sink sink_;
  std::unique_ptr<ConnectionTable> table_ = std::make_unique<ConnectionTable>(
      TableOptions{.protocols = kProtocols, .max_connections = 100}, sink_);
};

auto mute_of(uint64_t id) {
  return FieldsAre(1000 + id, id, false);
}
auto forgotten(uint64_t id) {
  return FieldsAre(1000 + id, id, true);
}

TEST_F(Table, OpenFeedClose) {
  open(1);
  feed(1, "hi");
  feed(1, "q");
  feed(1, "a");
  EXPECT_EQ(table_->size(), 1U);
  close(1);
  EXPECT_THAT(sink_.told, ElementsAre(asked(1, 0), answered(1, 0)));
  EXPECT_EQ(table_->size(), 0U);
  EXPECT_EQ(LetterParser::alive, 0);
  EXPECT_EQ(counters().opened, 1U);
  EXPECT_EQ(counters().closed, 1U);
  EXPECT_EQ(counters().unknown_records, 0U);
}

TEST_F(Table, TheFirstProtocolThatAcceptsGetsTheConnection) {
  open(1);
  feed(1, "hiqa");
  open(2);
  feed(2, "yoqaqa");
  EXPECT_EQ(table_->parser_counters().at(0).exchanges, 2U);
  EXPECT_EQ(table_->parser_counters().at(1).exchanges, 1U);
}

TEST_F(Table, WhatIsKnownByItsPortIsNothingElse) {
  open(1, true, true);
  feed(1, "hiqa");
  feed(1, "qa");
  EXPECT_EQ(table_->parser_counters().at(1).exchanges, 0U);
  EXPECT_EQ(table_->parser_counters().at(2).exchanges, 2U);
}

TEST_F(Table, QuietDatagramsAreForgotten) {
  open(1, true, true);
  open(2, true, true);
  open(3);
  for (const uint64_t id : {1, 2, 3}) {
    feed(id, "hiq");
  }
  constexpr uint64_t kLong = 13'000'000'000;
  now_ += kLong / 2;
  feed(2, "q");
  table_->forget_quiet(now_);
  EXPECT_EQ(table_->size(), 3U);
  sink_.told.clear();
  table_->forget_quiet(now_ + kLong / 2);
  EXPECT_THAT(sink_.told, ElementsAre(answered(1, 0, model::kBodyEndUnknown)));
  EXPECT_EQ(table_->size(), 2U);
  EXPECT_EQ(counters().closed, 1U);
  table_->forget_quiet(now_ + kLong);
  EXPECT_EQ(table_->size(), 1U) << "a connection may be quiet";
  EXPECT_EQ(counters().evicted, 0U);
}

TEST_F(Table, AFullTableGivesUpDatagramsFirst) {
  limit(3);
  open(1);
  open(2, true, true);
  open(3, true, true);
  feed(2, "hiq");
  open(4);
  EXPECT_THAT(sink_.told, ElementsAre(asked(2, 0))) << "it is in use";
  open(5);
  EXPECT_EQ(counters().evicted, 2U);
  EXPECT_TRUE(table_->take_mutes().empty());
  open(6);
  EXPECT_EQ(counters().evicted, 3U);
  EXPECT_THAT(table_->take_mutes(), ElementsAre(mute_of(1)));
}

TEST_F(Table, TheParsersRoleIsTheConnections) {
  open(1);
  feed(1, "HI");
  feed(1, "q");
  ASSERT_EQ(sink_.told.size(), 1U);
  EXPECT_EQ(sink_.told[0].role, model::Role::kClient);
}

TEST_F(Table, RecordsOfUnknownConnectionsAreCounted) {
  feed(7, "hi");
  close(7);
  open(1);
  close(1);
  feed(1, "q");
  close(1);
  EXPECT_EQ(counters().unknown_records, 4U);
  EXPECT_THAT(sink_.told, IsEmpty());
}

TEST_F(Table, AConnectionIsOpenedOnce) {
  open(1);
  feed(1, "hiq");
  open(1);
  feed(1, "a");
  EXPECT_THAT(sink_.told, ElementsAre(asked(1, 0), answered(1, 0)));
  EXPECT_EQ(counters().opened, 1U);
}

TEST_F(Table, AConnectionAnnouncedAgainEvictsNothing) {
  limit(2);
  open(1);
  open(2);
  open(2);
  EXPECT_EQ(counters().evicted, 0U);
  EXPECT_EQ(table_->size(), 2U);
}

TEST_F(Table, WhatNoProtocolAcceptsIsMuted) {
  open(1);
  feed(1, "\x16\x03\x01");
  EXPECT_THAT(table_->take_mutes(), ElementsAre(mute_of(1)));
  EXPECT_THAT(table_->take_mutes(), IsEmpty());
  feed(1, "hiq");  // too late
  EXPECT_THAT(sink_.told, IsEmpty());
  EXPECT_EQ(counters().opaque, 1U);
  EXPECT_EQ(counters().unrecognised, 1U);
  EXPECT_THAT(sink_.given_up, ElementsAre("1 begins like no known protocol: 16 03 01"));
  close(1);
  EXPECT_EQ(table_->size(), 0U);
}

TEST_F(Table, WhatTurnsOpaqueIsMuted) {
  open(1);
  feed(1, "hiqax");
  EXPECT_THAT(table_->take_mutes(), ElementsAre(mute_of(1)));
  EXPECT_EQ(LetterParser::alive, 0);
  feed(1, "q");
  EXPECT_THAT(sink_.told, ElementsAre(asked(1, 0), answered(1, 0)));
  EXPECT_EQ(counters().opaque, 1U);
  EXPECT_EQ(counters().unrecognised, 0U);
  EXPECT_EQ(counters().unknown_records, 0U);
}

TEST_F(Table, AJoinedConnectionMayBeginInTheMiddle) {
  open(1, false);
  feed(1, "...of a body");
  feed(1, "more");
  feed(1, "hi");
  feed(1, "qa");
  EXPECT_THAT(sink_.told, ElementsAre(asked(1, 0), answered(1, 0)));
  EXPECT_THAT(table_->take_mutes(), IsEmpty());
}

TEST_F(Table, AJoinedConnectionIsGivenUpInTheEnd) {
  open(1, false);
  int operations = 0;
  while (counters().opaque == 0 && operations < 1000) {
    feed(1, "no protocol");
    ++operations;
  }
  EXPECT_EQ(operations, 17);
  EXPECT_EQ(counters().unrecognised, 1U);
  EXPECT_THAT(table_->take_mutes(), ElementsAre(mute_of(1)));
}

TEST_F(Table, HalfClosedIsStillOpen) {
  open(1);
  feed(1, "hiq");
  close(1, model::CloseKind::kSendClosed);
  feed(1, "a");
  EXPECT_THAT(sink_.told, ElementsAre(asked(1, 0), answered(1, 0)));
  EXPECT_EQ(table_->size(), 1U);
  EXPECT_EQ(counters().closed, 0U);
}

TEST_F(Table, HalfCloseMayEndAParserAndLaterCloseTheConnection) {
  open(1);
  feed(1, "hiq");
  close(1, model::CloseKind::kReceiveClosed);
  EXPECT_EQ(sink_.told.size(), 2U);
  EXPECT_EQ(LetterParser::alive, 0);
  EXPECT_EQ(table_->size(), 1U);
  close(1, model::CloseKind::kReset);
  EXPECT_EQ(sink_.told.size(), 2U);
  EXPECT_EQ(table_->size(), 0U);
}

TEST_F(Table, CloseGivesOutWhatIsOpen) {
  open(1);
  feed(1, "hiqq");
  close(1, model::CloseKind::kReset);
  EXPECT_THAT(sink_.told,
              ElementsAre(asked(1, 0), asked(1, 1), answered(1, 0, model::kBodyEndUnknown),
                          answered(1, 1, model::kBodyEndUnknown)));
}

TEST_F(Table, AFullTableGivesUpTheQuietest) {
  limit(3);
  for (const uint64_t id : {1, 2, 3}) {
    open(id);
    feed(id, "hiq");
  }
  feed(1, "a");
  sink_.told.clear();
  open(4);  // 2 was quiet the longest
  EXPECT_THAT(sink_.told, ElementsAre(answered(2, 0, model::kBodyEndUnknown)));
  EXPECT_THAT(table_->take_mutes(), ElementsAre(mute_of(2)));
  EXPECT_EQ(counters().evicted, 1U);
  EXPECT_EQ(table_->size(), 3U);
  feed(2, "a");
  EXPECT_EQ(counters().unknown_records, 1U);
  close(2);
  close(1);
  EXPECT_EQ(counters().opened, counters().closed + counters().evicted + table_->size());
}

TEST_F(Table, ATableOfManyStaysWithinItsLimit) {
  limit(16);
  for (uint64_t id = 1; id <= 1000; ++id) {
    open(id);
    feed(id, "hiqaq");
    ASSERT_LE(table_->size(), 16U);
    ASSERT_LE(LetterParser::alive, 16);
  }
  EXPECT_EQ(counters().evicted, 1000U - 16U);
}

TEST_F(Table, TheConnectionsOfSomeProcessesAreGivenUp) {
  for (uint64_t id = 1; id <= 4; ++id) {
    open(id, true, false, id <= 2 ? 7 : 8);
    feed(id, "hiq");
  }
  open(5, true, true, 8);  // of a UDP socket no more is known than before
  sink_.told.clear();
  table_->give_up({8, 99});
  EXPECT_THAT(sink_.told, ::testing::UnorderedElementsAre(answered(3, 0, model::kBodyEndUnknown),
                                                          answered(4, 0, model::kBodyEndUnknown)));
  EXPECT_THAT(table_->take_mutes(), ::testing::UnorderedElementsAre(forgotten(3), forgotten(4)));
  EXPECT_EQ(table_->size(), 3U);
  EXPECT_EQ(counters().closed, 2U);
  feed(1, "a");
  EXPECT_THAT(sink_.told, ::testing::Contains(answered(1, 0)));
}

TEST_F(Table, FinishGivesOutInOrderOfIds) {
  for (const uint64_t id : {5, 3, 9, 1}) {
    open(id);
    feed(id, "hiq");
  }
  open(4);  // without a parser
  sink_.told.clear();
  table_->finish(++now_);
  EXPECT_THAT(
      sink_.told,
      ElementsAre(answered(1, 0, model::kBodyEndUnknown), answered(3, 0, model::kBodyEndUnknown),
                  answered(5, 0, model::kBodyEndUnknown), answered(9, 0, model::kBodyEndUnknown)));
  EXPECT_EQ(table_->size(), 0U);
  EXPECT_EQ(LetterParser::alive, 0);
}

}  // namespace
}  // namespace zerospan::conn
