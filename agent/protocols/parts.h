// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// A message of which only parts were captured, by where they lie in it. Bounded: what is too much
// is left out. Owned by one connection's parser.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace zerospan::protocols {

class Parts {
 public:
  // In order.
  void add(uint64_t at, std::string_view bytes) {
    bytes = bytes.substr(0, kMostBytes - bytes_.size());
    if (bytes.empty()) {
      return;
    }
    if (!parts_.empty() && parts_.back().at + parts_.back().size == at) {
      parts_.back().size += bytes.size();
    } else if (parts_.size() < kMostParts) {
      parts_.push_back({at, bytes_.size(), bytes.size()});
    } else {
      return;
    }
    bytes_.append(bytes);
  }
  void clear() {
    bytes_.clear();
    parts_.clear();
  }
  // From `at` to the end of its part; empty if that byte is not there.
  [[nodiscard]] std::string_view from(uint64_t at) const {
    const auto after = std::upper_bound(parts_.begin(), parts_.end(), at,
                                        [](uint64_t value, const Part& p) { return value < p.at; });
    if (after == parts_.begin()) {
      return {};
    }
    const Part& part = *(after - 1);
    const uint64_t inside = at - part.at;
    return inside >= part.size
               ? std::string_view()
               : std::string_view(bytes_).substr(part.begin + inside, part.size - inside);
  }
  [[nodiscard]] size_t memory_bytes() const {
    return bytes_.capacity() + parts_.capacity() * sizeof(Part);
  }

 private:
  static constexpr size_t kMostBytes = 16 * 1024;
  static constexpr size_t kMostParts = 64;
  struct Part {
    uint64_t at;   // in the message
    size_t begin;  // in bytes_
    size_t size;
  };

  std::string bytes_;
  std::vector<Part> parts_;
};

}  // namespace zerospan::protocols
