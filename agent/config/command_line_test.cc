// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/config/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "agent/config/document.h"
#include "agent/config/options.h"

namespace zerospan::config {
namespace {

using ::testing::HasSubstr;

std::variant<Command, Exit> parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "zerospan");
  return parse_command_line(static_cast<int>(arguments.size()), arguments.data(),
                            [](const std::string&) { return std::nullopt; });
}

Command command(const std::vector<const char*>& arguments) {
  auto outcome = parse(arguments);
  if (const Exit* exit = std::get_if<Exit>(&outcome)) {
    ADD_FAILURE() << exit->text;
    return {};
  }
  return std::get<Command>(outcome);
}

Exit exit_of(const std::vector<const char*>& arguments) {
  auto outcome = parse(arguments);
  if (const Exit* exit = std::get_if<Exit>(&outcome)) {
    return *exit;
  }
  ADD_FAILURE() << "a command, expected an exit";
  return {};
}

TEST(CommandLine, Trace) {
  const Command trace =
      command({"trace", "--pid", "7,8", "--pid=9", "--port", "80", "--exe", "*/a", "--no-children",
               "--format=otlp-json", "--output=spans.jsonl", "--duration=1.5", "--sampler",
               "always_off", "--capture=syscall", "--exclude-exe", "*/b"});
  EXPECT_EQ(trace.command, SubCommand::kTrace);
  EXPECT_EQ(trace.config.selection.include.pids, (std::vector<uint32_t>{7, 8, 9}));
  EXPECT_EQ(trace.config.selection.include.ports, (std::vector<PortRange>{{80, 80}}));
  EXPECT_EQ(trace.config.selection.include.executables, std::vector<std::string>{"*/a"});
  EXPECT_EQ(trace.config.selection.exclude.executables, std::vector<std::string>{"*/b"});
  EXPECT_FALSE(trace.config.selection.children);
  EXPECT_EQ(trace.format, OutputFormat::kOtlpJson);
  EXPECT_EQ(trace.output, "spans.jsonl");
  EXPECT_EQ(trace.duration, Milliseconds(1500));
  EXPECT_EQ(trace.config.sampler.kind, sampling::Kind::kAlwaysOff);
  EXPECT_EQ(trace.config.capture.kind, CaptureKind::kSyscall);
  EXPECT_TRUE(command({"trace", "--all"}).config.selection.all);
  EXPECT_EQ(command({"trace", "--all", "--duration", "500ms"}).duration, Milliseconds(500));
}

TEST(CommandLine, TheOtherCommands) {
  EXPECT_EQ(command({"run", "--all", "--endpoint", "http://c"}).config.exporter.endpoint,
            "http://c/v1/traces");
  EXPECT_EQ(command({"record", "--all", "--output", "f"}).output, "f");
  const Command replay = command({"replay", "f.zsr", "--format", "json"});
  EXPECT_EQ(replay.recording, "f.zsr");
  EXPECT_EQ(replay.format, OutputFormat::kJson);
  EXPECT_FALSE(command({"check"}).check_pid.has_value());
  EXPECT_EQ(command({"check", "--pid", "12"}).check_pid, 12U);
  EXPECT_EQ(command({"check", "--exe", "/usr/bin/kubectl"}).check_executable, "/usr/bin/kubectl");
  EXPECT_EQ(command({"version"}).command, SubCommand::kVersion);
  EXPECT_EQ(command({"--version"}).command, SubCommand::kVersion);
}

TEST(CommandLine, HelpTeaches) {
  const Exit top = exit_of({"--help"});
  EXPECT_EQ(top.code, 0);
  for (const char* name : {"run", "trace", "record", "replay", "check", "version"}) {
    EXPECT_THAT(top.text, HasSubstr("\n  " + std::string(name)));
    const Exit help = exit_of({name, "--help"});
    EXPECT_EQ(help.code, 0);
    EXPECT_THAT(help.text, HasSubstr("Example"));
    EXPECT_THAT(help.text, HasSubstr("zerospan " + std::string(name)));
  }
  EXPECT_THAT(exit_of({"trace", "--help"}).text, HasSubstr("--exclude-container"));
  EXPECT_EQ(exit_of({}).code, 2);
  EXPECT_THAT(exit_of({}).text, HasSubstr("sudo zerospan trace --all"));
}

