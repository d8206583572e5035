// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Reads fields in network byte order from the beginning of bytes. Pure, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace zerospan::protocols {

// After what is not there ok() is false, and all that is read is zero and empty.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : left_(bytes) {}
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool at_end() const { return left_.empty(); }
  [[nodiscard]] size_t left() const { return left_.size(); }
  uint64_t read(size_t bytes) {
    uint64_t value = 0;
    for (const char byte : read_bytes(bytes)) {
      value = value << 8U | static_cast<uint8_t>(byte);
    }
    return value;
  }
  std::string_view read_bytes(uint64_t count) {
    if (!ok_ || count > left_.size()) {
      ok_ = false;
      left_ = {};
      return {};
    }
    const std::string_view bytes = left_.substr(0, count);
    left_.remove_prefix(count);
    return bytes;
  }

 private:
  std::string_view left_;
  bool ok_ = true;
};

}  // namespace zerospan::protocols
