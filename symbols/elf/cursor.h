// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Little-endian numbers, LEB128 and strings from foreign bytes, checked against their end. After
// the first read beyond it the cursor has failed for good, and gives zeros.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace zerospan::symbols::elf {

static_assert(std::endian::native == std::endian::little, "the files that are read are");

// T is trivially copyable; `bytes` has at least sizeof(T).
template <typename T>
[[nodiscard]] T load(std::span<const std::byte> bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

[[nodiscard]] inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class Cursor {
 public:
  explicit Cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] bool at_end() const { return failed_ || at_ == bytes_.size(); }
  [[nodiscard]] size_t position() const { return at_; }

  template <typename T>
  [[nodiscard]] T fixed() {
    const std::span<const std::byte> taken = take(sizeof(T));
    return failed_ ? T{} : load<T>(taken);
  }

  // DWARF 5 section 7.6. Bits beyond the 64th are dropped; more than ten bytes are no number.
  [[nodiscard]] uint64_t uleb() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      const auto byte = fixed<uint8_t>();
      if (shift < 64) {
        value |= uint64_t{byte & 0x7fU} << shift;
      }
      if ((byte & 0x80U) == 0) {
        return failed_ ? 0 : value;
      }
    }
    failed_ = true;
    return 0;
  }

  // The next `length` bytes; empty after failure.
  std::span<const std::byte> take(uint64_t length) {
    if (failed_ || length > bytes_.size() - at_) {
      failed_ = true;
      return {};
    }
    const std::span<const std::byte> taken = bytes_.subspan(at_, length);
    at_ += length;
    return taken;
  }

 private:
  std::span<const std::byte> bytes_;
  size_t at_ = 0;
  bool failed_ = false;
};

}  // namespace zerospan::symbols::elf
