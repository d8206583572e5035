// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// A bounded queue of spans that takes and gives whole vectors, so that what happens under its
// owner's lock does not grow with the number of spans. Not synchronised.
#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include "agent/model/span.h"

namespace zerospan::batch {

class SpanQueue {
 public:
  explicit SpanQueue(size_t capacity) : capacity_(capacity) {}

  // Takes what fits, from the front of `spans`; what is left in it afterwards did not fit.
  void push(std::vector<model::Span>& spans);
  // Gives chunks, oldest first, until they hold at least `wanted` spans or none is left. They may
  // hold more: give the rest back with put_back.
  [[nodiscard]] std::vector<std::vector<model::Span>> take(size_t wanted);
  // Spans of the last take, to the front again. Never refused.
  void put_back(std::vector<model::Span>&& spans);
  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

 private:
  size_t capacity_;
  size_t size_ = 0;
  std::deque<std::vector<model::Span>> chunks_;
};

}  // namespace zerospan::batch
