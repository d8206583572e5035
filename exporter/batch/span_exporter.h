// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The end of the pipeline: a bounded queue of finished spans, and one thread that batches, encodes
// and sends them, retries what may work later, and accounts for every span.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "agent/model/span.h"
#include "exporter/batch/counters.h"
#include "exporter/batch/retry.h"
#include "exporter/batch/span_queue.h"
#include "exporter/batch/transport.h"
#include "exporter/otlp/grouping.h"
#include "exporter/otlp/json_encoder.h"
#include "exporter/otlp/protobuf_encoder.h"

namespace zerospan::batch {

struct BatchOptions {
  size_t max_queue_spans = 32768;
  size_t max_batch_spans = 512;
  // The least time from one request's start to the next while fewer than max_batch_spans wait. The
  // first span after a pause is sent at once.
  std::chrono::milliseconds schedule_delay{100};
  std::chrono::milliseconds send_timeout{10'000};
  // A larger request is sent in halves; receivers refuse more than 4 MiB (gRPC's default).
  size_t max_request_bytes = 3U << 20U;
  std::chrono::milliseconds shutdown_timeout{800};  // for the destructor
  RetryOptions retry;
  otlp::Scope scope;
  // Called by the exporter's thread when exporting begins to fail (healthy = false, with the
  // reason) and when it works again; also, with healthy = true and a reason, when the receiver
  // rejected spans or warned. Must not call back into the exporter. May be empty.
  std::function<void(bool healthy, const std::string& message)> on_report;
};

// Created and destroyed by one thread; every other member function is safe from any thread.
class SpanExporter {
 public:
  SpanExporter(BatchOptions options, std::unique_ptr<Transport> transport);
  ~SpanExporter();  // shutdown(BatchOptions::shutdown_timeout), unless that was done
  SpanExporter(SpanExporter&&) = delete;
  SpanExporter& operator=(SpanExporter&&) = delete;

  // Never waits for the receiver. What does not fit the queue is dropped and counted.
  void offer(std::vector<model::Span>&& spans);
  // Waits until all that was offered before is exported or dropped. False: the time passed first.
  bool flush(std::chrono::milliseconds timeout);
  // Sends what is queued, without waiting between retries, for `timeout` at most; drops and counts
  // the rest. Spans offered from now on are dropped. A request that is cut off here counts as
  // dropped, though the receiver may have taken it.
  void shutdown(std::chrono::milliseconds timeout);

  // Another receiver. A request that is on its way gets its answer; what is queued, and what is to
  // be sent again, goes to the new one.
  void replace_transport(std::unique_ptr<Transport> transport);

  [[nodiscard]] const ExportCounters& counters() const { return counters_; }
  [[nodiscard]] size_t queued_spans() const;  // waiting, without the request that is being sent

 private:
  using Clock = std::chrono::steady_clock;

  void run();
  [[nodiscard]] std::vector<model::Span> next_batch();
  void export_spans(std::span<const model::Span> spans);
  // False: the transport was replaced before the receiver took the request, or refused it for good.
  bool send(Transport& transport, std::string_view request, size_t span_count);
  // Until the schedule allows a send; cut short by shutdown, and by another transport.
  void wait_for_schedule(const Transport& transport);
  [[nodiscard]] bool replaced(const Transport& transport) const;
  // Empty while the agent goes on.
  [[nodiscard]] std::optional<Clock::time_point> stop_deadline() const;
  void settle(size_t exported, size_t dropped, DropReason reason);
  void report(bool healthy, const std::string& message);

  const BatchOptions options_;
  otlp::ProtobufEncoder protobuf_encoder_;
  otlp::JsonEncoder json_encoder_;
  ExportCounters counters_;

  // The exporter's thread only.
  RetrySchedule schedule_;
  bool peer_away_at_stop_ = false;  // one attempt failed during shutdown: no more of them
  bool healthy_ = true;
  std::optional<Clock::time_point> last_batch_at_;

  mutable std::mutex mutex_;
  std::shared_ptr<Transport> transport_;  // under the mutex
  std::shared_ptr<Transport> sending_;    // in use by the exporter's thread; the same
  std::condition_variable wake_;          // for the exporter's thread
  std::condition_variable settled_;       // for flush and shutdown
  SpanQueue queue_;
  uint64_t offered_ = 0;        // as the counter; under the mutex, for flush
  uint64_t settled_spans_ = 0;  // exported or dropped, of offered_
  uint64_t flush_up_to_ = 0;    // no schedule delay while settled_spans_ is below
  std::optional<Clock::time_point> stop_deadline_;
  bool thread_ended_ = false;

  std::mutex shutdown_mutex_;  // one caller joins
  std::thread thread_;
};

}  // namespace zerospan::batch
