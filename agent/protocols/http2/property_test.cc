// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Properties over all scripted conversations: where the bytes are cut into operations does not
// matter, and lost operations never lead to a wrong path or a wrong pair.

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "agent/protocols/http2/testing.h"

namespace zerospan::protocols::http2 {
namespace {

constexpr size_t kNoDrop = ~size_t{0};

struct Outcome {
  std::vector<model::Exchange> exchanges;
  std::vector<uint64_t> gaps;
  std::vector<std::string> descriptions;  // sorted: streams end in an order that cuts may change
};

Outcome play(const NamedConversation& conversation, const Conversation& says, model::Role role,
             size_t drop = kNoDrop, size_t drop_count = 1, bool seen_from_start = true) {
  Player player(role, seen_from_start);
  for (size_t i = 0; i < says.size(); ++i) {
    if (i >= drop && i < drop + drop_count) {
      player.lose(says[i].from, says[i].bytes.size());
    } else {
      player.say(says[i].from, says[i].bytes,
                 role == model::Role::kServer ? says[i].request_id : 0);
    }
  }
  player.close(conversation.reset ? model::CloseKind::kReset : model::CloseKind::kClosed);
  EXPECT_TRUE(player.sink.open.empty()) << conversation.name;
  EXPECT_TRUE(player.sink.violations.empty()) << conversation.name;
  Outcome outcome;
  for (const model::Exchange& exchange : player.sink.exchanges) {
    outcome.descriptions.push_back(describe(exchange));
  }
  std::sort(outcome.descriptions.begin(), outcome.descriptions.end());
  outcome.exchanges = std::move(player.sink.exchanges);
  outcome.gaps = std::move(player.sink.gaps);
  return outcome;
}

// The operations of `says`, cut further at the given positions of the whole conversation.
Conversation cut(const Conversation& says, const std::vector<size_t>& positions) {
  Conversation result;
  size_t begin = 0;
  for (const Say& say : says) {
    size_t from = 0;
    for (const size_t position : positions) {
      if (position > begin + from && position < begin + say.bytes.size()) {
        result.push_back(
            {say.from, say.bytes.substr(from, position - begin - from), say.request_id});
        from = position - begin;
      }
    }
    result.push_back({say.from, say.bytes.substr(from), say.request_id});
    begin += say.bytes.size();
  }
  return result;
}

std::vector<size_t> positions_of(const Conversation& says) {
  size_t total = 0;
  for (const Say& say : says) {
    total += say.bytes.size();
  }
  std::vector<size_t> all(total);
  for (size_t i = 0; i < total; ++i) {
    all[i] = i;
  }
  return all;
}

// What request and response say about themselves fits together, as far as it is known.
void expect_true(const model::Exchange& exchange) {
  const model::HttpExchange& http = Player::http(exchange);
  const std::string_view sent = http.request_headers.find("x-id");
  const std::string_view answered = http.response_headers.find("x-id");
  std::string_view target = http.target;
  if (target.starts_with('/')) {
    target.remove_prefix(1);
  }
  if (!target.empty() && sent.data() != nullptr) {
    EXPECT_EQ(target, sent);
  }
  if (!target.empty() && answered.data() != nullptr) {
    EXPECT_EQ(target, answered);
  }
  if (sent.data() != nullptr && answered.data() != nullptr) {
    EXPECT_EQ(sent, answered);
  }
  if (target.empty() || http.method.empty()) {
    EXPECT_NE(exchange.incomplete, model::kIncompleteNone);
  }
}

class EveryConversation : public testing::TestWithParam<model::Role> {};

TEST_P(EveryConversation, IsTheSameHoweverItIsCut) {
  std::mt19937 random(20260101);
  for (const NamedConversation& conversation : conversations()) {
    SCOPED_TRACE(conversation.name);
    const Outcome whole = play(conversation, conversation.says, GetParam());
    const std::vector<size_t> all = positions_of(conversation.says);
    for (const size_t position : all) {
      ASSERT_EQ(play(conversation, cut(conversation.says, {position}), GetParam()).descriptions,
                whole.descriptions)
          << "cut at " << position;
    }
    ASSERT_EQ(play(conversation, cut(conversation.says, all), GetParam()).descriptions,
              whole.descriptions)
        << "byte by byte";
    for (int round = 0; round < 60; ++round) {
      std::vector<size_t> some;
      std::sample(all.begin(), all.end(), std::back_inserter(some), 1 + random() % 12, random);
      ASSERT_EQ(play(conversation, cut(conversation.says, some), GetParam()).descriptions,
                whole.descriptions)
          << testing::PrintToString(some);
    }
  }
}

// Every emitted exchange is as without the loss, or flagged.
void expect_honest(const NamedConversation& conversation, const Conversation& says,
                   model::Role role, size_t drop, size_t drop_count) {
  // A loss with nothing behind it in its direction leaves no trace; that is not the parser's to
  // see.
  for (size_t i = drop; i < drop + drop_count; ++i) {
    const bool seen =
        std::any_of(says.begin() + static_cast<ptrdiff_t>(drop + drop_count), says.end(),
                    [&](const Say& say) { return say.from == says[i].from; });
    if (!seen) {
      return;
    }
  }
  const Outcome whole = play(conversation, conversation.says, role);
  const Outcome lossy = play(conversation, says, role, drop, drop_count);
  for (size_t i = 0; i < lossy.exchanges.size(); ++i) {
    const model::Exchange& exchange = lossy.exchanges[i];
    expect_true(exchange);
    // A loss shows when the next bytes of its direction come; the other direction's reset may have
    // ended the stream before.
    if (exchange.incomplete != model::kIncompleteNone || lossy.gaps[i] == 0) {
      continue;
    }
    EXPECT_TRUE(std::binary_search(whole.descriptions.begin(), whole.descriptions.end(),
                                   describe(exchange)))
        << describe(exchange);
  }
}

TEST_P(EveryConversation, IsNeverWrongWhenOperationsAreLost) {
  for (const NamedConversation& conversation : conversations()) {
    for (size_t count = 1; count <= 4; ++count) {
      for (size_t drop = 0; drop + count <= conversation.says.size(); ++drop) {
        SCOPED_TRACE(conversation.name + ", lost from " + std::to_string(drop) +
                     " on: " + std::to_string(count));
        expect_honest(conversation, conversation.says, GetParam(), drop, count);
      }
    }
  }
}

TEST_P(EveryConversation, IsNeverWrongWhenPartsOfOperationsAreLost) {
  std::mt19937 random(20260102);
  for (const NamedConversation& conversation : conversations()) {
    const std::vector<size_t> all = positions_of(conversation.says);
    for (int round = 0; round < 1500; ++round) {
      std::vector<size_t> some;
      std::sample(all.begin(), all.end(), std::back_inserter(some), 1 + random() % 8, random);
      const Conversation says = cut(conversation.says, some);
      const size_t drop = random() % says.size();
      SCOPED_TRACE(conversation.name + ", lost " + std::to_string(drop) + " of " +
                   testing::PrintToString(some));
      expect_honest(conversation, says, GetParam(), drop, 1);
    }
  }
}

TEST_P(EveryConversation, IsNeverWrongWhenJoinedInTheMiddle) {
  for (const NamedConversation& conversation : conversations()) {
    for (size_t drop = 1; drop < conversation.says.size(); ++drop) {
      SCOPED_TRACE(conversation.name + ", joined at " + std::to_string(drop));
      const Conversation says(conversation.says.begin() + static_cast<ptrdiff_t>(drop),
                              conversation.says.end());
      for (const model::Exchange& exchange :
           play(conversation, says, GetParam(), kNoDrop, 1, false).exchanges) {
        expect_true(exchange);
      }
    }
  }
}

TEST_P(EveryConversation, IsNeverWrongWhenLittleIsCaptured) {
  for (const NamedConversation& conversation : conversations()) {
    for (const size_t head : {0, 5, 9, 20, 40, 60, 90, 200}) {
      SCOPED_TRACE(conversation.name + ", captured " + std::to_string(head));
      Player player(GetParam());
      for (const Say& say : conversation.says) {
        player.say_cut(say.from, say.bytes, head);
      }
      player.close(model::CloseKind::kClosed);
      EXPECT_TRUE(player.sink.open.empty());
      EXPECT_TRUE(player.sink.violations.empty());
      for (const model::Exchange& exchange : player.sink.exchanges) {
        expect_true(exchange);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Roles, EveryConversation,
                         testing::Values(model::Role::kServer, model::Role::kClient),
                         [](const auto& value) {
                           return value.param == model::Role::kServer ? "Server" : "Client";
                         });

// The scripts themselves: without a loss every exchange is whole and right.
TEST(Conversations, AreWhole) {
  for (const NamedConversation& conversation : conversations()) {
    SCOPED_TRACE(conversation.name);
    const Outcome outcome = play(conversation, conversation.says, model::Role::kServer);
    EXPECT_GE(outcome.exchanges.size(), 3U);
    for (const model::Exchange& exchange : outcome.exchanges) {
      EXPECT_EQ(exchange.incomplete, model::kIncompleteNone);
      EXPECT_FALSE(Player::http(exchange).target.empty());
      expect_true(exchange);
    }
  }
}

}  // namespace
}  // namespace zerospan::protocols::http2
