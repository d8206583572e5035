// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// A reader of the protocol's types in a message of which only parts were captured
// (https://kafka.apache.org/protocol.html#protocol_types). Pure, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "agent/protocols/parts.h"

namespace zerospan::protocols::kafka {

// Reads from the beginning of a message of `length` bytes. After what is not there, or not as it
// should be, ok() is false, and all that is read is zero and empty.
class Reader {
 public:
  Reader(const Parts& parts, uint64_t length) : parts_(parts), end_(length) {}

  [[nodiscard]] bool ok() const { return ok_; }
  // ok(), and nothing is left.
  [[nodiscard]] bool at_end() const { return ok_ && at_ == end_; }
  [[nodiscard]] uint64_t position() const { return at_; }
  [[nodiscard]] uint64_t left() const { return ok_ ? end_ - at_ : 0; }
  void fail() { ok_ = false; }
  void skip(uint64_t count);
  // Makes what follows `count` bytes later out of reach, as a message of its own has it.
  [[nodiscard]] Reader part(uint64_t count) const;

  int8_t read_int8() { return static_cast<int8_t>(read_big_endian(1)); }
  int16_t read_int16() { return static_cast<int16_t>(read_big_endian(2)); }
  int32_t read_int32() { return static_cast<int32_t>(read_big_endian(4)); }
  int64_t read_int64() { return static_cast<int64_t>(read_big_endian(8)); }
  uint32_t read_unsigned_varint();
  int64_t read_varlong();  // zigzag; a VARINT too
  std::string_view read_bytes(uint64_t count);

  // Of both kinds, as the version of the message has it: `flexible` (KIP-482) or not.
  std::string_view read_string(bool flexible);  // a null one is empty
  uint32_t read_array(bool flexible);           // how many elements; a null one has none
  uint64_t read_length(bool flexible);          // of BYTES or RECORDS, which follow
  void skip_tags(bool flexible);

 private:
  uint64_t read_big_endian(size_t count);

  const Parts& parts_;
  uint64_t at_ = 0;
  uint64_t end_;
  bool ok_ = true;
};

}  // namespace zerospan::protocols::kafka
