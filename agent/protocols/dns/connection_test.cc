// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/dns/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "agent/protocols/dns/testing.h"

namespace zerospan::protocols::dns {
namespace {

using namespace std::string_literals;
using model::Role;
using model::Transport;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

const std::string kAddress = record(1, "\x0a\x00\x00\x01"s);
const model::Endpoint kOne = {"10.0.0.53", 53};
const model::Endpoint kTwo = {"10.0.0.54", 53};

TEST(Datagrams, BothSides) {
  for (const Role role : {Role::kServer, Role::kClient}) {
    Runner runner(Transport::kUdp, role);
    runner.ask(query(1, "a.test"));
    runner.ask(query(2, "a.test", 28));
    runner.answer(reply(2, "a.test", 28));
    runner.answer(reply(1, "A.Test", 1, 0x8180, {kAddress}));
    runner.ask(query(1, "missing.test"));
    runner.answer(reply(1, "missing.test", 1, 0x8183));
    runner.ask(query(1, "big.test", 16));
    runner.answer(reply(1, "big.test", 16, 0x8380));
    EXPECT_THAT(runner.told, ElementsAre("a.test 28 0", "a.test 1 0 10.0.0.1", "missing.test 1 3",
                                         "big.test 16 0 truncated"));
    EXPECT_THAT(runner.flagged, IsEmpty());
    EXPECT_EQ(runner.connection.role(), role);
    EXPECT_EQ(runner.last.role, role);
    EXPECT_EQ(runner.last.request_start_ns + 1000, runner.last.response_end_ns);
    runner.finish();
    EXPECT_FALSE(runner.broken);
  }
}

TEST(Datagrams, WrongAnswersAreNobodys) {
  Runner runner(Transport::kUdp);
  runner.answer(reply(1, "a.test", 1, 0x8180, {kAddress}));
  runner.ask(query(1, "a.test"));
  runner.answer(reply(2, "a.test", 1, 0x8180, {kAddress}));
  runner.answer(reply(1, "b.test", 1, 0x8180, {kAddress}));
  runner.answer(reply(1, "a.test", 28, 0x8180));
  runner.answer("no message at all");
  EXPECT_THAT(runner.told, IsEmpty());
  EXPECT_EQ(runner.counters.responses_without_request, 4U);
  EXPECT_EQ(runner.counters.unparsed_bytes, 17U);
  runner.answer(reply(1, "a.test", 1, 0x8182));
  runner.answer(reply(1, "a.test", 1, 0x8180, {kAddress}));
  EXPECT_THAT(runner.told, ElementsAre("a.test 1 2"));
  EXPECT_EQ(runner.counters.responses_without_request, 5U);
}

TEST(Datagrams, AnswersWithoutAQuestion) {
  const std::string refusal = number(1, 2) + number(0x8001, 2) + number(0, 8);
  Runner runner(Transport::kUdp);
  runner.ask(query(1, "a.test"));
  runner.answer(refusal);
  EXPECT_THAT(runner.told, ElementsAre("a.test 1 1"));
  runner.ask(query(1, "b.test"));
  runner.ask(query(1, "c.test"));
  runner.answer(refusal);
  EXPECT_EQ(runner.told.size(), 1U);
  EXPECT_EQ(runner.counters.responses_without_request, 1U);
}

TEST(Datagrams, AskedAgain) {
  Runner runner(Transport::kUdp);
  runner.ask(query(1, "a.test"));
  runner.now_ns += 5'000'000'000;
  runner.ask(query(1, "a.test"));
  EXPECT_THAT(runner.told, ElementsAre("a.test 1 unanswered no response"));
  EXPECT_EQ(runner.last.response_end_ns, runner.now_ns);
  runner.answer(reply(1, "a.test"));
  EXPECT_THAT(runner.flagged, ElementsAre("a.test 1 0"));
  EXPECT_EQ(runner.last.incomplete, model::kRequestTimeUnknown);
}

TEST(Datagrams, ServerThatIsAskedTwice) {
  Runner runner(Transport::kUdp, Role::kServer);
  runner.ask(query(1, "a.test"));
  runner.ask(query(1, "a.test"));
  runner.answer(reply(1, "a.test"), &kOne);
  runner.answer(reply(1, "a.test"), &kTwo);
  EXPECT_THAT(runner.flagged, ElementsAre("a.test 1 0 @10.0.0.53", "a.test 1 0 @10.0.0.54"));
}

TEST(Datagrams, TwoServersAreAsked) {
  Runner runner(Transport::kUdp);
  runner.ask(query(1, "a.test"), &kOne);
  runner.ask(query(1, "a.test"), &kTwo);
  runner.answer(reply(1, "a.test"));
  // Whose it is was not seen.
  EXPECT_THAT(runner.flagged, ElementsAre("a.test 1 0"));
  runner.ask(query(2, "b.test"), &kTwo);
  runner.answer(reply(2, "b.test"));
  EXPECT_THAT(runner.told, ElementsAre("b.test 1 0 @10.0.0.54"));
}

TEST(Datagrams, Patience) {
  Runner runner(Transport::kUdp);
  runner.ask(query(1, "a.test"));
  runner.ask(query(2, "b.test"));
  const uint64_t asked = runner.now_ns;
  runner.now_ns += 10'000'000'000;
  runner.ask(query(3, "c.test"));
  EXPECT_THAT(runner.flagged,
              ElementsAre("a.test 1 unanswered no response", "b.test 1 unanswered no response"));
  EXPECT_EQ(runner.last.incomplete, model::kBodyEndUnknown);
  EXPECT_EQ(runner.last.response_end_ns, asked);
  runner.finish();
  EXPECT_EQ(runner.flagged.back(), "c.test 1 unanswered");
  EXPECT_FALSE(runner.broken);
}

TEST(Datagrams, Refused) {
  Runner runner(Transport::kUdp);
  runner.ask(query(1, "a.test"));
  runner.close(model::CloseKind::kReset);
  EXPECT_THAT(runner.told, ElementsAre("a.test 1 unanswered reset"));
}

TEST(Datagrams, UnseenBytes) {
  Runner runner(Transport::kUdp);
  runner.ask(query(1, "a.test"));
  runner.step({false, reply(1, "a.test", 1, 0x8180, {kAddress, kAddress})}, nullptr, 40);
  EXPECT_THAT(runner.flagged, ElementsAre("a.test 1 0 10.0.0.1"));
  EXPECT_EQ(runner.last.incomplete, model::kHeadTruncated);
  runner.ask(query(2, "b.test"));
  runner.step({false, reply(2, "b.test")}, nullptr, 0);
  runner.ask(query(2, "b.test"));
  EXPECT_EQ(runner.flagged.back(), "b.test 1 unanswered");
  EXPECT_EQ(runner.last.incomplete, model::kGap);
}

TEST(Datagrams, Bounded) {
  Options options;
  options.max_pending = 4;
  Runner runner(Transport::kUdp, Role::kServer, true, options);
  for (uint16_t id = 0; id < 100; ++id) {
    runner.ask(query(id, "a.test"));
  }
  EXPECT_EQ(runner.counters.limits_hit, 96U);
  EXPECT_EQ(runner.flagged.size(), 96U);
  runner.finish();
  EXPECT_FALSE(runner.broken);
}

TEST(Stream, PipelinedAndOutOfOrder) {
  for (const Role role : {Role::kServer, Role::kClient}) {
    Runner runner(Transport::kTcp, role);
    runner.ask(with_length(query(1, "a.test")) + with_length(query(2, "b.test")));
    runner.answer(with_length(reply(2, "b.test", 1, 0x8180, {kAddress})) +
                  with_length(reply(1, "a.test")));
    EXPECT_THAT(runner.told, ElementsAre("b.test 1 0 10.0.0.1", "a.test 1 0"));
    runner.ask(with_length(query(3, "c.test")));
    runner.close(model::CloseKind::kClosed);
    EXPECT_EQ(runner.told.back(), "c.test 1 unanswered no response");
    EXPECT_FALSE(runner.broken);
  }
}

TEST(Stream, AnswerBeforeItsQueryIsRecorded) {
  Runner runner(Transport::kTcp);
  runner.answer(with_length(reply(1, "a.test")));
  runner.late_ns = 1500;
  runner.ask(with_length(query(1, "a.test")));
  EXPECT_THAT(runner.told, ElementsAre("a.test 1 0"));
  runner.answer(with_length(reply(2, "b.test")));
  runner.late_ns = 0;
  runner.ask(with_length(query(2, "b.test")));
  runner.close();
  EXPECT_EQ(runner.told.back(), "b.test 1 unanswered no response");
  EXPECT_EQ(runner.counters.responses_without_request, 1U);
}

TEST(Stream, LongAnswer) {
  Runner runner(Transport::kTcp);
  runner.ask(with_length(query(1, "a.test", 16)));
  const std::vector<std::string> records(200, record(16, std::string(200, 't')));
  const std::string answer = with_length(reply(1, "a.test", 16, 0x8180, records));
  runner.step({false, answer}, nullptr, 4096);
  runner.ask(with_length(query(2, "b.test")));
  runner.answer(with_length(reply(2, "b.test")));
  EXPECT_THAT(runner.told, ElementsAre("b.test 1 0"));
  EXPECT_THAT(runner.flagged, ElementsAre("a.test 16 0"));
  EXPECT_LT(runner.connection.memory_bytes(), 32U * 1024);
}

TEST(Stream, NotDns) {
  for (const std::string& bytes : {"GET / HTTP/1.1\r\nHost: a\r\n\r\n"s + std::string(20'000, 'x'),
                                   "\x00\x05tooshort"s, with_length(std::string(20, '\xff'))}) {
    Runner runner(Transport::kTcp);
    runner.ask(bytes);
    EXPECT_TRUE(runner.opaque) << bytes.substr(0, 10);
    EXPECT_THAT(runner.told, IsEmpty());
  }
}

TEST(Stream, Joined) {
  Runner runner(Transport::kTcp, Role::kServer, false);
  runner.ask("rest of a message");
  runner.answer("rest of another");
  runner.ask(with_length(query(1, "a.test")));
  runner.answer(with_length(reply(1, "a.test")));
  EXPECT_THAT(runner.told, ElementsAre("a.test 1 0"));
  EXPECT_EQ(runner.counters.resyncs, 2U);
}

std::multiset<std::string> all_of(const Runner& runner) {
  std::multiset<std::string> all(runner.told.begin(), runner.told.end());
  all.insert(runner.flagged.begin(), runner.flagged.end());
  return all;
}

TEST(Stream, AnySplitGivesTheSame) {
  std::mt19937_64 random(1);
  for (int session = 0; session < 300; ++session) {
    const std::vector<Step> steps = random_session(random, 8);
    Runner whole(Transport::kTcp);
    Runner split(Transport::kTcp);
    for (const Step& step : steps) {
      const std::string bytes = with_length(step.bytes);
      whole.step({step.request, bytes});
      for (size_t at = 0; at < bytes.size();) {
        const size_t count = std::min<size_t>(1 + random() % 40, bytes.size() - at);
        split.step({step.request, bytes.substr(at, count)});
        at += count;
      }
    }
    whole.close();
    split.close();
    EXPECT_EQ(whole.told, split.told);
    EXPECT_EQ(whole.flagged, split.flagged);
    EXPECT_FALSE(whole.broken || split.broken);
  }
}

// What is told without a flag is what was; nothing is told that was not.
TEST(Loss, OfAnyOperation) {
  std::mt19937_64 random(2);
  for (int session = 0; session < 300; ++session) {
    const Transport transport = session % 2 == 0 ? Transport::kTcp : Transport::kUdp;
    const std::vector<Step> steps = random_session(random, 8);
    const auto wire = [&](const Step& step) {
      return Step{step.request,
                  transport == Transport::kTcp ? with_length(step.bytes) : step.bytes};
    };
    Runner whole(transport);
    for (const Step& step : steps) {
      whole.step(wire(step));
    }
    whole.close();
    const std::multiset<std::string> truth = all_of(whole);
    for (size_t lost = 0; lost < steps.size(); ++lost) {
      Runner runner(transport);
      for (size_t i = 0; i < steps.size(); ++i) {
        i == lost ? runner.lose(wire(steps[i])) : runner.step(wire(steps[i]));
      }
      runner.close();
      EXPECT_FALSE(runner.broken);
      EXPECT_EQ(runner.counters.gaps, 1U);
      std::multiset<std::string> left = truth;
      for (const std::string& told : runner.told) {
        const auto found = left.find(told);
        ASSERT_NE(found, left.end()) << told << " with step " << lost << " lost";
        left.erase(found);
      }
      EXPECT_GE(runner.told.size() + runner.flagged.size() + 1, truth.size());
    }
  }
}

}  // namespace
}  // namespace zerospan::protocols::dns
