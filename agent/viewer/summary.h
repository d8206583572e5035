// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What a session saw, per operation: count, errors, quantiles of the duration.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/model/span.h"
#include "agent/viewer/terminal.h"

namespace zerospan::viewer {

// Durations in buckets of 1/32 of their power of two, so that a quantile (a bucket's middle) is
// within 1.6 % of the true one. Fixed size (5 KiB); beyond 2^44 ns (4.9 hours) all is one bucket,
// but the largest value is exact.
class DurationHistogram {
 public:
  void record(uint64_t ns);
  // The value below or at which the share `q` (0..1) of the recorded ones lies; 0 if there are
  // none.
  [[nodiscard]] uint64_t quantile(double q) const;
  [[nodiscard]] uint64_t count() const { return count_; }
  [[nodiscard]] uint64_t max() const { return max_; }

 private:
  static constexpr size_t kBuckets = 32 + 39 * 32;  // 0..31 exactly, then 39 powers of two
  std::array<uint32_t, kBuckets> buckets_{};
  uint64_t count_ = 0;
  uint64_t min_ = UINT64_MAX;
  uint64_t max_ = 0;
};

// One thread. An operation is service, kind, and the span's name, to which clients add where their
// calls went.
class Summary {
 public:
  // Operations beyond the bound are counted together as "(other)".
  explicit Summary(size_t max_operations = 200) : max_operations_(max_operations) {}

  void add(const model::Span& span);

  [[nodiscard]] uint64_t spans() const { return spans_; }

  // A table, the most frequent operations first, and a line that tells what was lost: `losses` are
  // counters by name, those that are 0 are left out; and how many `health_checks` no span was made
  // of. Ends with a newline.
  [[nodiscard]] std::string render(const Terminal& terminal,
                                   const std::vector<std::pair<std::string, uint64_t>>& losses,
                                   uint64_t health_checks = 0) const;

 private:
  struct Key {
    std::string service;
    model::SpanKind kind;
    std::string operation;
    auto operator<=>(const Key&) const = default;
  };
  struct Operation {
    uint64_t errors = 0;
    DurationHistogram durations;
  };

  size_t max_operations_;
  std::map<Key, Operation> operations_;
  Operation other_;
  uint64_t spans_ = 0;
};

}  // namespace zerospan::viewer
