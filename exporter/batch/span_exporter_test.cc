// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "exporter/batch/span_exporter.h"

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <limits>

#include "opentelemetry/proto/collector/trace/v1/trace_service.pb.h"

namespace zerospan::batch {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kLong{30};  // no test waits that long unless it fails
// Longer than any machine is up: the steady clock begins with it.
constexpr seconds kYears = std::chrono::hours(10 * 365 * 24);

// A receiver in the test's hands: it gives the scripted outcomes, then accepts; while `held` its
// sends block as those to a receiver that does not answer.
class FakeReceiver {
 public:
  SendOutcome take(std::string_view request, std::chrono::steady_clock::time_point deadline) {
    opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest message;
    EXPECT_TRUE(message.ParseFromArray(request.data(), static_cast<int>(request.size())));
    std::unique_lock lock(mutex_);
    send_times_.push_back(std::chrono::steady_clock::now());
    changed_.notify_all();
    if (!changed_.wait_until(lock, deadline, [this] { return cancelled_ || !held_; }) ||
        cancelled_) {
      return {SendStatus::kRetry, 0, {}, "no answer"};
    }
    SendOutcome outcome = always_;
    if (!script_.empty()) {
      outcome = script_.front();
      script_.pop_front();
    }
    if (outcome.status == SendStatus::kAccepted) {
      for (const auto& resource : message.resource_spans()) {
        for (const auto& span : resource.scope_spans(0).spans()) {
          names_.push_back(span.name());
        }
      }
      batches_.push_back(message.ByteSizeLong());
    }
    return outcome;
  }
  void cancel() {
    const std::scoped_lock lock(mutex_);
    cancelled_ = true;
    changed_.notify_all();
  }
  void hold(bool held) {
    const std::scoped_lock lock(mutex_);
    held_ = held;
    changed_.notify_all();
  }
  void answer(SendOutcome outcome) {
    const std::scoped_lock lock(mutex_);
    script_.push_back(std::move(outcome));
  }
  void always(SendOutcome outcome) {
    const std::scoped_lock lock(mutex_);
    always_ = std::move(outcome);
  }
  bool wait_for_sends(size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kLong, [&] { return send_times_.size() >= count; });
  }
  std::vector<std::string> names() {
    const std::scoped_lock lock(mutex_);
    return names_;
  }
  size_t accepted_requests() {
    const std::scoped_lock lock(mutex_);
    return batches_.size();
  }
  std::vector<std::chrono::steady_clock::time_point> send_times() {
    const std::scoped_lock lock(mutex_);
    return send_times_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
  bool cancelled_ = false;
  std::deque<SendOutcome> script_;
  SendOutcome always_;
  std::vector<std::string> names_;
  std::vector<size_t> batches_;
  std::vector<std::chrono::steady_clock::time_point> send_times_;
};

class FakeTransport final : public Transport {
 public:
  explicit FakeTransport(FakeReceiver& receiver) : receiver_(receiver) {}
  [[nodiscard]] otlp::Encoding encoding() const override { return otlp::Encoding::kProtobuf; }
  [[nodiscard]] SendOutcome send(std::string_view request,
                                 std::chrono::steady_clock::time_point deadline) override {
    return receiver_.take(request, deadline);
  }
  void cancel() override { receiver_.cancel(); }

 private:
  FakeReceiver& receiver_;
};

std::vector<model::Span> spans(size_t count, const std::string& prefix = "s") {
  std::vector<model::Span> made(count);
  for (size_t i = 0; i < count; ++i) {
    made[i].name = prefix + std::to_string(i);
    made[i].span_id = model::SpanId::from_u64(i + 1);
  }
  return made;
}

BatchOptions quick() {
  BatchOptions options;
  options.schedule_delay = milliseconds(1);
  options.retry.initial_interval = milliseconds(1);
  options.retry.max_interval = milliseconds(2);
  return options;
}

class SpanExporterTest : public ::testing::Test {
 protected:
  SpanExporter& start(BatchOptions options = quick()) {
    exporter_ = std::make_unique<SpanExporter>(std::move(options),
                                               std::make_unique<FakeTransport>(receiver_));
    return *exporter_;
  }
  void expect_identity() const {
    const ExportCounters& counters = exporter_->counters();
    EXPECT_EQ(counters.spans_offered, counters.spans_exported + counters.dropped_total());
  }

