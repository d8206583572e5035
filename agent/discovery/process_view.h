// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The selected processes as the workers see them: an immutable snapshot behind a pointer.
//
// ProcessTable (the watcher's thread) publishes; each worker has a ProcessReader of its own. A
// look-up does not wait: only after a change does the reader take the new snapshot's pointer, under
// a lock that is held for a copy of that pointer.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "agent/discovery/process_info.h"

namespace zerospan::discovery {

// Persistent: a changed copy shares all buckets but one, so that a change costs the same with a
// hundred processes and with ten thousand.
class ProcessSnapshot {
 public:
  // nullptr if there is none.
  [[nodiscard]] std::shared_ptr<const ProcessInfo> find(uint32_t pid) const;
  void put(std::shared_ptr<const ProcessInfo> info);
  // Only if it is still this very one.
  void remove(const ProcessInfo& info);
  [[nodiscard]] size_t size() const;
  [[nodiscard]] std::vector<std::shared_ptr<const ProcessInfo>> all() const;

 private:
  using Bucket = std::vector<std::shared_ptr<const ProcessInfo>>;  // a pid comes once
  static constexpr size_t kBuckets = 64;
  std::array<std::shared_ptr<const Bucket>, kBuckets> buckets_;
};

class ProcessView {
 public:
  void publish(std::shared_ptr<const ProcessSnapshot> snapshot);
  [[nodiscard]] std::shared_ptr<const ProcessSnapshot> snapshot() const;
  [[nodiscard]] uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const ProcessSnapshot> snapshot_ = std::make_shared<ProcessSnapshot>();
  std::atomic<uint64_t> generation_{0};
};

// One per thread.
class ProcessReader {
 public:
  explicit ProcessReader(std::shared_ptr<const ProcessView> view)
      : view_(std::move(view)), generation_(view_->generation()), snapshot_(view_->snapshot()) {}

  // A selected process, or one that ended a moment ago; nullptr if it is neither.
  [[nodiscard]] std::shared_ptr<const ProcessInfo> lookup(uint32_t pid);
  [[nodiscard]] const ProcessSnapshot& snapshot();

 private:
  std::shared_ptr<const ProcessView> view_;
  uint64_t generation_;
  std::shared_ptr<const ProcessSnapshot> snapshot_;
};

}  // namespace zerospan::discovery
