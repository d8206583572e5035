// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The one table of options. YAML keys, environment variables, command-line flags, --help and
// docs/config.md all come from it: a new option is one entry in options.cc and one member in
// config.h.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/config/config.h"
#include "agent/config/value.h"

namespace zerospan::config {

// Sub-commands, as bits, that offer an option as a flag.
enum CommandBit : uint32_t {
  kOnRun = 1U << 0U,
  kOnTrace = 1U << 1U,
  kOnRecord = 1U << 2U,
  kOnReplay = 1U << 3U,
  kOnCheck = 1U << 4U,
};

// What becomes of an option that has changed in the file while `run` runs.
enum class Reload : uint8_t {
  kUndecided,  // a mistake, which a test finds
  kLive,       // it holds at once
  kRestart,    // the value that was read at start stays, and a warning says so
};

struct Option {
  enum class Shape : uint8_t { kScalar, kList, kMap, kRules };

  std::string key = {};  // path in the YAML file, such as "capture.head_bytes"
  Reload reload = Reload::kUndecided;
  std::string help = {};                    // whole sentences
  std::vector<std::string> variables = {};  // environment, the one that wins first
  std::string flag = {};                    // "--pid"; empty: none
  std::string flag_argument = {};           // "N[,N]", for --help
  std::string flag_sets = {};               // not empty: the flag takes no argument and sets this
  bool flag_splits = false;                 // a list's argument is split at commas
  uint32_t commands = 0;                    // CommandBit
  bool selector = false;                    // chooses processes: see Sources::flags in loader.h

  Shape shape = Shape::kScalar;
  std::string type = {};  // for the documentation
  std::string default_text = {};
  std::function<std::optional<Complaint>(const Value&, Config&)> set = {};
  // Of the member that the option sets. Neither changes what it compares or copies from.
  std::function<bool(Config&, Config&)> equal = {};
  std::function<void(Config& from, Config& to)> copy = {};
};

// In the order of the documentation. Made once; any thread may read it.
[[nodiscard]] const std::vector<Option>& option_table();

// The value of a text that came from a variable or a flag: lists are split at commas when `split`,
// maps at commas and equals signs.
[[nodiscard]] Value value_from_text(const Option& option, const std::string& text, bool split);

}  // namespace zerospan::config