  FakeReceiver receiver_;
  std::unique_ptr<SpanExporter> exporter_;
};

TEST_F(SpanExporterTest, ExportsInOrder) {
  SpanExporter& exporter = start();
  exporter.offer(spans(3, "a"));
  exporter.offer(spans(2, "b"));
  ASSERT_TRUE(exporter.flush(kLong));
  EXPECT_EQ(receiver_.names(), (std::vector<std::string>{"a0", "a1", "a2", "b0", "b1"}));
  EXPECT_EQ(exporter.counters().spans_exported, 5U);
  EXPECT_GT(exporter.counters().bytes, 0U);
  expect_identity();
}

TEST_F(SpanExporterTest, AnotherReceiverGetsWhatTheFirstDidNotTake) {
  BatchOptions options = quick();
  options.retry.initial_interval = kYears;  // the first one is not asked again
  options.retry.max_interval = kYears;
  options.retry.max_elapsed = 10 * kYears;
  receiver_.always({SendStatus::kRetry, 0, {}, "away"});
  FakeReceiver other;
  SpanExporter& exporter = start(options);
  exporter.offer(spans(3, "a"));
  ASSERT_TRUE(receiver_.wait_for_sends(1));
  exporter.offer(spans(2, "b"));
  exporter.replace_transport(std::make_unique<FakeTransport>(other));
  ASSERT_TRUE(exporter.flush(kLong));
  EXPECT_EQ(other.names(), (std::vector<std::string>{"a0", "a1", "a2", "b0", "b1"}));
  EXPECT_TRUE(receiver_.names().empty());
  EXPECT_EQ(exporter.counters().dropped_total(), 0U);
  exporter_.reset();  // before the other receiver
}

TEST_F(SpanExporterTest, ARequestOnItsWayIsAnsweredByTheReceiverThatHasIt) {
  receiver_.hold(true);
  FakeReceiver other;
  SpanExporter& exporter = start();
  exporter.offer(spans(1, "a"));
  ASSERT_TRUE(receiver_.wait_for_sends(1));
  exporter.replace_transport(std::make_unique<FakeTransport>(other));
  exporter.offer(spans(1, "b"));
  receiver_.hold(false);
  ASSERT_TRUE(exporter.flush(kLong));
  EXPECT_EQ(receiver_.names(), std::vector<std::string>{"a0"});
  EXPECT_EQ(other.names(), std::vector<std::string>{"b0"});
  exporter_.reset();
}

TEST_F(SpanExporterTest, ShutdownEndsTheSendToAReceiverThatWasReplaced) {
  receiver_.hold(true);
  FakeReceiver other;
  SpanExporter& exporter = start();
  exporter.offer(spans(1));
  ASSERT_TRUE(receiver_.wait_for_sends(1));
  exporter.replace_transport(std::make_unique<FakeTransport>(other));
  const auto begun = std::chrono::steady_clock::now();
  exporter.shutdown(milliseconds(20));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, seconds(5));
  expect_identity();
  exporter_.reset();
}

TEST_F(SpanExporterTest, TheFirstSpanIsSentAtOnceAndTheNextWaitForTheSchedule) {
  BatchOptions options = quick();
  options.schedule_delay = kYears;
  options.max_batch_spans = 4;
  SpanExporter& exporter = start(options);
  exporter.offer(spans(1));
  ASSERT_TRUE(receiver_.wait_for_sends(1));
  exporter.offer(spans(3));
  EXPECT_FALSE(exporter.counters().spans_exported > 1);
  exporter.offer(spans(1));  // a full batch goes without waiting
  ASSERT_TRUE(receiver_.wait_for_sends(2));
  exporter.offer(spans(2));  // and flush does not wait either
  ASSERT_TRUE(exporter.flush(kLong));
  EXPECT_EQ(receiver_.accepted_requests(), 3U);
}

