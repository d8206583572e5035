// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/process_view.h"

#include <algorithm>

namespace zerospan::discovery {

std::shared_ptr<const ProcessInfo> ProcessSnapshot::find(uint32_t pid) const {
  const auto& bucket = buckets_[pid % kBuckets];
  if (bucket != nullptr) {
    for (const auto& info : *bucket) {
      if (info->pid == pid) {
        return info;
      }
    }
  }
  return nullptr;
}

void ProcessSnapshot::put(std::shared_ptr<const ProcessInfo> info) {
  auto& bucket = buckets_[info->pid % kBuckets];
  auto changed = bucket == nullptr ? std::make_shared<Bucket>() : std::make_shared<Bucket>(*bucket);
  const auto found = std::find_if(changed->begin(), changed->end(),
                                  [&](const auto& other) { return other->pid == info->pid; });
  if (found != changed->end()) {
    *found = std::move(info);
  } else {
    changed->push_back(std::move(info));
  }
  bucket = std::move(changed);
}

void ProcessSnapshot::remove(const ProcessInfo& info) {
  auto& bucket = buckets_[info.pid % kBuckets];
  if (bucket == nullptr) {
    return;
  }
  auto changed = std::make_shared<Bucket>(*bucket);
  std::erase_if(*changed, [&](const auto& other) { return other.get() == &info; });
  bucket = std::move(changed);
}

size_t ProcessSnapshot::size() const {
  size_t count = 0;
  for (const auto& bucket : buckets_) {
    count += bucket == nullptr ? 0 : bucket->size();
  }
  return count;
}

std::vector<std::shared_ptr<const ProcessInfo>> ProcessSnapshot::all() const {
  std::vector<std::shared_ptr<const ProcessInfo>> out;
  for (const auto& bucket : buckets_) {
    if (bucket != nullptr) {
      out.insert(out.end(), bucket->begin(), bucket->end());
    }
  }
  return out;
}

void ProcessView::publish(std::shared_ptr<const ProcessSnapshot> snapshot) {
  {
    const std::lock_guard lock(mutex_);
    snapshot_.swap(snapshot);
  }
  generation_.fetch_add(1, std::memory_order_release);
}

std::shared_ptr<const ProcessSnapshot> ProcessView::snapshot() const {
  const std::lock_guard lock(mutex_);
  return snapshot_;
}

const ProcessSnapshot& ProcessReader::snapshot() {
  // The generation first: if a change comes in between, the next look-up sees it.
  const uint64_t generation = view_->generation();
  if (generation != generation_) {
    generation_ = generation;
    snapshot_ = view_->snapshot();
  }
  return *snapshot_;
}

std::shared_ptr<const ProcessInfo> ProcessReader::lookup(uint32_t pid) {
  return snapshot().find(pid);
}

}  // namespace zerospan::discovery
