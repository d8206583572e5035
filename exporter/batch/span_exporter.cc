// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "exporter/batch/span_exporter.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

namespace zerospan::batch {

SpanExporter::SpanExporter(BatchOptions options, std::unique_ptr<Transport> transport)
    : options_(std::move(options)),
      protobuf_encoder_(options_.scope),
      json_encoder_(options_.scope),
      // The seed only has to differ between agents, so that they do not retry in step.
      schedule_(options_.retry, std::random_device{}()),
      transport_(std::move(transport)),
      queue_(options_.max_queue_spans),
      thread_([this] { run(); }) {}

SpanExporter::~SpanExporter() {
  shutdown(options_.shutdown_timeout);
}

void SpanExporter::offer(std::vector<model::Span>&& spans) {
  std::vector<model::Span> rest = std::move(spans);  // destroyed after the lock is given up
  if (rest.empty()) {
    return;
  }
  bool wake = false;
  {
    const std::scoped_lock lock(mutex_);
    const size_t count = rest.size();
    const size_t before = queue_.size();
    offered_ += count;
    counters_.spans_offered += count;
    if (!stop_deadline_) {
      queue_.push(rest);
    }
    if (!rest.empty()) {
      settled_spans_ += rest.size();
      counters_.dropped(stop_deadline_ ? DropReason::kShutdownDeadline : DropReason::kQueueFull) +=
          rest.size();
    }
    const size_t after = queue_.size();
    wake = (before == 0 && after != 0) ||
           (before < options_.max_batch_spans && after >= options_.max_batch_spans);
  }
  if (wake) {
    wake_.notify_one();
  }
}

bool SpanExporter::flush(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  const uint64_t target = offered_;
  flush_up_to_ = std::max(flush_up_to_, target);
  wake_.notify_one();
  return settled_.wait_for(lock, timeout, [&] { return settled_spans_ >= target; });
}

void SpanExporter::shutdown(std::chrono::milliseconds timeout) {
  const std::scoped_lock one_caller(shutdown_mutex_);
  if (!thread_.joinable()) {
    return;
  }
  {
    std::unique_lock lock(mutex_);
    const auto deadline = Clock::now() + timeout;
    stop_deadline_ = deadline;
    wake_.notify_one();
    settled_.wait_until(lock, deadline, [this] { return thread_ended_; });
  }
  {
    const std::scoped_lock lock(mutex_);
    transport_->cancel();
    if (sending_) {
      sending_->cancel();
    }
  }
  thread_.join();
}

void SpanExporter::replace_transport(std::unique_ptr<Transport> transport) {
  {
    const std::scoped_lock lock(mutex_);
    transport_ = std::move(transport);
  }
  wake_.notify_one();
}

bool SpanExporter::replaced(const Transport& transport) const {
  const std::scoped_lock lock(mutex_);
  return transport_.get() != &transport;
}

size_t SpanExporter::queued_spans() const {
  const std::scoped_lock lock(mutex_);
  return queue_.size();
}

std::optional<SpanExporter::Clock::time_point> SpanExporter::stop_deadline() const {
  const std::scoped_lock lock(mutex_);
  return stop_deadline_;
}

void SpanExporter::run() {
  for (;;) {
    const std::vector<model::Span> batch = next_batch();
    if (batch.empty()) {
      break;
    }
    export_spans(batch);
  }
  {
    const std::scoped_lock lock(mutex_);
    thread_ended_ = true;
  }
  settled_.notify_all();
}

// Empty: shutdown was asked for, and nothing is queued any more.
std::vector<model::Span> SpanExporter::next_batch() {
  std::vector<std::vector<model::Span>> chunks;
  {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stop_deadline_ || !queue_.empty(); });
    if (last_batch_at_) {
      wake_.wait_until(lock, *last_batch_at_ + options_.schedule_delay, [this] {
        return stop_deadline_ || queue_.size() >= options_.max_batch_spans ||
               settled_spans_ < flush_up_to_;
      });
    }
    chunks = queue_.take(options_.max_batch_spans);
  }
  last_batch_at_ = Clock::now();

  std::vector<model::Span> batch;
  std::vector<model::Span> excess;
  for (std::vector<model::Span>& chunk : chunks) {
    const size_t room = options_.max_batch_spans - batch.size();
    if (batch.empty() && chunk.size() <= room) {
      batch = std::move(chunk);
      continue;
    }
    const auto split = chunk.begin() + static_cast<std::ptrdiff_t>(std::min(room, chunk.size()));
    batch.insert(batch.end(), std::make_move_iterator(chunk.begin()),
                 std::make_move_iterator(split));
    // Only the last chunk can have more than there is room for.
    excess.assign(std::make_move_iterator(split), std::make_move_iterator(chunk.end()));
  }
  if (!excess.empty()) {
    const std::scoped_lock lock(mutex_);
    queue_.put_back(std::move(excess));
  }
  return batch;
}