TEST_F(SpanExporterTest, BatchesAreBounded) {
  BatchOptions options = quick();
  options.max_batch_spans = 10;
  receiver_.hold(true);
  SpanExporter& exporter = start(options);
  exporter.offer(spans(35));
  exporter.offer(spans(7));
  receiver_.hold(false);
  ASSERT_TRUE(exporter.flush(kLong));
  EXPECT_EQ(receiver_.accepted_requests(), 5U);
  EXPECT_EQ(receiver_.names().size(), 42U);
  EXPECT_EQ(receiver_.names()[34], "s34");
  EXPECT_EQ(receiver_.names()[35], "s0");
}

TEST_F(SpanExporterTest, TooLargeRequestsAreHalved) {
  BatchOptions options = quick();
  options.max_request_bytes = 300;
  SpanExporter& exporter = start(options);
  exporter.offer(spans(64));
  ASSERT_TRUE(exporter.flush(kLong));
  EXPECT_GT(receiver_.accepted_requests(), 4U);
  ASSERT_EQ(receiver_.names().size(), 64U);
  EXPECT_EQ(receiver_.names()[63], "s63");
  expect_identity();
}

TEST_F(SpanExporterTest, AFullQueueDropsTheNewest) {
  BatchOptions options = quick();
  options.max_queue_spans = 8;
  receiver_.hold(true);
  SpanExporter& exporter = start(options);
  exporter.offer(spans(1, "first"));
  ASSERT_TRUE(receiver_.wait_for_sends(1));  // in flight, so out of the queue
  exporter.offer(spans(6, "kept"));
  exporter.offer(spans(5, "partly"));
  exporter.offer(spans(9, "lost"));
  EXPECT_EQ(exporter.counters().dropped(DropReason::kQueueFull), 12U);
  EXPECT_EQ(exporter.queued_spans(), 8U);
  receiver_.hold(false);
  ASSERT_TRUE(exporter.flush(kLong));
  EXPECT_EQ(exporter.counters().spans_exported, 9U);
  EXPECT_EQ(receiver_.names().back(), "partly1");
  expect_identity();
}

TEST_F(SpanExporterTest, RetriesUntilAccepted) {
  for (int i = 0; i < 3; ++i) {
    receiver_.answer({SendStatus::kRetry, 0, {}, "away"});
  }
  SpanExporter& exporter = start();
  exporter.offer(spans(2));
  ASSERT_TRUE(exporter.flush(kLong));
  EXPECT_EQ(exporter.counters().spans_exported, 2U);
  EXPECT_EQ(exporter.counters().retries, 3U);
  EXPECT_EQ(exporter.counters().requests, 4U);
}

TEST_F(SpanExporterTest, WaitsAsLongAsTheReceiverAsked) {
  receiver_.answer({SendStatus::kRetry, 0, milliseconds(120), "busy"});
  SpanExporter& exporter = start();
  exporter.offer(spans(1));
  ASSERT_TRUE(exporter.flush(kLong));
  const auto times = receiver_.send_times();
  ASSERT_EQ(times.size(), 2U);
  EXPECT_GE(times[1] - times[0], milliseconds(120));
}

TEST_F(SpanExporterTest, GivesUpWhenTheTimeForRetriesIsOver) {
  BatchOptions options = quick();
  options.retry.max_elapsed = milliseconds(10);
  receiver_.always({SendStatus::kRetry, 0, {}, "away"});
  SpanExporter& exporter = start(options);
  exporter.offer(spans(4));
  ASSERT_TRUE(exporter.flush(kLong));
  EXPECT_EQ(exporter.counters().dropped(DropReason::kRetryExhausted), 4U);
  EXPECT_GT(exporter.counters().retries, 0U);
  expect_identity();
}

