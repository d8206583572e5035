// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/model/trace_context.h"

#include <endian.h>

#include <cstring>

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

void store(uint64_t value, uint8_t* to) {
  value = htobe64(value);
  std::memcpy(to, &value, sizeof(value));
}

uint64_t load(const uint8_t* from) {
  uint64_t value = 0;
  std::memcpy(&value, from, sizeof(value));
  return be64toh(value);
}

}  // namespace

TraceId TraceId::from_u64(uint64_t high, uint64_t low) {
  TraceId id;
  store(high, id.bytes.data());
  store(low, id.bytes.data() + sizeof(high));
  return id;
}

uint64_t TraceId::low_u64() const {
  return load(bytes.data() + sizeof(uint64_t));
}

SpanId SpanId::from_u64(uint64_t value) {
  SpanId id;
  store(value, id.bytes.data());
  return id;
}

uint64_t SpanId::to_u64() const {
  return load(bytes.data());
}

std::string to_hex(const TraceId& id) {
  return hex(id.bytes);
}
std::string to_hex(const SpanId& id) {
  return hex(id.bytes);
}

}  // namespace zerospan::model
