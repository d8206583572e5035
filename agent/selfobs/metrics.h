// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The agent's own metrics, in Prometheus' model and text format (version 0.0.4). Pull only: the hot
// paths bump plain counters of their own, and collectors turn snapshots of those into samples when
// somebody scrapes.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace zerospan::selfobs {

using Labels = std::vector<std::pair<std::string, std::string>>;

// counts[i] is how many values were <= bounds[i] and above the bound before; the last entry of
// counts, one more than there are bounds, is the rest.
struct HistogramValue {
  std::vector<double> bounds;
  std::vector<uint64_t> counts;
  double sum = 0;
};

// A histogram that a hot path may bump: fixed buckets, relaxed atomics, any thread.
class Histogram {
 public:
  // `bounds` ascending.
  explicit Histogram(std::span<const double> bounds);
  void observe(double value);
  // Buckets and sum may be from slightly different moments.
  [[nodiscard]] HistogramValue value() const;

 private:
  std::vector<double> bounds_;
  std::vector<std::atomic<uint64_t>> counts_;
  std::atomic<double> sum_{0};
};

// Where a collector puts its samples. Names are whole, start with zerospan_, follow Prometheus'
// naming rules (base units; a counter ends in _total, nothing else does). Samples of one name may
// come in any order, with the same kind and each with labels of its own. A sample that breaks these
// rules is left out and counted in zerospan_metrics_rejected_total.
class Samples {
 public:
  Samples();
  ~Samples();
  Samples(const Samples&) = delete;
  Samples& operator=(const Samples&) = delete;

  void counter(std::string_view name, std::string_view help, double value, Labels labels = {});
  void gauge(std::string_view name, std::string_view help, double value, Labels labels = {});
  void histogram(std::string_view name, std::string_view help, const HistogramValue& value,
                 Labels labels = {});

 private:
  friend class Metrics;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The registry. Thread-safe. Collectors run one at a time, on the thread that renders; what they
// refer to must outlive this object or the server that renders it.
class Metrics {
 public:
  using Collector = std::function<void(Samples&)>;
  void add(Collector collector);
  // The text exposition of all samples now.
  [[nodiscard]] std::string render();

 private:
  std::mutex mutex_;
  std::vector<Collector> collectors_;
  uint64_t rejected_ = 0;
};

// A collector for this process: zerospan_process_resident_memory_bytes,
// zerospan_process_cpu_seconds_total, zerospan_process_open_fds, zerospan_process_threads.
void collect_process(Samples& samples);

}  // namespace zerospan::selfobs
