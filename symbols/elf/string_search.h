// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Finds a handful of names in a table of strings that end in a zero byte, without keeping the
// table. What refers to such a table by offset can then compare numbers. A linker may let one
// string be the tail of another, so a name is found at the end of any string.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "agent/core/result.h"

namespace zerospan::symbols::elf {

// Immutable once made.
class StringOffsets {
 public:
  // Fills its argument with the next bytes of the table, as SectionStream::read does.
  using Read = std::function<size_t(std::span<std::byte>)>;

  // `names` are not empty, distinct, and at most 512 bytes long each. kMalformed if they occur more
  // than a million times, which no table does.
  [[nodiscard]] static Result<StringOffsets> find(const Read& read,
                                                  std::span<const std::string_view> names);

  // Which of the names the string at this offset is.
  [[nodiscard]] std::optional<size_t> name_at(uint64_t offset) const;

 private:
  struct Place {
    uint64_t offset;
    size_t name;
  };
  std::vector<Place> places_;  // by offset
};

}  // namespace zerospan::symbols::elf
