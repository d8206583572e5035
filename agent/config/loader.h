// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Makes the Config from its sources. Flags win over the environment, the environment over the file,
// the file over the defaults; each option for itself. Pure: the file's text and the environment
// come in as arguments.
//
// An error is one sentence: where the value stands (FILE:LINE:COLUMN, the variable or the flag),
// the option's key, what was found, and what was expected.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/config/config.h"
#include "agent/core/result.h"

namespace zerospan::config {

// The value of an environment variable; unset when there is none. An empty one counts as unset, as
// the OpenTelemetry specification wants it.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

// One flag of the command line, with all the arguments that it was given.
struct FlagValue {
  size_t option = 0;  // index in option_table()
  std::vector<std::string> texts;
};

struct Sources {
  std::string file_name;  // for messages
  std::string yaml;       // the file's text; empty: no file
  Environment environment;
  // A flag that selects processes (--pid, --exe, --all ...) replaces the whole selection of file
  // and environment, so that "--pid 7" never means "7 and what the file selects".
  std::vector<FlagValue> flags;
  // kubernetes.enabled auto means true in a cluster, unless a flag selects processes.
  bool pods_by_default = false;
};

[[nodiscard]] Result<Config> load(const Sources& sources);

// From one config to another while the agent runs: `wanted`, but for what only a restart changes.
struct ConfigChange {
  Config config;
  std::vector<std::string> applied;        // keys, in the order of option_table()
  std::vector<std::string> needs_restart;  // the same
};
[[nodiscard]] ConfigChange change(Config running, Config wanted);

}  // namespace zerospan::config
