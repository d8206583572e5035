// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The elements of a BSON document (https://bsonspec.org/spec.html), read from bytes of which parts
// may be missing. Total: any bytes, any lengths; nothing is copied. Pure, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace zerospan::bson {

enum Type : uint8_t {
  kDouble = 0x01,
  kString = 0x02,
  kDocument = 0x03,
  kArray = 0x04,
  kBinary = 0x05,
  kUndefined = 0x06,
  kObjectId = 0x07,
  kBoolean = 0x08,
  kDate = 0x09,
  kNull = 0x0a,
  kRegex = 0x0b,
  kDbPointer = 0x0c,
  kCode = 0x0d,
  kSymbol = 0x0e,
  kCodeWithScope = 0x0f,
  kInt32 = 0x10,
  kTimestamp = 0x11,
  kInt64 = 0x12,
  kDecimal128 = 0x13,
  kMaxKey = 0x7f,
  kMinKey = 0xff,
};

struct Element {
  uint8_t type = 0;
  std::string_view name;
  uint64_t value_at = 0;
  uint64_t value_size = 0;
};

enum class Step : uint8_t {
  kElement,
  kEnd,      // of the document
  kMissing,  // what comes next is not there
  kMalformed,
};

inline constexpr uint64_t kLeastDocument = 5;  // its length, and the zero behind its elements

// Little-endian; `bytes` has that many.
template <typename Number>
[[nodiscard]] inline Number read_number(std::string_view bytes) {
  Number value = 0;
  std::memcpy(&value, bytes.data(), sizeof(value));
  return value;
}

// Below, `from(at)` gives the bytes from that position on as far as they lie together; none if that
// one is missing.

// The int32 length at `at`, of something that needs `least` and has room up to `end`.
template <typename From>
[[nodiscard]] Step read_length(const From& from, uint64_t at, uint64_t end, uint64_t least,
                               uint64_t& length) {
  if (end - at < sizeof(int32_t)) {
    return Step::kMalformed;
  }
  const std::string_view bytes = from(at);
  if (bytes.size() < sizeof(int32_t)) {
    return Step::kMissing;
  }
  const auto value = read_number<int32_t>(bytes);
  if (value < 0 || static_cast<uint64_t>(value) < least ||
      static_cast<uint64_t>(value) > end - at) {
    return Step::kMalformed;
  }
  length = static_cast<uint64_t>(value);
  return Step::kElement;
}

// A document at `at` that ends before `limit`: sets `at` to its first element, and `end` to behind
// the last one, where the zero is.
template <typename From>
[[nodiscard]] Step begin_document(const From& from, uint64_t limit, uint64_t& at, uint64_t& end) {
  uint64_t length = 0;
  const Step step = read_length(from, at, limit, kLeastDocument, length);
  if (step == Step::kElement) {
    end = at + length - 1;
    at += sizeof(int32_t);
  }
  return step;
}

// The length of a string that ends with a zero, with that; 0: there is none in what is there.
[[nodiscard]] inline uint64_t c_string_size(std::string_view bytes) {
  const size_t zero = bytes.find('\0');
  return zero == std::string_view::npos ? 0 : zero + 1;
}

// How long the value of `type` at `at` is.
template <typename From>
[[nodiscard]] Step measure_value(const From& from, uint8_t type, uint64_t at, uint64_t end,
                                 uint64_t& size) {
  uint64_t more = 0;  // besides what its length says
  switch (type) {
    case kUndefined:
    case kNull:
    case kMinKey:
    case kMaxKey:
      size = 0;
      return Step::kElement;
    case kBoolean:
      size = 1;
      break;
    case kInt32:
      size = 4;
      break;
    case kDouble:
    case kDate:
    case kTimestamp:
    case kInt64:
      size = 8;
      break;
    case kObjectId:
      size = 12;
      break;
    case kDecimal128:
      size = 16;
      break;
    case kRegex: {
      const std::string_view bytes = from(at);
      const uint64_t pattern = c_string_size(bytes);
      const uint64_t options = pattern == 0 ? 0 : c_string_size(bytes.substr(pattern));
      if (options == 0) {
        return Step::kMissing;
      }
      size = pattern + options;
      break;
    }
    case kDocument:
    case kArray:
    case kCodeWithScope:
      return read_length(from, at, end, kLeastDocument, size);
    case kString:
    case kCode:
    case kSymbol:
      more = 4;
      break;
    case kBinary:
      more = 5;
      break;
    case kDbPointer:
      more = 16;
      break;
    default:
      return Step::kMalformed;
  }
  if (more != 0) {
    const Step step = read_length(from, at, end, type == kBinary ? 0 : 1, size);
    if (step != Step::kElement) {
      return step;
    }
    size += more;
  }
  return size <= end - at ? Step::kElement : Step::kMalformed;
}

// The element at `at` of a document whose elements end at `end`; sets `at` to behind it.
template <typename From>
[[nodiscard]] Step next_element(const From& from, uint64_t end, uint64_t& at, Element& out) {
  if (at >= end) {
    return Step::kEnd;
  }
  const std::string_view bytes = from(at);
  if (bytes.empty()) {
    return Step::kMissing;
  }
  out.type = static_cast<uint8_t>(bytes[0]);
  const uint64_t name = c_string_size(bytes.substr(1));
  if (name == 0) {
    return Step::kMissing;
  }
  if (name >= end - at) {
    return Step::kMalformed;
  }
  out.name = bytes.substr(1, name - 1);
  out.value_at = at + 1 + name;
  const Step step = measure_value(from, out.type, out.value_at, end, out.value_size);
  if (step == Step::kElement) {
    at = out.value_at + out.value_size;
  }
  return step;
}

// The text of a string's value; none if not all of it is there. `value`: its bytes.
[[nodiscard]] inline std::string_view string_value(const Element& element, std::string_view value) {
  if (element.type != kString || element.value_size < 5 || value.size() < element.value_size) {
    return {};
  }
  return value.substr(4, element.value_size - 5);
}

}  // namespace zerospan::bson
