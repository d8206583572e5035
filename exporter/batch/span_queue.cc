// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "exporter/batch/span_queue.h"

#include <iterator>
#include <utility>

namespace zerospan::batch {

void SpanQueue::push(std::vector<model::Span>& spans) {
  const size_t room = capacity_ > size_ ? capacity_ - size_ : 0;
  if (room == 0 || spans.empty()) {
    return;
  }
  if (spans.size() <= room) {
    size_ += spans.size();
    chunks_.push_back(std::exchange(spans, {}));
    return;
  }
  const auto split = spans.begin() + static_cast<std::ptrdiff_t>(room);
  chunks_.emplace_back(std::make_move_iterator(spans.begin()), std::make_move_iterator(split));
  spans.erase(spans.begin(), split);
  size_ += room;
}

std::vector<std::vector<model::Span>> SpanQueue::take(size_t wanted) {
  std::vector<std::vector<model::Span>> taken;
  size_t count = 0;
  while (count < wanted && !chunks_.empty()) {
    count += chunks_.front().size();
    taken.push_back(std::move(chunks_.front()));
    chunks_.pop_front();
  }
  size_ -= count;
  return taken;
}

void SpanQueue::put_back(std::vector<model::Span>&& spans) {
  size_ += spans.size();
  chunks_.push_front(std::move(spans));
}

}  // namespace zerospan::batch