TEST_F(SpanExporterTest, ALongWaitThatWasAskedForHoldsForTheNextRequestToo) {
  BatchOptions options = quick();
  options.retry.max_elapsed = milliseconds(10);
  receiver_.answer({SendStatus::kRetry, 0, std::chrono::hours(1), "go away"});
  SpanExporter& exporter = start(options);
  exporter.offer(spans(1, "a"));
  ASSERT_TRUE(exporter.flush(kLong));
  exporter.offer(spans(1, "b"));
  ASSERT_TRUE(exporter.flush(kLong));
  EXPECT_EQ(exporter.counters().requests, 1U);
  EXPECT_EQ(exporter.counters().dropped(DropReason::kRetryExhausted), 2U);
  expect_identity();
}

TEST_F(SpanExporterTest, RefusedRequestsAreNotRepeated) {
  receiver_.answer({SendStatus::kRefused, 0, {}, "bad"});
  SpanExporter& exporter = start();
  exporter.offer(spans(2));
  ASSERT_TRUE(exporter.flush(kLong));
  EXPECT_EQ(exporter.counters().dropped(DropReason::kExportRefused), 2U);
  EXPECT_EQ(exporter.counters().requests, 1U);
  expect_identity();
}

TEST_F(SpanExporterTest, PartialSuccessIsCountedAndNotRepeated) {
  receiver_.answer({SendStatus::kAccepted, 3, {}, "too old"});
  receiver_.answer({SendStatus::kAccepted, std::numeric_limits<uint64_t>::max(), {}, "liar"});
  SpanExporter& exporter = start();
  exporter.offer(spans(5));
  ASSERT_TRUE(exporter.flush(kLong));
  exporter.offer(spans(5));
  ASSERT_TRUE(exporter.flush(kLong));
  EXPECT_EQ(exporter.counters().spans_exported, 2U);
  EXPECT_EQ(exporter.counters().dropped(DropReason::kRejectedByPeer), 8U);
  EXPECT_EQ(exporter.counters().requests, 2U);
  expect_identity();
}

TEST_F(SpanExporterTest, ReportsWhenHealthChanges) {
  std::vector<std::pair<bool, std::string>> reports;  // written by the exporter's thread only
  BatchOptions options = quick();
  options.on_report = [&](bool healthy, const std::string& message) {
    reports.emplace_back(healthy, message);
  };
  for (int i = 0; i < 3; ++i) {
    receiver_.answer({SendStatus::kRetry, 0, {}, "away"});
  }
  SpanExporter& exporter = start(options);
  exporter.offer(spans(1));
  ASSERT_TRUE(exporter.flush(kLong));
  exporter.offer(spans(1));
  ASSERT_TRUE(exporter.flush(kLong));
  exporter.shutdown(kLong);
  ASSERT_EQ(reports.size(), 2U);
  EXPECT_EQ(reports[0], std::make_pair(false, std::string("away")));
  EXPECT_TRUE(reports[1].first);
}

TEST_F(SpanExporterTest, FlushTellsThatTheTimePassed) {
  receiver_.hold(true);
  SpanExporter& exporter = start();
  exporter.offer(spans(1));
  EXPECT_FALSE(exporter.flush(milliseconds(10)));
  receiver_.hold(false);
  EXPECT_TRUE(exporter.flush(kLong));
}

