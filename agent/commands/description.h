// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What may be told of a command of a key-value store: which of its arguments are names (keys,
// fields, channels, sub-commands) and which are values, and the text with "?" for the values, by
// the conventions for Redis (https://opentelemetry.io/docs/specs/semconv/db/redis/). A command
// that the table does not know has values only. Pure, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace zerospan::commands {

enum class Tail : uint8_t {
  kValues,
  kNames,
  kPairs,  // a name, its value, and so on
};

struct Syntax {
  std::string_view name;  // upper case
  uint8_t names = 0;      // how many arguments are names, after the command itself
  Tail tail = Tail::kValues;
  bool secret = false;     // what is no name holds passwords: it is never kept
  bool procedure = false;  // the first argument names a script or function
};

// Of Redis and Valkey; without regard to case. Never nullptr: an unknown command has an empty name.
[[nodiscard]] const Syntax* find_redis(std::string_view command);
[[nodiscard]] const Syntax* find_memcached(std::string_view command);

// Is the argument at `index` a name? The command itself is at 0.
[[nodiscard]] constexpr bool is_name(const Syntax& syntax, size_t index) {
  if (index <= syntax.names) {
    return true;
  }
  switch (syntax.tail) {
    case Tail::kValues:
      return false;
    case Tail::kNames:
      return true;
    case Tail::kPairs:
      return (index - syntax.names) % 2 == 1;
  }
  return false;
}

struct Description {
  std::string text;
  std::string_view operation;  // the command as it was sent, if it looks like one
  std::string_view procedure;

  void clear();
};

// `packed`: see arguments.h; `out` has views of it. `raw`: with the values, but for secrets.
void describe(std::string_view packed, const Syntax& syntax, bool raw, size_t max_text_bytes,
              Description& out);

}  // namespace zerospan::commands
