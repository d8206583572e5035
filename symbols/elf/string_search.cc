// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/elf/string_search.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <tuple>

#include "symbols/elf/cursor.h"

namespace zerospan::symbols::elf {
namespace {

constexpr size_t kMaxNameBytes = 512;
constexpr size_t kMaxPlaces = 1'000'000;
constexpr size_t kChunkBytes = 64 * 1024;

}  // namespace

Result<StringOffsets> StringOffsets::find(const Read& read,
                                          std::span<const std::string_view> names) {
  std::array<std::vector<size_t>, 256> by_last_byte;
  for (size_t i = 0; i < names.size(); ++i) {
    by_last_byte[static_cast<uint8_t>(names[i].back())].push_back(i);
  }
  StringOffsets found;
  // The end of the last chunk stays in front of the next one, for names that lie across.
  std::vector<std::byte> buffer(kMaxNameBytes + kChunkBytes);
  size_t kept = 0;
  uint64_t buffer_offset = 0;
  while (const size_t got = read(std::span(buffer).subspan(kept, kChunkBytes))) {
    const std::string_view text = as_text(std::span(buffer).first(kept + got));
    for (size_t end = text.find('\0', kept); end != std::string_view::npos;
         end = text.find('\0', end + 1)) {
      if (end == 0) {
        continue;
      }
      for (const size_t i : by_last_byte[static_cast<uint8_t>(text[end - 1])]) {
        if (text.substr(0, end).ends_with(names[i])) {
          found.places_.push_back({buffer_offset + end - names[i].size(), i});
        }
      }
    }
    if (found.places_.size() > kMaxPlaces) {
      return fail(ErrorCode::kMalformed, "A table of strings has the same names too often.");
    }
    kept = std::min(text.size(), kMaxNameBytes);
    buffer_offset += text.size() - kept;
    std::memmove(buffer.data(), text.data() + text.size() - kept, kept);
  }
  // One name can be the tail of another, but never begin where it does.
  std::sort(found.places_.begin(), found.places_.end(),
            [](const Place& a, const Place& b) { return a.offset < b.offset; });
  return found;
}

std::optional<size_t> StringOffsets::name_at(uint64_t offset) const {
  const auto at =
      std::lower_bound(places_.begin(), places_.end(), offset,
                       [](const Place& place, uint64_t value) { return place.offset < value; });
  if (at == places_.end() || at->offset != offset) {
    return std::nullopt;
  }
  return at->name;
}

}  // namespace zerospan::symbols::elf
