// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/kafka/reader.h"

#include <algorithm>

namespace zerospan::protocols::kafka {
namespace {

constexpr uint64_t kMostElements = 65536;  // of an array; so that none can keep the reader busy

}  // namespace

void Reader::skip(uint64_t count) {
  if (count > left()) {
    ok_ = false;
    return;
  }
  at_ += count;
}

Reader Reader::part(uint64_t count) const {
  Reader inner = *this;
  if (count > left()) {
    inner.ok_ = false;
  } else {
    inner.end_ = at_ + count;
  }
  return inner;
}

std::string_view Reader::read_bytes(uint64_t count) {
  if (count == 0 || !ok_) {
    return {};
  }
  const std::string_view here = count > left() ? std::string_view() : parts_.from(at_);
  if (here.size() < count) {
    ok_ = false;
    return {};
  }
  at_ += count;
  return here.substr(0, count);
}

uint64_t Reader::read_big_endian(size_t count) {
  uint64_t value = 0;
  for (const char byte : read_bytes(count)) {
    value = value << 8U | static_cast<uint8_t>(byte);
  }
  return value;
}

uint32_t Reader::read_unsigned_varint() {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 35; shift += 7) {
    const auto byte = static_cast<uint8_t>(read_int8());
    value |= uint64_t{byte & 0x7fU} << shift;
    if ((byte & 0x80U) == 0) {
      if (value > UINT32_MAX) {
        break;
      }
      return static_cast<uint32_t>(value);
    }
  }
  ok_ = false;
  return 0;
}

int64_t Reader::read_varlong() {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    const auto byte = static_cast<uint8_t>(read_int8());
    value |= uint64_t{byte & 0x7fU} << shift;
    if ((byte & 0x80U) == 0) {
      return static_cast<int64_t>(value >> 1U ^ (~(value & 1U) + 1U));
    }
  }
  ok_ = false;
  return 0;
}

std::string_view Reader::read_string(bool flexible) {
  if (flexible) {
    const uint32_t length = read_unsigned_varint();
    return read_bytes(length == 0 ? 0 : length - 1);
  }
  const int16_t length = read_int16();
  return read_bytes(length < 0 ? 0 : static_cast<uint64_t>(length));
}

uint32_t Reader::read_array(bool flexible) {
  const int64_t count = flexible ? int64_t{read_unsigned_varint()} - 1 : read_int32();
  // Each element has a byte at least.
  if (count > 0 && static_cast<uint64_t>(count) > std::min(left(), kMostElements)) {
    ok_ = false;
  }
  return !ok_ || count < 0 ? 0 : static_cast<uint32_t>(count);
}

uint64_t Reader::read_length(bool flexible) {
  const int64_t length = flexible ? int64_t{read_unsigned_varint()} - 1 : read_int32();
  return !ok_ || length < 0 ? 0 : static_cast<uint64_t>(length);
}

void Reader::skip_tags(bool flexible) {
  if (!flexible) {
    return;
  }
  for (uint32_t tags = read_unsigned_varint(); tags != 0 && ok_; --tags) {
    static_cast<void>(read_unsigned_varint());
    skip(read_unsigned_varint());
  }
}

}  // namespace zerospan::protocols::kafka
