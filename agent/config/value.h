// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// A value as the operator wrote it, before it has a type: the common form of YAML nodes, of
// environment variables and of command-line arguments.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/core/result.h"

namespace zerospan::config {

// Counted from 1; line 0: not in a file.
struct Mark {
  int line = 0;
  int column = 0;
};

struct Value {
  enum class Kind : uint8_t { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  Mark mark;
  std::string scalar;
  std::vector<Value> items;        // of a list, or the values of a map
  std::vector<std::string> keys;   // of a map, beside `items`
  std::vector<Mark> key_marks;     // of a map, beside `items`
  bool bare_milliseconds = false;  // a duration without a unit is in milliseconds, as the
                                   // OpenTelemetry variables have it
  bool percent_encoded = false;    // a map's values are percent-encoded, as in OTEL_* lists

  [[nodiscard]] static Value of(std::string text) {
    Value value;
    value.kind = Kind::kScalar;
    value.scalar = std::move(text);
    return value;
  }
};

// What is wrong with a value: the reader of it adds where it stands.
struct Complaint {
  Mark mark;             // of the part that is wrong
  std::string inner;     // the path to that part below the option's key, such as "[2].port"
  std::string found;     // as in "found X"
  std::string expected;  // as in "expected X"
};

// How a value is called in a message: the text in quotes (shortened), "a list", "a map", "nothing".
[[nodiscard]] std::string describe(const Value& value);

// Reads one YAML document whose top is a map (or nothing). Anchors, aliases, tags and documents
// after the first are refused, as are duplicate keys, more than 1 MiB of text, 32 levels and 20,000
// nodes: a file cannot make the agent use more than some megabytes. `name` is the file's name in
// messages.
[[nodiscard]] Result<Value> read_yaml(const std::string& text, const std::string& name);

}  // namespace zerospan::config
