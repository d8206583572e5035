// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/config/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <vector>

#include "agent/config/codecs.h"
#include "agent/config/options.h"
#include "agent/config/suggest.h"

namespace zerospan::config {

namespace {

constexpr int kUsageError = 2;
constexpr size_t kMaxFileBytes = (1U << 20U) + 1;  // one more than is accepted

constexpr const char* kPurpose =
    "zerospan watches programs that nobody changed and makes OpenTelemetry spans from their "
    "traffic.";
constexpr const char* kTopExamples =
    "Examples:\n"
    "  sudo zerospan trace --all                       watch every request on this host\n"
    "  sudo zerospan trace --exe '*/nginx'             watch nginx\n"
    "  sudo zerospan run --config /etc/zerospan.yaml   run the agent\n"
    "  sudo zerospan check --pid 4711                  why is there no span of this process?\n"
    "\n"
    "'zerospan COMMAND --help' shows a command's flags and examples.\n"
    "docs/config.md lists every option with its YAML key and environment variables.";

struct Description {
  SubCommand command;
  uint32_t bit;
  const char* name;
  const char* purpose;
  const char* examples;
};

constexpr std::array kDescriptions = {
    Description{SubCommand::kRun, kOnRun, "run",
                "Run the agent: export spans of the selected programs until SIGTERM.",
                "Examples:\n"
                "  sudo zerospan run --config /etc/zerospan.yaml\n"
                "  sudo zerospan run --all --endpoint http://collector:4318\n"
                "  sudo OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4317 zerospan run --port "
                "80,8000-8100 --protocol grpc"},
    Description{SubCommand::kTrace, kOnTrace, "trace",
                "Watch the requests of the selected programs here, as a tree or as JSON.",
                "Examples:\n"
                "  sudo zerospan trace --pid 4711,4712\n"
                "  sudo zerospan trace --exe '*/python3*' --exclude-user root\n"
                "  sudo zerospan trace --port 8080 --duration=30 --format=otlp-json "
                "--output=spans.jsonl"},
    Description{SubCommand::kRecord, kOnRecord, "record",
                "Write what the kernel captures to a file, to replay it elsewhere.",
                "Examples:\n"
                "  sudo zerospan record --port 8080 --output bug.zsr\n"
                "  sudo zerospan record --all --duration=10 --output ten-seconds.zsr"},
    Description{SubCommand::kReplay, kOnReplay, "replay",
                "Make the spans of a recording again; needs no privilege.",
                "Examples:\n"
                "  zerospan replay bug.zsr\n"
                "  zerospan replay bug.zsr --format=otlp-json --output=spans.jsonl"},
    Description{
        SubCommand::kCheck, kOnCheck, "check",
        "Tell what this kernel allows, what is lost without it, and what to grant.",
        "Examples:\n"
        "  sudo zerospan check\n"
        "  sudo zerospan check --pid 4711    what is seen of one process, and what is not\n"
        "  zerospan check --exe ./server     what is known of a Go program; needs no privilege"},
    Description{SubCommand::kVersion, 0, "version", "Print the version and how it was built.",
                "Example:\n  zerospan version"},
};

// The arguments of one sub-command, as CLI11 fills them. Addresses must not change while it parses.
struct Parsed {
  CLI::App* app = nullptr;
  std::map<size_t, std::vector<std::string>> flags;  // by index in option_table()
  std::map<size_t, bool> switches;                   // flags without an argument
  std::string config_file;
  std::string format;
  std::string output;
  std::string duration;
  std::string recording;
  std::string pid;
  std::string executable;
  std::string stats;
  std::string spans;
};

Exit usage_error(const std::string& message) {
  return {kUsageError, "zerospan: " + message + "\n"};
}

void add_table_flags(Parsed& parsed, uint32_t bit) {
  const std::vector<Option>& table = option_table();
  for (size_t i = 0; i < table.size(); ++i) {
    const Option& option = table[i];
    if ((option.commands & bit) == 0) {
      continue;
    }
    const char* group = option.key.starts_with("selection.") ? "Selection" : "Settings";
    if (!option.flag_sets.empty()) {
      const std::string help =
          option.flag_sets == "false" ? "Turn this off: " + option.help : option.help;
      parsed.app->add_flag(option.flag, parsed.switches[i], help)->group(group);
      continue;
    }
    const bool choice =
        option.shape == Option::Shape::kScalar && option.type.find('|') != std::string::npos;
    CLI::Option* flag = parsed.app->add_option(
        option.flag, parsed.flags[i],
        choice ? option.help + " One of: " + option.type + "." : option.help);
    flag->group(group)->type_name(option.flag_argument)->type_size(1)->allow_extra_args(false);
    if (option.shape == Option::Shape::kList) {
      flag->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    } else {
      flag->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    }
  }
}

void add_own_flags(Parsed& parsed, SubCommand command) {
  CLI::App& app = *parsed.app;
  const bool makes_output = command == SubCommand::kTrace || command == SubCommand::kReplay;
  if (command != SubCommand::kVersion) {
    app.add_option("--config", parsed.config_file, "Read this YAML file.")->type_name("FILE");
  }
  if (makes_output) {
    app.add_option("--format", parsed.format,
                   "tree (default), json (one span a line), or otlp-json (one "
                   "ExportTraceServiceRequest a line).")
        ->type_name("FORMAT");
  }
  if (makes_output || command == SubCommand::kRecord) {
    app.add_option("--output", parsed.output,
                   command == SubCommand::kRecord ? "The file to write."
                                                  : "Write to this file, not to the terminal.")
        ->type_name("FILE");
  }
  const bool live = command == SubCommand::kRun || command == SubCommand::kTrace ||
                    command == SubCommand::kRecord;
  if (command == SubCommand::kTrace || command == SubCommand::kRecord ||
      command == SubCommand::kCheck) {
    app.add_option("--duration", parsed.duration,
                   "Stop after this time: seconds, or with a unit (500ms, 2m).")
        ->type_name("SECONDS");
  }
  if (live || command == SubCommand::kReplay) {
    app.add_option("--stats", parsed.stats, "At the end, write every counter to this file as JSON.")
        ->type_name("FILE");
  }
  if (command == SubCommand::kRecord) {
    app.add_option("--spans", parsed.spans,
                   "Also write the spans to this file, as 'replay --format=json' would.")
        ->type_name("FILE");
  }
  if (command == SubCommand::kReplay) {
    app.add_option("recording", parsed.recording, "The file that 'zerospan record' wrote.")
        ->type_name("FILE");
  }
  if (command == SubCommand::kCheck) {
    auto* const of_process =
        app.add_option("--pid", parsed.pid, "Look at this process.")->type_name("N");
    app.add_option(
           "--exe", parsed.executable,
           "Read this Go program: its modules, what is known of its types, where probes go.")
        ->type_name("FILE")
        ->excludes(of_process);
  }
}

// The words that the operator may have meant by one that was not understood.
std::vector<std::string> known_words(const CLI::App& app) {
  std::vector<std::string> words;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    words.push_back(sub->get_name());
  }
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      words.push_back("--" + name);
    }
  }
  return words;
}

