// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What the operator asked for: the sub-command, its own options, and the Config made from flags,
// environment and file. The only I/O is reading the file that --config names.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "agent/config/config.h"
#include "agent/config/loader.h"

namespace zerospan::config {

enum class SubCommand : uint8_t { kRun, kTrace, kRecord, kReplay, kCheck, kVersion };

enum class OutputFormat : uint8_t { kTree, kJson, kOtlpJson };

// The options that belong to a sub-command alone; the others keep their defaults.
struct Command {
  SubCommand command = SubCommand::kRun;
  Config config;
  Sources sources;                            // that it was made from
  OutputFormat format = OutputFormat::kTree;  // trace, replay
  std::string output;                         // trace, record, replay; empty: stdout
  std::optional<Milliseconds> duration;       // trace, record, check; unset: until SIGINT
  std::string recording;                      // replay: the file to read
  std::optional<uint32_t> check_pid;          // check
  std::string check_executable;               // check; empty: none
  std::string stats_file;                     // run, trace, record, replay; empty: none
  std::string spans_file;                     // record; empty: none
};

// Nothing is to be run: print the text (to stdout when the code is 0, else to stderr) and exit.
struct Exit {
  int code = 0;
  std::string text;  // ends with a line break
};

// Never throws and never exits. A wrong command line or config gives Exit with code 2. `run`,
// `trace` and `record` need a selection.
[[nodiscard]] std::variant<Command, Exit> parse_command_line(int argc, const char* const* argv,
                                                             const Environment& environment);

// At most 1 MiB and a byte: more is refused by load(). The error is a sentence for the operator.
[[nodiscard]] Result<std::string> read_config_file(const std::string& name);

// The command's config again, now that its file holds `yaml`, with all checks of the start.
[[nodiscard]] Result<Config> reload(const Command& command, std::string yaml);

// The environment of this process.
[[nodiscard]] Environment process_environment();

}  // namespace zerospan::config