TEST(CommandLine, Errors) {
  struct Case {
    std::vector<const char*> arguments;
    const char* expected;
  };
  const std::vector<Case> cases = {
      {{"trcae", "--all"}, "zerospan: trcae is not a command here; did you mean trace?\n"},
      {{"trace", "--prot", "80"},
       "zerospan: trace: --prot is not a flag here; did you mean --port?\n"},
      {{"trace", "--all", "what"},
       "zerospan: trace: what is not an argument here; see 'zerospan trace --help'.\n"},
      {{"trace", "--port", "0"},
       "zerospan: flag --port (selection.ports): found \"0\", expected a port from 1 to 65535 or a "
       "range such as 8000-8100.\n"},
      {{"trace"},
       "zerospan: trace: no process is selected; give --pid, --port, --exe, --cmdline, --user, "
       "--container or --all, or a file with a selection by --config.\n"},
      {{"trace", "--all", "--format", "xml"},
       "zerospan: flag --format: found \"xml\", expected tree, json or otlp-json.\n"},
      {{"trace", "--all", "--duration", "long"},
       "zerospan: flag --duration: found \"long\", expected a number of seconds, or a duration "
       "such "
       "as 500ms.\n"},
      {{"record", "--all"},
       "zerospan: record: --output FILE is missing; it names the file to write.\n"},
      {{"replay"}, "zerospan: replay: FILE is missing; it names the recording to read.\n"},
      {{"run", "--config", "/does/not/exist.yaml"},
       "zerospan: flag --config: /does/not/exist.yaml cannot be read: No such file or "
       "directory.\n"},
  };
  for (const Case& c : cases) {
    const Exit exit = exit_of(c.arguments);
    EXPECT_EQ(exit.code, 2);
    EXPECT_EQ(exit.text, c.expected);
  }
}

TEST(CommandLine, ReadsTheFileThatConfigNames) {
  const std::string name = testing::TempDir() + "zerospan_command_line_test.yaml";
  std::ofstream(name) << "selection: {all: true}\nlog: {level: loud}\n";
  EXPECT_EQ(exit_of({"run", "--config", name.c_str()}).text,
            "zerospan: " + name +
                ":2:14: log.level: found \"loud\", expected trace, debug, info, warn, error or "
                "off.\n");
  std::ofstream(name) << "selection: {all: true}\n";
  EXPECT_TRUE(command({"run", "--config", name.c_str()}).config.selection.all);
  std::remove(name.c_str());
}

TEST(Table, NamesAreUsedOnce) {
  std::set<std::string> keys;
  std::set<std::string> flags;
  std::set<std::string> variables;
  for (const Option& option : option_table()) {
    EXPECT_TRUE(keys.insert(option.key).second) << option.key;
    EXPECT_TRUE(option.flag.empty() || flags.insert(option.flag).second) << option.flag;
    EXPECT_EQ(option.flag.empty(), option.commands == 0) << option.key;
    for (const std::string& variable : option.variables) {
      EXPECT_TRUE(variables.insert(variable).second) << variable;
    }
    EXPECT_EQ(option.help.back(), '.') << option.key;
  }
}

TEST(Document, IsWhatTheTableSays) {
  std::ifstream file("docs/config.md", std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_TRUE(text.str() == config_document())
      << "docs/config.md is not what agent/config/options.cc says; write it anew with "
         "'ninja zerospan_config_doc' and 'agent/config/zerospan_config_doc docs/config.md'.";
}

}  // namespace
}  // namespace zerospan::config
