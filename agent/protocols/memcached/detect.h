// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Is a connection Memcached's, in its text protocol? Asked with the first bytes of one direction:
// only a command tells.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace zerospan::protocols::memcached {

[[nodiscard]] bool detect(std::string_view first_bytes);

inline constexpr uint64_t kMostBytes = uint64_t{1} << 31U;  // of a value

// A decimal number without sign.
[[nodiscard]] std::optional<uint64_t> read_number(std::string_view text, uint64_t most);

// Takes the next word off a line; empty: there is none.
[[nodiscard]] std::string_view next_word(std::string_view& line);

// Is this line, without its end, a command as the protocol has it?
[[nodiscard]] bool is_command(std::string_view line);

}  // namespace zerospan::protocols::memcached