Exit unexpected_word(const CLI::App& app, const std::string& word) {
  const std::string name = word.substr(0, word.find('='));
  const std::string where = app.get_parent() == nullptr ? "" : app.get_name() + ": ";
  std::string hint = did_you_mean(name, known_words(app));
  if (hint.empty()) {
    hint = fmt::format("; see 'zerospan {}--help'.",
                       app.get_parent() == nullptr ? "" : app.get_name() + " ");
  }
  const char* kind = word.starts_with('-')         ? "a flag"
                     : app.get_parent() == nullptr ? "a command"
                                                   : "an argument";
  return usage_error(fmt::format("{}{} is not {} here{}", where, name, kind, hint));
}

template <typename T>
std::optional<Exit> read_flag(const char* flag, const std::string& text, const Codec<T>& codec,
                              T& out) {
  if (text.empty()) {
    return std::nullopt;
  }
  Value value = Value::of(text);
  if (const auto wrong = codec.read(value, out)) {
    return usage_error(
        fmt::format("flag {}: found {}, expected {}.", flag, wrong->found, wrong->expected));
  }
  return std::nullopt;
}

std::optional<Exit> read_own_flags(const Parsed& parsed, Command& command) {
  if (auto exit = read_flag("--format", parsed.format,
                            choice_of<OutputFormat>({{"tree", OutputFormat::kTree},
                                                     {"json", OutputFormat::kJson},
                                                     {"otlp-json", OutputFormat::kOtlpJson}}),
                            command.format)) {
    return exit;
  }
  if (!parsed.duration.empty()) {
    // Without a unit it is in seconds.
    const bool bare = parsed.duration.find_first_not_of("0123456789.") == std::string::npos;
    Milliseconds time{0};
    if (read_flag("--duration", parsed.duration + (bare ? "s" : ""),
                  duration(Milliseconds(1), std::chrono::hours(24 * 365)), time)) {
      return usage_error(fmt::format(
          "flag --duration: found {}, expected a number of seconds, or a duration such as 500ms.",
          describe(Value::of(parsed.duration))));
    }
    command.duration = time;
  }
  uint32_t checked = 0;
  if (auto exit = read_flag("--pid", parsed.pid, pid(), checked)) {
    return exit;
  }
  if (!parsed.pid.empty()) {
    command.check_pid = checked;
  }
  command.check_executable = parsed.executable;
  command.output = parsed.output;
  command.recording = parsed.recording;
  command.stats_file = parsed.stats;
  command.spans_file = parsed.spans;
  if (command.command == SubCommand::kRecord && command.output.empty()) {
    return usage_error("record: --output FILE is missing; it names the file to write.");
  }
  if (command.command == SubCommand::kReplay && command.recording.empty()) {
    return usage_error("replay: FILE is missing; it names the recording to read.");
  }
  return std::nullopt;
}

