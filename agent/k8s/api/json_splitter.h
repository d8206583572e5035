// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Cuts JSON text that arrives in pieces into the values of interest, so that of a list of any
// length one object at a time is in memory. It only follows strings and brackets (RFC 8259): what
// it gives out is for a real parser, which finds what else is wrong.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace zerospan::k8s {

class JsonSplitter {
 public:
  enum class Shape {
    kStream,  // objects, one after the other: a watch
    kList,    // one object, of which the elements of "items" and the value of "metadata" are given
  };
  enum class Part { kValue, kItem, kMetadata, kTooLong, kMalformed };
  struct Piece {
    Part part;
    std::string_view json;  // until the next call; empty for kTooLong and kMalformed
  };

  // A value that is longer than max_bytes is told as kTooLong in its place.
  JsonSplitter(Shape shape, size_t max_bytes) : shape_(shape), max_bytes_(max_bytes) {}

  // Takes what it reads off `bytes`. Nothing: all are read. After kMalformed it is of no more use.
  [[nodiscard]] std::optional<Piece> next(std::string_view& bytes);
  // kList: the object was closed. kStream: no value is open.
  [[nodiscard]] bool complete() const;

 private:
  enum class State { kBetween, kKey, kBeforeValue, kInItems, kContainer, kString, kScalar };

  [[nodiscard]] bool open_value(char c, std::optional<Part> part, State after);
  void keep(std::string_view text);

  Shape shape_;
  size_t max_bytes_;
  State state_ = State::kBetween;
  State after_ = State::kBetween;  // what follows the value
  std::optional<Part> part_;       // of the value; nothing: it is passed over
  size_t nested_ = 0;              // brackets open in the value
  bool in_string_ = false;         // within a kContainer
  bool escaped_ = false;
  bool opened_ = false, closed_ = false;  // kList's object
  bool too_long_ = false;
  std::string key_;
  std::string value_;
};

}  // namespace zerospan::k8s
