// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Properties over all scripted conversations: where the bytes are cut into operations does not
// matter, and lost operations never lead to a wrong pair.

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "agent/protocols/http1/testing.h"

namespace zerospan::protocols::http1 {
namespace {

constexpr size_t kNoDrop = ~size_t{0};

struct Outcome {
  std::vector<model::Exchange> exchanges;
  std::vector<std::string> descriptions;
  size_t requests = 0;
};

Outcome play(const NamedConversation& conversation, const Conversation& says, model::Role role,
             size_t drop = kNoDrop, size_t drop_count = 1) {
  Player player(role);
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
  outcome.requests = player.sink.starts.size();
  for (const model::Exchange& exchange : player.sink.exchanges) {
    outcome.descriptions.push_back(describe(exchange));
  }
  outcome.exchanges = std::move(player.sink.exchanges);
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

size_t total_bytes(const Conversation& says) {
  size_t total = 0;
  for (const Say& say : says) {
    total += say.bytes.size();
  }
  return total;
}

class EveryConversation : public testing::TestWithParam<model::Role> {};

TEST_P(EveryConversation, IsTheSameHoweverItIsCut) {
  std::mt19937 random(20260101);
  for (const NamedConversation& conversation : conversations()) {
    SCOPED_TRACE(conversation.name);
    const Outcome whole = play(conversation, conversation.says, GetParam());
    const size_t total = total_bytes(conversation.says);
    for (size_t position = 1; position < total; ++position) {
      ASSERT_EQ(play(conversation, cut(conversation.says, {position}), GetParam()).descriptions,
                whole.descriptions)
          << "cut at " << position;
    }
    std::vector<size_t> all(total);
    for (size_t i = 0; i < total; ++i) {
      all[i] = i;
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

// The target of a request and the "x-id" of its response name each other.
void expect_true_pair(const model::Exchange& exchange) {
  const model::HttpExchange& http = Player::http(exchange);
  const std::string_view id = http.response_headers.find("x-id");
  std::string_view target = http.target;
  if (target.starts_with('/')) {
    target.remove_prefix(1);
  }
  if (id.data() == nullptr) {
    return;
  }
  if (exchange.incomplete == model::kIncompleteNone) {
    EXPECT_EQ(id, target);
  } else {
    EXPECT_TRUE(id.starts_with(target)) << id << " answers " << target;  // it may be cut
  }
}

// Every emitted exchange is as without the loss, or flagged. `says` may be cut finer than scripted.
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
  const auto without_sequence = [](const std::string& text) { return text.substr(text.find(' ')); };
  for (size_t i = 0; i < lossy.exchanges.size(); ++i) {
    expect_true_pair(lossy.exchanges[i]);
    if (lossy.exchanges[i].incomplete != model::kIncompleteNone) {
      continue;
    }
    model::Exchange exchange = lossy.exchanges[i];
    const bool known =
        std::any_of(whole.exchanges.begin(), whole.exchanges.end(), [&](model::Exchange reference) {
          reference.batch_index = exchange.batch_index;
          return without_sequence(describe(reference)) == without_sequence(describe(exchange));
        });
    EXPECT_TRUE(known) << lossy.descriptions[i];
  }
}

TEST_P(EveryConversation, NeverPairsWronglyWhenOperationsAreLost) {
  for (const NamedConversation& conversation : conversations()) {
    for (size_t count = 1; count <= (conversation.interleaved ? 1 : 3); ++count) {
      for (size_t drop = 0; drop + count <= conversation.says.size(); ++drop) {
        SCOPED_TRACE(conversation.name + ", lost from " + std::to_string(drop) +
                     " on: " + std::to_string(count));
        expect_honest(conversation, conversation.says, GetParam(), drop, count);
      }
    }
  }
}

TEST_P(EveryConversation, NeverPairsWronglyWhenPartsOfOperationsAreLost) {
  std::mt19937 random(20260102);
  for (const NamedConversation& conversation : conversations()) {
    if (conversation.interleaved) {
      continue;  // a message lost in part is lost whole, and its neighbour's with it
    }
    const size_t total = total_bytes(conversation.says);
    std::vector<size_t> all(total);
    for (size_t i = 0; i < total; ++i) {
      all[i] = i;
    }
    for (int round = 0; round < 150; ++round) {
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

TEST_P(EveryConversation, NeverPairsWronglyWhenLittleIsCaptured) {
  for (const NamedConversation& conversation : conversations()) {
    for (const size_t head : {0, 10, 20, 40, 60, 90}) {
      for (const size_t tail : {0, 5, 40}) {
        SCOPED_TRACE(conversation.name + ", captured " + std::to_string(head) + " and " +
                     std::to_string(tail));
        Player player(GetParam());
        for (const Say& say : conversation.says) {
          player.say_cut(say.from, say.bytes, head, tail);
        }
        player.close(model::CloseKind::kClosed);
        EXPECT_TRUE(player.sink.open.empty());
        EXPECT_TRUE(player.sink.violations.empty());
        for (const model::Exchange& exchange : player.sink.exchanges) {
          expect_true_pair(exchange);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Roles, EveryConversation,
                         testing::Values(model::Role::kServer, model::Role::kClient),
                         [](const auto& value) {
                           return value.param == model::Role::kServer ? "Server" : "Client";
                         });

// The scripts themselves: without a loss every response finds its request.
TEST(Conversations, PairWholly) {
  for (const NamedConversation& conversation : conversations()) {
    SCOPED_TRACE(conversation.name);
    const Outcome outcome = play(conversation, conversation.says, model::Role::kServer);
    EXPECT_FALSE(outcome.exchanges.empty());
    for (const model::Exchange& exchange : outcome.exchanges) {
      EXPECT_EQ(exchange.incomplete, model::kIncompleteNone);
      expect_true_pair(exchange);
    }
  }
}

}  // namespace
}  // namespace zerospan::protocols::http1