void SpanExporter::export_spans(std::span<const model::Span> spans) {
  for (;;) {
    {
      const std::scoped_lock lock(mutex_);
      sending_ = transport_;
    }
    Transport& transport = *sending_;  // which no other thread changes
    const std::string_view request = transport.encoding() == otlp::Encoding::kJson
                                         ? json_encoder_.encode(spans)
                                         : protobuf_encoder_.encode(spans);
    if (request.size() > options_.max_request_bytes && spans.size() > 1) {
      export_spans(spans.first(spans.size() / 2));
      export_spans(spans.subspan(spans.size() / 2));
      return;
    }
    if (send(transport, request, spans.size())) {
      return;
    }
    schedule_.on_answer();  // the new receiver has not failed yet
  }
}

void SpanExporter::wait_for_schedule(const Transport& transport) {
  std::unique_lock lock(mutex_);
  wake_.wait_until(lock, std::min(schedule_.not_before(), schedule_.expires()),
                   [&] { return stop_deadline_.has_value() || transport_.get() != &transport; });
}

bool SpanExporter::send(Transport& transport, std::string_view request, size_t span_count) {
  schedule_.begin_request(Clock::now());
  for (bool repeated = false;; repeated = true) {
    wait_for_schedule(transport);
    if (replaced(transport)) {
      return false;
    }
    const auto stop = stop_deadline();
    const auto now = Clock::now();
    if (stop && (peer_away_at_stop_ || now >= *stop)) {
      settle(0, span_count, DropReason::kShutdownDeadline);
      return true;
    }
    if (!stop && now < schedule_.not_before()) {  // the request expired during the wait
      settle(0, span_count, DropReason::kRetryExhausted);
      return true;
    }
    auto deadline = now + options_.send_timeout;
    if (stop) {
      deadline = std::min(deadline, *stop);
    }
    ++counters_.requests;
    counters_.retries += repeated ? 1 : 0;
    const SendOutcome outcome = transport.send(request, deadline);
    counters_.send_ns +=
        static_cast<uint64_t>(std::chrono::nanoseconds(Clock::now() - now).count());
    switch (outcome.status) {
      case SendStatus::kAccepted: {
        schedule_.on_answer();
        counters_.bytes += request.size();
        const size_t rejected = std::min<uint64_t>(outcome.rejected_spans, span_count);
        settle(span_count - rejected, rejected, DropReason::kRejectedByPeer);
        report(true, outcome.message);
        return true;
      }
      case SendStatus::kRefused:
        schedule_.on_answer();
        settle(0, span_count, DropReason::kExportRefused);
        report(false, outcome.message);
        return true;
      case SendStatus::kRetry:
        report(false, outcome.message);
        if (stop) {
          peer_away_at_stop_ = true;
        } else if (!schedule_.on_failure(Clock::now(), outcome.retry_after)) {
          settle(0, span_count, DropReason::kRetryExhausted);
          return true;
        }
        break;
    }
  }
}

void SpanExporter::settle(size_t exported, size_t dropped, DropReason reason) {
  {
    const std::scoped_lock lock(mutex_);
    settled_spans_ += exported + dropped;
    counters_.spans_exported += exported;
    counters_.dropped(reason) += dropped;
  }
  settled_.notify_all();
}

void SpanExporter::report(bool healthy, const std::string& message) {
  const bool changed = healthy != healthy_;
  healthy_ = healthy;
  if (options_.on_report && (changed || (healthy && !message.empty()))) {
    options_.on_report(healthy, message);
  }
}

}  // namespace zerospan::batch
