// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Is a new connection HTTP/1.x? Asked with the first bytes of one direction.
#pragma once

#include <cstdint>
#include <string_view>

#include "agent/model/connection.h"

namespace zerospan::protocols::http1 {

enum class Detection : uint8_t {
  kNo,
  kMaybe,  // too few bytes to tell: ask again with more
  kRequest,
  kResponse,
};

// A request line (RFC 9112 section 3) with a method in upper case, known or not, and version
// HTTP/1.x, or a status line (section 4); empty lines before it are passed over (section 2.2). A
// line of kDecideBytes or more whose end is not there yet is taken by its beginning. Either
// direction may carry either kind, so `direction` does not change the answer; it is what every
// protocol's detection is asked with.
inline constexpr size_t kDecideBytes = 256;
[[nodiscard]] Detection detect(model::Direction direction, std::string_view first_bytes);

}  // namespace zerospan::protocols::http1
