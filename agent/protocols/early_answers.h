// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// On a client another thread may read an answer before the kernel has reported the send that asked
// for it: answers that come while nothing was asked are kept until the next request, whose
// departure tells the order. Owned by one connection's parser; bounded.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "agent/model/connection.h"

namespace zerospan::protocols {

class EarlyAnswers {
 public:
  explicit EarlyAnswers(size_t max_bytes) : max_bytes_(max_bytes) {}

  // False: there is no room, nothing was kept.
  bool keep(const model::Chunk& chunk) {
    const size_t bytes = chunk.head.size() + chunk.tail.size();
    if (bytes_ + bytes > max_bytes_ || kept_.size() >= kMaxCount) {
      return false;
    }
    kept_.push_back({chunk, std::string(chunk.head), std::string(chunk.tail)});
    bytes_ += bytes;
    return true;
  }
  [[nodiscard]] bool empty() const { return kept_.empty(); }
  // Up to where the answers' direction was worked on, if there are any: what a later record tells
  // of it beyond that is not missing.
  [[nodiscard]] uint64_t offset_or(uint64_t offset) const {
    return kept_.empty() ? offset : std::min(offset, kept_.front().chunk.offset);
  }
  [[nodiscard]] size_t memory_bytes() const { return bytes_ + kept_.capacity() * sizeof(Kept); }

  // Calls `take(chunk)` for those that were recorded before `time_ns`.
  template <typename Take>
  void release(uint64_t time_ns, Take&& take) {
    size_t taken = 0;
    while (taken < kept_.size() && kept_[taken].chunk.time_ns < time_ns) {
      Kept kept = std::move(kept_[taken++]);
      bytes_ -= kept.head.size() + kept.tail.size();
      kept.chunk.head = kept.head;
      kept.chunk.tail = kept.tail;
      take(kept.chunk);
    }
    kept_.erase(kept_.begin(), kept_.begin() + static_cast<ptrdiff_t>(taken));
  }

 private:
  static constexpr size_t kMaxCount = 64;
  struct Kept {
    model::Chunk chunk;
    std::string head;
    std::string tail;
  };

  size_t max_bytes_;
  size_t bytes_ = 0;
  std::vector<Kept> kept_;
};

}  // namespace zerospan::protocols
