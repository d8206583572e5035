// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The messages of PostgreSQL's protocol, version 3
// (https://www.postgresql.org/docs/current/protocol-message-formats.html): which there are, how
// they are recognised in the middle of a stream, and what is read from them. Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace zerospan::protocols::postgresql {

inline constexpr size_t kHeaderBytes = 5;   // type and length
inline constexpr size_t kStartupBytes = 8;  // length and code
inline constexpr uint32_t kMaxMessageBytes = 1U << 30U;

// The codes of messages without a type.
enum StartupCode : uint32_t {
  kCancelRequest = 80877102,
  kSslRequest = 80877103,
  kGssEncRequest = 80877104,
};

[[nodiscard]] uint32_t read_u32(std::string_view bytes);  // four bytes at least

// `code` begins a conversation, or is one of the above.
[[nodiscard]] bool is_startup(uint32_t length, uint32_t code);

// Could these first bytes of a stream, fewer than a whole message maybe, be a startup message?
[[nodiscard]] bool may_be_startup(std::string_view bytes);

// May a message of this type and length (which counts itself) go in this direction?
[[nodiscard]] bool is_plausible(bool request, char type, uint32_t length);

// Do the bytes, which an operation begins with, begin with messages? Those that are whole must be
// well-formed as far as that costs little.
[[nodiscard]] bool begins_with_messages(bool request, std::string_view bytes);

// Where the last messages of a turn begin, if `bytes` ends exactly with them: ReadyForQuery, and
// the completion or error before it if it is there, or an error alone; Sync or CopyDone. npos:
// nowhere.
[[nodiscard]] size_t find_ending_messages(bool request, std::string_view bytes);

// Of the directions' first messages after a break only some tell who speaks: nullopt if not.
[[nodiscard]] std::optional<bool> tells_request(char type);

// Takes a zero-terminated string from the front. Without its terminator the rest is taken, and
// `cut` set.
[[nodiscard]] std::string_view take_string(std::string_view& bytes, bool& cut);

// SQLSTATE of an ErrorResponse; empty: not there.
[[nodiscard]] std::string_view error_code(std::string_view fields);

struct CommandTag {
  bool returns_rows = false;  // SELECT, FETCH: the count is of rows that were sent
  bool changes_rows = false;  // INSERT, UPDATE, DELETE, MERGE: the same only with RETURNING
  std::optional<uint64_t> count;
};
[[nodiscard]] CommandTag parse_command_tag(std::string_view tag);

}  // namespace zerospan::protocols::postgresql
