// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The words of SQL that a summary is made by.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace zerospan::sql {

enum class Word : uint8_t {
  kOther,      // a name, or a word that changes nothing
  kSelect,     // an operation wherever it stands
  kChange,     // INSERT, UPDATE, DELETE, MERGE, REPLACE: an operation where one may begin
  kUpdate,     // the same, and what follows is its target
  kDefine,     // CREATE, ALTER, DROP: with the kind of object that follows
  kOnObject,   // an operation whose target follows
  kCopy,       // the same, and its FROM names no table
  kWith,       // an operation follows behind its queries
  kExplain,    // an operation follows
  kKind,       // TABLE, INDEX ...
  kModifier,   // may stand between an operation and its target
  kFrom,       // a list of targets follows
  kTarget,     // JOIN, INTO: a target follows
  kEndOfFrom,  // WHERE ...
  kAs,
  kDistinct,
  kIn,
  kIs,
  kBoolean,
  kValues,
};

inline constexpr size_t kLongestWord = 12;

// By a word's length: which letters (bit 1: a) the known words of that length begin with. Sorts out
// most others.
extern const std::array<uint32_t, kLongestWord + 1> kFirstLetters;

[[nodiscard]] inline bool may_be_known(std::string_view word) {
  return word.size() <= kLongestWord &&
         (kFirstLetters[word.size()] >> (static_cast<uint8_t>(word[0]) & 31U) & 1U) != 0;
}

// `word` in any case.
[[nodiscard]] Word classify(std::string_view word);

}  // namespace zerospan::sql