TEST_F(SpanExporterTest, ShutdownSendsWhatIsQueuedAndRefusesTheRest) {
  BatchOptions options = quick();
  options.schedule_delay = kYears;
  SpanExporter& exporter = start(options);
  exporter.offer(spans(1));
  ASSERT_TRUE(receiver_.wait_for_sends(1));
  exporter.offer(spans(20));
  exporter.shutdown(kLong);
  EXPECT_EQ(exporter.counters().spans_exported, 21U);
  exporter.offer(spans(2));
  EXPECT_EQ(exporter.counters().dropped(DropReason::kShutdownDeadline), 2U);
  exporter.shutdown(kLong);  // again does no harm
  expect_identity();
}

TEST_F(SpanExporterTest, ShutdownCutsRetryWaitsAndTriesOnceMore) {
  BatchOptions options = quick();
  options.max_batch_spans = 2;
  receiver_.answer({SendStatus::kRetry, 0, std::chrono::minutes(2), "busy"});
  SpanExporter& exporter = start(options);
  exporter.offer(spans(2));
  ASSERT_TRUE(receiver_.wait_for_sends(1));
  const auto before = std::chrono::steady_clock::now();
  exporter.shutdown(kLong);
  EXPECT_LT(std::chrono::steady_clock::now() - before, kLong / 2);
  EXPECT_EQ(exporter.counters().spans_exported, 2U);
  expect_identity();
}

TEST_F(SpanExporterTest, ShutdownGivesUpAfterOneFailedAttempt) {
  BatchOptions options = quick();
  options.max_batch_spans = 2;
  receiver_.always({SendStatus::kRetry, 0, std::chrono::minutes(2), "away"});
  SpanExporter& exporter = start(options);
  exporter.offer(spans(2));
  ASSERT_TRUE(receiver_.wait_for_sends(1));
  exporter.offer(spans(20));
  exporter.shutdown(kLong);
  EXPECT_EQ(exporter.counters().requests, 2U);
  EXPECT_EQ(exporter.counters().dropped(DropReason::kShutdownDeadline), 22U);
  expect_identity();
}

TEST_F(SpanExporterTest, ShutdownCutsASendThatIsNotAnswered) {
  receiver_.hold(true);
  SpanExporter& exporter = start();
  exporter.offer(spans(3));
  ASSERT_TRUE(receiver_.wait_for_sends(1));
  exporter.offer(spans(5));
  const auto before = std::chrono::steady_clock::now();
  exporter.shutdown(milliseconds(50));
  EXPECT_LT(std::chrono::steady_clock::now() - before, seconds(5));  // the send's timeout is 10 s
  EXPECT_EQ(exporter.counters().dropped(DropReason::kShutdownDeadline), 8U);
  expect_identity();
}

TEST_F(SpanExporterTest, EverySpanOfManyProducersIsAccountedFor) {
  constexpr size_t kProducers = 4;
  constexpr size_t kVectors = 400;
  BatchOptions options = quick();
  options.max_queue_spans = 300;
  options.max_batch_spans = 64;
  for (int i = 0; i < 20; ++i) {
    receiver_.answer({i % 3 == 0 ? SendStatus::kRetry : SendStatus::kAccepted, 0, {}, ""});
  }
  SpanExporter& exporter = start(options);
  std::atomic<bool> over_bound{false};
  std::vector<std::thread> producers;
  size_t offered = 0;
  for (size_t i = 0; i < kVectors; ++i) {
    offered += kProducers * (i % 7);
  }
  for (size_t producer = 0; producer < kProducers; ++producer) {
    producers.emplace_back([&] {
      for (size_t i = 0; i < kVectors; ++i) {
        exporter.offer(spans(i % 7));
        if (exporter.queued_spans() > 300 + 7) {
          over_bound = true;
        }
      }
    });
  }
  for (std::thread& producer : producers) {
    producer.join();
  }
  ASSERT_TRUE(exporter.flush(kLong));
  EXPECT_FALSE(over_bound);
  EXPECT_EQ(exporter.counters().spans_offered, offered);
  EXPECT_EQ(receiver_.names().size(), exporter.counters().spans_exported);
  expect_identity();
}

}  // namespace
}  // namespace zerospan::batch
