// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/selfobs/metrics.h"

#include <dirent.h>
#include <prometheus/check_names.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>

namespace zerospan::selfobs {

Histogram::Histogram(std::span<const double> bounds)
    : bounds_(bounds.begin(), bounds.end()), counts_(bounds.size() + 1) {}

void Histogram::observe(double value) {
  const auto bound = std::lower_bound(bounds_.begin(), bounds_.end(), value);
  const auto index = static_cast<size_t>(bound - bounds_.begin());
  counts_[index].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

HistogramValue Histogram::value() const {
  HistogramValue out;
  out.bounds = bounds_;
  out.counts.reserve(counts_.size());
  for (const auto& count : counts_) {
    out.counts.push_back(count.load(std::memory_order_relaxed));
  }
  out.sum = sum_.load(std::memory_order_relaxed);
  return out;
}

struct Samples::Impl {
  // Ordered, so that the page is too.
  std::map<std::string, prometheus::MetricFamily, std::less<>> families;
  uint64_t rejected = 0;

  prometheus::ClientMetric* add(std::string_view name, std::string_view help,
                                prometheus::MetricType type, Labels labels) {
    const bool is_counter = type == prometheus::MetricType::Counter;
    if (!name.starts_with("zerospan_") || name.ends_with("_total") != is_counter ||
        !prometheus::CheckMetricName(std::string(name))) {
      ++rejected;
      return nullptr;
    }
    for (const auto& [label, value] : labels) {
      if (!prometheus::CheckLabelName(label)) {
        ++rejected;
        return nullptr;
      }
    }
    auto found = families.find(name);
    if (found == families.end()) {
      prometheus::MetricFamily family;
      family.name = name;
      family.help = help;
      family.type = type;
      found = families.emplace(std::string(name), std::move(family)).first;
    } else if (found->second.type != type) {
      ++rejected;
      return nullptr;
    }
    auto& metric = found->second.metric.emplace_back();
    metric.label.reserve(labels.size());
    for (auto& [label, value] : labels) {
      metric.label.push_back({std::move(label), std::move(value)});
    }
    return &metric;
  }
};

Samples::Samples() : impl_(std::make_unique<Impl>()) {}
Samples::~Samples() = default;

void Samples::counter(std::string_view name, std::string_view help, double value, Labels labels) {
  if (auto* metric = impl_->add(name, help, prometheus::MetricType::Counter, std::move(labels))) {
    metric->counter.value = value;
  }
}

void Samples::gauge(std::string_view name, std::string_view help, double value, Labels labels) {
  if (auto* metric = impl_->add(name, help, prometheus::MetricType::Gauge, std::move(labels))) {
    metric->gauge.value = value;
  }
}

void Samples::histogram(std::string_view name, std::string_view help, const HistogramValue& value,
                        Labels labels) {
  if (value.counts.size() != value.bounds.size() + 1) {
    ++impl_->rejected;
    return;
  }
  auto* metric = impl_->add(name, help, prometheus::MetricType::Histogram, std::move(labels));
  if (metric == nullptr) {
    return;
  }
  uint64_t cumulative = 0;
  for (size_t i = 0; i < value.bounds.size(); ++i) {
    cumulative += value.counts[i];
    metric->histogram.bucket.push_back({cumulative, value.bounds[i]});
  }
  // The serializer writes the +Inf bucket from the count.
  metric->histogram.sample_count = cumulative + value.counts.back();
  metric->histogram.sample_sum = value.sum;
}

void Metrics::add(Collector collector) {
  const std::lock_guard lock(mutex_);
  collectors_.push_back(std::move(collector));
}

std::string Metrics::render() {
  const std::lock_guard lock(mutex_);
  Samples samples;
  for (const Collector& collector : collectors_) {
    collector(samples);
  }
  rejected_ += samples.impl_->rejected;
  samples.counter("zerospan_metrics_rejected_total",
                  "Own metrics' samples left out because their name, kind or labels are wrong.",
                  static_cast<double>(rejected_));
  std::vector<prometheus::MetricFamily> families;
  families.reserve(samples.impl_->families.size());
  for (auto& [name, family] : samples.impl_->families) {
    families.push_back(std::move(family));
  }
  return prometheus::TextSerializer().Serialize(families);
}

namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

size_t directory_entries(const char* path) {
  DIR* const directory = ::opendir(path);
  if (directory == nullptr) {
    return 0;
  }
  size_t count = 0;
  while (const dirent* entry = ::readdir(directory)) {
    count += entry->d_name[0] != '.' ? 1 : 0;
  }
  ::closedir(directory);
  return count;
}

}  // namespace

void collect_process(Samples& samples) {
  uint64_t pages_total = 0;
  uint64_t pages_resident = 0;
  std::ifstream("/proc/self/statm") >> pages_total >> pages_resident;
  samples.gauge("zerospan_process_resident_memory_bytes", "Resident memory of the agent.",
                static_cast<double>(pages_resident) * static_cast<double>(::sysconf(_SC_PAGESIZE)));
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  samples.counter("zerospan_process_cpu_seconds_total", "CPU time used by the agent.",
                  seconds(usage.ru_utime) + seconds(usage.ru_stime));
  // The directory that is being listed is one of the descriptors.
  const size_t descriptors = directory_entries("/proc/self/fd");
  samples.gauge("zerospan_process_open_fds", "File descriptors that the agent has open.",
                static_cast<double>(descriptors > 0 ? descriptors - 1 : 0));
  samples.gauge("zerospan_process_threads", "Threads of the agent.",
                static_cast<double>(directory_entries("/proc/self/task")));
}

}  // namespace zerospan::selfobs
