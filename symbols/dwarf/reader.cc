// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/dwarf/reader.h"

#include <algorithm>
#include <cstring>

#include "symbols/elf/cursor.h"

namespace zerospan::symbols::dwarf {

size_t Reader::available(size_t count) {
  if (filled_ - at_ < count) {
    std::memmove(buffer_.data(), buffer_.data() + at_, filled_ - at_);
    before_ += at_;
    filled_ -= at_;
    at_ = 0;
    filled_ += stream_.read(std::span(buffer_).subspan(filled_));
  }
  return std::min<uint64_t>(filled_ - at_, limit_ - position());
}

uint64_t Reader::number(size_t bytes) {
  if (failed_ || available(bytes) < bytes) {
    failed_ = true;
    return 0;
  }
  uint64_t value = 0;
  std::memcpy(&value, buffer_.data() + at_, bytes);
  at_ += bytes;
  return value;
}

uint64_t Reader::uleb() {
  constexpr size_t kMaxBytes = 10;
  const size_t there = available(kMaxBytes);
  if (failed_) {
    return 0;
  }
  elf::Cursor cursor{std::span(buffer_).subspan(at_, std::min(there, kMaxBytes))};
  const uint64_t value = cursor.uleb();
  failed_ = cursor.failed();
  at_ += cursor.position();
  return value;
}

void Reader::skip(uint64_t count) {
  while (!failed_ && count > 0) {
    const uint64_t step = std::min<uint64_t>(available(1), count);
    failed_ = step == 0;
    at_ += step;
    count -= step;
  }
}

std::string_view Reader::string() {
  const size_t there = available(kMaxString);
  if (failed_) {
    return {};
  }
  const std::string_view text = elf::as_text(std::span(buffer_).subspan(at_, there));
  size_t end = text.find('\0');
  if (end != std::string_view::npos) {
    at_ += end + 1;
    return text.substr(0, end);
  }
  // No name that is looked for is so long: it is only passed.
  while (!failed_ && end == std::string_view::npos) {
    const size_t more = available(1);
    end = elf::as_text(std::span(buffer_).subspan(at_, more)).find('\0');
    at_ += end == std::string_view::npos ? more : end + 1;
    failed_ = more == 0;
  }
  return {};
}

}  // namespace zerospan::symbols::dwarf
