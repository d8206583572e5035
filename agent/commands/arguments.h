// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The arguments of one command, as far as they were kept, packed into one string: a protocol parser
// appends them, the stage that writes the span reads them. Pure, any thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace zerospan::commands {

struct Argument {
  std::string_view bytes;  // its beginning
  bool cut = false;        // it goes on
};

inline void append_argument(std::string& packed, std::string_view bytes, bool cut) {
  const uint32_t head = static_cast<uint32_t>(bytes.size()) << 1U | (cut ? 1U : 0U);
  char raw[sizeof(head)];
  std::memcpy(raw, &head, sizeof(head));
  packed.append(raw, sizeof(raw)).append(bytes);
}

// Takes the next one off `packed`; false: there is none.
[[nodiscard]] inline bool next_argument(std::string_view& packed, Argument& out) {
  uint32_t head = 0;
  if (packed.size() < sizeof(head)) {
    return false;
  }
  std::memcpy(&head, packed.data(), sizeof(head));
  packed.remove_prefix(sizeof(head));
  out.cut = (head & 1U) != 0;
  out.bytes = packed.substr(0, std::min<size_t>(head >> 1U, packed.size()));
  packed.remove_prefix(out.bytes.size());
  return true;
}

}  // namespace zerospan::commands
