// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include <cstdio>
#include <variant>

#include "agent/app/commands.h"
#include "agent/app/settings.h"
#include "agent/config/command_line.h"

int main(int argc, char** argv) {
  using namespace zerospan;
  const std::variant<config::Command, config::Exit> parsed =
      config::parse_command_line(argc, argv, config::process_environment());
  if (const auto* exit = std::get_if<config::Exit>(&parsed)) {
    std::fputs(exit->text.c_str(), exit->code == 0 ? stdout : stderr);
    return exit->code;
  }
  const auto& command = std::get<config::Command>(parsed);
  switch (command.command) {
    case config::SubCommand::kRun:
    case config::SubCommand::kTrace:
    case config::SubCommand::kRecord:
      return app::run_live(command);
    case config::SubCommand::kReplay:
      return app::run_replay(command);
    case config::SubCommand::kCheck:
      return app::run_check(command);
    case config::SubCommand::kVersion:
      std::printf("zerospan %s\n", app::kVersion);
      return 0;
  }
  return 1;
}
