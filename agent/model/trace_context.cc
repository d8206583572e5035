// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/model/trace_context.h"

namespace zerospan::model {

namespace {

template <size_t kSize>
std::string hex(const std::array<uint8_t, kSize>& bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out(kSize * 2, '0');
  for (size_t i = 0; i < kSize; ++i) {
    out[2 * i] = kDigits[bytes[i] >> 4U];
    out[2 * i + 1] = kDigits[bytes[i] & 0xfU];
  }
  return out;
}

}  // namespace

SpanId SpanId::from_u64(uint64_t value) {
  SpanId id;
  for (size_t i = 0; i < id.bytes.size(); ++i) {
    id.bytes[i] = static_cast<uint8_t>(value >> (56U - 8U * i));
  }
  return id;
}

uint64_t SpanId::to_u64() const {
  uint64_t value = 0;
  for (uint8_t byte : bytes) {
    value = value << 8U | byte;
  }
  return value;
}

std::string to_hex(const TraceId& id) {
  return hex(id.bytes);
}
std::string to_hex(const SpanId& id) {
  return hex(id.bytes);
}

}  // namespace zerospan::model
