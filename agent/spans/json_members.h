// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What stands at the top level of a JSON object (RFC 8259) that may have been cut off at any byte.
// A library's parser refuses what is cut; this one gives out the members that are there. Pure
// functions over hostile bytes: no recursion, and no allocation but the text of a string asked for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace zerospan::spans {

struct JsonMember {
  enum class Kind : uint8_t { kString, kNumber, kLiteral, kObject, kArray };
  std::string_view key;  // as written, without its quotes; one with escapes is like no other
  std::string_view raw;  // the value: of a string what is between the quotes
  Kind kind = Kind::kLiteral;
  bool whole = false;  // false: the text ends inside of it
};

class JsonMembers {
 public:
  explicit JsonMembers(std::string_view text) : rest_(text) {}

  // The next member, the last one perhaps cut. False: there is no other, see valid() and whole().
  // Of nested values only quotes and brackets are looked at.
  bool next(JsonMember& member);

  // No byte so far says that this is no JSON object.
  [[nodiscard]] bool valid() const { return valid_; }
  // The object's end was there.
  [[nodiscard]] bool whole() const { return whole_; }

 private:
  enum class End : uint8_t { kThere, kCut, kInvalid };

  void skip_space();
  End string(std::string_view& text);
  End scalar(JsonMember& member);
  End nested(std::string_view& text);
  bool stop(bool valid);

  std::string_view rest_;
  bool begun_ = false;
  bool done_ = false;
  bool valid_ = true;
  bool whole_ = false;
};

// The text of a string as JsonMember::raw has it, in UTF-8 if `raw` is. An escape that is cut at
// the end is left out; nullopt: one that JSON does not have.
[[nodiscard]] std::optional<std::string> json_text(std::string_view raw);

}  // namespace zerospan::spans
