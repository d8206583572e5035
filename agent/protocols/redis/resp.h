// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Pieces of RESP (https://redis.io/docs/latest/develop/reference/protocol-spec/). Pure, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace zerospan::protocols::redis {

inline constexpr uint64_t kMostItems = uint64_t{1} << 32U;  // of an aggregate
inline constexpr uint64_t kMostBytes = uint64_t{1} << 32U;  // of a string

// A decimal number without sign.
[[nodiscard]] std::optional<uint64_t> read_number(std::string_view text, uint64_t most);

// The first word of an error, if it is a code: upper case, digits and '_'. Else empty.
[[nodiscard]] std::string_view error_code(std::string_view text);

[[nodiscard]] bool equals_ignoring_case(std::string_view word, std::string_view upper);

// Do these bytes begin with a command that Redis has: an array of strings, or PING in a line of its
// own?
[[nodiscard]] bool begins_command(std::string_view head);
// Do they begin with a value that can be an answer, its first line whole?
[[nodiscard]] bool begins_value(std::string_view head);

}  // namespace zerospan::protocols::redis