std::vector<FlagValue> flag_values(const Parsed& parsed) {
  std::vector<FlagValue> values;
  for (size_t i = 0; i < option_table().size(); ++i) {
    const auto texts = parsed.flags.find(i);
    if (texts != parsed.flags.end() && !texts->second.empty()) {
      values.push_back({i, texts->second});
    }
    const auto given = parsed.switches.find(i);
    if (given != parsed.switches.end() && given->second) {
      values.push_back({i, {option_table()[i].flag_sets}});
    }
  }
  return values;
}

std::variant<Command, Exit> finish(const Description& description, const Parsed& parsed,
                                   const Environment& environment) {
  Command command;
  command.command = description.command;
  if (command.command == SubCommand::kVersion) {
    return command;
  }
  if (auto exit = read_own_flags(parsed, command)) {
    return *exit;
  }
  command.sources = {parsed.config_file, "", environment, flag_values(parsed),
                     command.command == SubCommand::kRun};
  std::string yaml;
  if (!parsed.config_file.empty()) {
    Result<std::string> text = read_config_file(parsed.config_file);
    if (!text) {
      return usage_error(text.error().message);
    }
    yaml = std::move(*text);
  }
  command.sources.yaml = yaml;
  Result<Config> config = reload(command, std::move(yaml));
  if (!config) {
    return usage_error(config.error().message);
  }
  command.config = std::move(*config);
  return command;
}

std::variant<Command, Exit> parse(int argc, const char* const* argv,
                                  const Environment& environment) {
  CLI::App app(kPurpose, "zerospan");
  app.footer(kTopExamples);
  app.allow_extras();
  bool version = false;
  app.add_flag("--version", version, "Print the version.");
  std::array<Parsed, kDescriptions.size()> parsed;
  for (size_t i = 0; i < kDescriptions.size(); ++i) {
    const Description& description = kDescriptions[i];
    parsed[i].app = app.add_subcommand(description.name, description.purpose);
    parsed[i].app->footer(description.examples);
    parsed[i].app->allow_extras();
    add_own_flags(parsed[i], description.command);
    add_table_flags(parsed[i], description.bit);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return Exit{0, app.help()};
  } catch (const CLI::ParseError& error) {
    return usage_error(error.what());
  }
  if (version) {
    return finish(kDescriptions.back(), parsed.back(), environment);
  }
  if (const auto extras = app.remaining(); !extras.empty()) {
    return unexpected_word(app, extras.front());
  }
  for (size_t i = 0; i < kDescriptions.size(); ++i) {
    if (!parsed[i].app->parsed()) {
      continue;
    }
    if (const auto extras = parsed[i].app->remaining(); !extras.empty()) {
      return unexpected_word(*parsed[i].app, extras.front());
    }
    return finish(kDescriptions[i], parsed[i], environment);
  }
  return Exit{kUsageError, app.help()};
}

}  // namespace

std::variant<Command, Exit> parse_command_line(int argc, const char* const* argv,
                                               const Environment& environment) {
  try {
    return parse(argc, argv, environment);
  } catch (const std::exception& error) {
    return usage_error(std::string("the command line cannot be read: ") + error.what());
  }
}

Result<std::string> read_config_file(const std::string& name) {
  errno = 0;
  std::ifstream file(name, std::ios::binary);
  std::string text(kMaxFileBytes, '\0');
  if (file) {
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
  }
  if (!file.is_open() || file.bad() || (file.fail() && !file.eof())) {
    return fail(ErrorCode::kNotFound,
                fmt::format("flag --config: {} cannot be read: {}.", name,
                            errno != 0 ? std::strerror(errno) : "not a file"));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

Result<Config> reload(const Command& command, std::string yaml) {
  Sources sources = command.sources;
  sources.yaml = std::move(yaml);
  Result<Config> config = load(sources);
  const bool selects = command.command == SubCommand::kRun ||
                       command.command == SubCommand::kTrace ||
                       command.command == SubCommand::kRecord;
  if (!config || !selects) {
    return config;
  }
  const bool pods = config->kubernetes.mode == KubernetesMode::kOn;
  const auto* const description =
      std::find_if(kDescriptions.begin(), kDescriptions.end(),
                   [&](const Description& one) { return one.command == command.command; });
  if (pods && config->kubernetes.api_server.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: kubernetes.enabled is true, and there is no API server: not in a "
                            "cluster (KUBERNETES_SERVICE_HOST is not set), and "
                            "kubernetes.api_server is not given.",
                            description->name));
  }
  if (!pods && config->selection.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: no process is selected; give --pid, --port, --exe, --cmdline, "
                            "--user, --container or --all, or a file with a selection by --config.",
                            description->name));
  }
  return config;
}

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
}

}  // namespace zerospan::config
