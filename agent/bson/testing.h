// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// BSON as tests make it.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace zerospan::bson {

template <typename Number>
std::string le(Number value) {
  std::string out(sizeof(value), '\0');
  std::memcpy(out.data(), &value, sizeof(value));
  return out;
}

inline std::string document(const std::string& elements) {
  return le(static_cast<int32_t>(elements.size() + 5)) + elements + std::string(1, '\0');
}
inline std::string element(int type, std::string_view name, const std::string& value) {
  return std::string(1, static_cast<char>(type)) + std::string(name) + std::string(1, '\0') + value;
}
inline std::string text(std::string_view name, std::string_view value) {
  return element(
      2, name,
      le(static_cast<int32_t>(value.size() + 1)) + std::string(value) + std::string(1, '\0'));
}
inline std::string number(std::string_view name, int32_t value) {
  return element(0x10, name, le(value));
}
inline std::string number64(std::string_view name, int64_t value) {
  return element(0x12, name, le(value));
}
inline std::string real(std::string_view name, double value) {
  return element(1, name, le(value));
}
inline std::string sub(std::string_view name, const std::string& elements) {
  return element(3, name, document(elements));
}
inline std::string array(std::string_view name, const std::string& elements) {
  return element(4, name, document(elements));
}

// Sections of OP_MSG.
inline std::string body(const std::string& elements) {
  return std::string(1, '\0') + document(elements);
}
inline std::string sequence(std::string_view name, const std::string& documents) {
  const std::string inner = std::string(name) + std::string(1, '\0') + documents;
  return "\1" + le(static_cast<int32_t>(inner.size() + 4)) + inner;
}

}  // namespace zerospan::bson
