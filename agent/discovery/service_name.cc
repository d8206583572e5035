// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/service_name.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <initializer_list>

#include "agent/discovery/resource_attributes.h"

namespace zerospan::discovery {
namespace {

constexpr size_t kMaxName = 255;
using Arguments = std::span<const std::string>;

bool one_of(std::string_view text, std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

std::string_view directory_of(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

std::string_view without_suffix(std::string_view name,
                                std::initializer_list<std::string_view> suffixes) {
  for (const std::string_view suffix : suffixes) {
    if (name.size() > suffix.size() && name.ends_with(suffix)) {
      return name.substr(0, name.size() - suffix.size());
    }
  }
  return name;
}

// The name of an application's directory. "current" is Capistrano's link to the deployed release,
// and the others say what is inside, not what it is.
std::string_view directory_name(std::string_view directory) {
  while (!directory.empty()) {
    const std::string_view name = base_name(directory);
    if (!one_of(name, {"", ".", "..", "current", "src", "dist", "build", "bin", "lib"})) {
      return name;
    }
    directory = directory_of(directory);
  }
  return {};
}

// The first argument from `at` on that is no option. `with_value`: options whose value is the next
// argument.
size_t first_positional(Arguments args, size_t at,
                        std::initializer_list<std::string_view> with_value) {
  while (at < args.size()) {
    const std::string_view arg = args[at];
    if (arg == "--") {
      return at + 1;
    }
    if (arg.empty() || arg.front() != '-' || arg == "-") {
      return at;
    }
    at += one_of(arg, with_value) ? 2 : 1;
  }
  return args.size();
}

bool is_identifier_path(std::string_view text) {
  if (text.empty() || std::isdigit(static_cast<unsigned char>(text.front())) != 0) {
    return false;
  }
  return std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.';
  });
}

// MODULE of a Python entry point MODULE:OBJECT, as application servers take it.
std::string_view module_of_entry_point(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon + 1 == text.size()) {
    return {};
  }
  const std::string_view module = without_suffix(text.substr(0, colon), {".py"});
  const std::string_view object = text.substr(colon + 1);
  const std::string_view object_name = object.substr(0, object.find_first_of("(["));
  return is_identifier_path(module) && is_identifier_path(object_name) ? module
                                                                       : std::string_view{};
}

std::string_view option_value(Arguments args, std::initializer_list<std::string_view> names) {
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string_view arg = args[i];
    for (const std::string_view name : names) {
      if (arg == name && i + 1 < args.size()) {
        return args[i + 1];
      }
      if (arg.size() > name.size() + 1 && arg.starts_with(name) && arg[name.size()] == '=' &&
          name.starts_with("--")) {
        return arg.substr(name.size() + 1);
      }
    }
  }
  return {};
}

// Whether an option of an unknown program may have its value in the next argument.
bool takes_next(std::string_view argument) {
  return argument.starts_with("--") ? argument.find('=') == std::string_view::npos
                                    : argument.size() == 2 && argument.front() == '-';
}

// Python tools that run somebody's application: the application is the service. `args` are the
// tool's own arguments. Empty: not such a tool, or not told.
std::string_view python_application(std::string_view tool, Arguments args) {
  if (one_of(tool, {"gunicorn", "uvicorn", "hypercorn", "daphne", "granian", "waitress-serve",
                    "uwsgi"})) {
    for (const std::string& arg : args) {
      if (const std::string_view module = module_of_entry_point(arg); !module.empty()) {
        return module;
      }
    }
    // gunicorn's ":application" may be left out; the name is then the last argument.
    const bool is_value = args.size() > 1 && takes_next(args[args.size() - 2]);
    if (!args.empty() && !is_value && is_identifier_path(args.back())) {
      return args.back();
    }
    return {};
  }
  if (one_of(tool, {"flask", "celery"})) {
    const std::string_view app = option_value(args, {"--app", "-A"});
    return without_suffix(base_name(app.substr(0, app.find(':'))), {".py"});
  }
  return {};
}

std::string_view script_name(std::string_view script, std::string_view working_directory) {
  const std::string_view stem =
      without_suffix(base_name(script), {".py", ".pyc", ".mjs", ".cjs", ".js", ".ts", ".rb", ".ru",
                                         ".php", ".sh", ".pl", ".phar", ".pyz", ".lua"});
  // Names that every project has say less than the directory they are in.
  if (one_of(stem, {"__main__", "manage", "index", "artisan", "console"})) {
    const std::string_view in_script = directory_name(directory_of(script));
    if (!in_script.empty()) {
      return in_script;
    }
    if (!script.starts_with('/')) {
      const std::string_view in_directory = directory_name(working_directory);
      if (!in_directory.empty()) {
        return in_directory;
      }
    }
  }
  return stem;
}

// A process title that a server wrote over its command line: "puma 6.4.0 (tcp://...) [shop]",
// "gunicorn: worker [shop.wsgi:app]". The part in brackets at the end is the application.
std::string_view title_application(Arguments args) {
  if (args.size() != 1 || !args[0].ends_with(']')) {
    return {};
  }
  const std::string_view title = args[0];
  const size_t open = title.rfind('[');
  if (open == std::string_view::npos) {
    return {};
  }
  const std::string_view inside = title.substr(open + 1, title.size() - open - 2);
  const std::string_view module = module_of_entry_point(inside);
  return module.empty() ? inside : module;
}

std::string_view guess_python(const NameEvidence& e) {
  const Arguments args = e.arguments;
  for (size_t i = 1; i < args.size();) {
    const std::string_view arg = args[i];
    if (arg.size() < 2 || arg.front() != '-') {
      const std::string_view app =
          python_application(without_suffix(base_name(arg), {".py"}), args.subspan(i + 1));
      return app.empty() ? script_name(arg, e.working_directory) : app;
    }
    if (arg.starts_with("--")) {
      i += arg == "--check-hash-based-pycs" ? 2 : 1;
      continue;
    }
    // Short options may be joined; -m and -c end them, -W and -X take a value.
    const size_t special = arg.find_first_of("mcWX", 1);
    if (special == std::string_view::npos) {
      ++i;
      continue;
    }
    const bool joined = special + 1 < arg.size();
    if (arg[special] == 'c') {
      return {};
    }
    if (arg[special] == 'm') {
      if (!joined && i + 1 >= args.size()) {
        return {};
      }
      const std::string_view module =
          joined ? arg.substr(special + 1) : std::string_view(args[i + 1]);
      const std::string_view app =
          python_application(module, args.subspan(std::min(i + (joined ? 1 : 2), args.size())));
      return app.empty() ? module : app;
    }
    i += joined ? 1 : 2;
  }
  return {};
}

std::string guess_node(const NameEvidence& e, const PackageName& package_name) {
  const size_t at = first_positional(
      e.arguments, 1,
      {"-r", "--require", "--import", "--loader", "--experimental-loader", "-e", "--eval", "-p",
       "--print", "-C", "--conditions", "--title", "--env-file", "--input-type"});
  if (at >= e.arguments.size() || e.arguments[at].empty()) {
    return {};
  }
  const std::string_view script = e.arguments[at];
  if (package_name) {
    if (std::string name = package_name(script); !name.empty()) {
      // @scope/name: the scope is the owner, not the service.
      return name.front() == '@' && name.find('/') + 1 < name.size() &&
                     name.find('/') != std::string::npos
                 ? name.substr(name.find('/') + 1)
                 : name;
    }
  }
  return std::string(script_name(script, e.working_directory));
}

// cart-1.2.3-SNAPSHOT -> cart: all versions of a service have one name.
std::string_view without_jar_version(std::string_view name) {
  name = without_suffix(name, {"-SNAPSHOT", ".RELEASE", ".Final", "-all", "-exec"});
  const size_t dash = name.rfind('-');
  if (dash == std::string_view::npos || dash == 0 || dash + 1 == name.size()) {
    return name;
  }
  const std::string_view version = name.substr(dash + 1);
  const bool is_version = std::isdigit(static_cast<unsigned char>(version.front())) != 0 &&
                          version.find_first_not_of("0123456789.") == std::string_view::npos;
  return is_version ? name.substr(0, dash) : name;
}

std::string_view guess_java(const NameEvidence& e) {
  const Arguments args = e.arguments;
  for (size_t i = 1; i < args.size(); ++i) {
    const std::string_view arg = args[i];
    const bool more = i + 1 < args.size();
    if (arg == "-jar") {
      return more ? without_jar_version(without_suffix(base_name(args[i + 1]), {".jar", ".war"}))
                  : std::string_view{};
    }
    if (one_of(arg, {"-m", "--module"})) {
      const std::string_view module = more ? std::string_view(args[i + 1]) : std::string_view{};
      return module.substr(0, module.find('/'));
    }
    if (one_of(arg, {"-cp", "-classpath", "--class-path", "-p", "--module-path",
                     "--upgrade-module-path", "--add-modules", "--add-opens", "--add-exports",
                     "--add-reads", "--limit-modules", "--patch-module", "--source"})) {
      ++i;
      continue;
    }
    if (arg.empty() || arg.front() == '-' || arg.front() == '@') {
      continue;
    }
    return without_suffix(base_name(arg), {".java"});
  }
  return {};
}

std::string_view guess_ruby(const NameEvidence& e) {
  const size_t at =
      first_positional(e.arguments, 1, {"-I", "-r", "-e", "-C", "-E", "-K", "--encoding"});
  if (at >= e.arguments.size()) {
    return {};
  }
  const std::string_view tool = base_name(e.arguments[at]);
  if (one_of(tool, {"puma", "unicorn", "rackup", "rails", "thin", "falcon", "sidekiq", "bundle",
                    "passenger", "rake"})) {
    const std::string_view directory = directory_name(e.working_directory);
    return directory.empty() ? tool : directory;
  }
  return script_name(e.arguments[at], e.working_directory);
}

std::string_view guess_php(const NameEvidence& e) {
  if (base_name(e.executable).starts_with("php-fpm")) {
    return "php-fpm";
  }
  const size_t at = first_positional(
      e.arguments, 1, {"-S", "-t", "-d", "-c", "-f", "-r", "-z", "-B", "-R", "-F", "-E"});
  if (const std::string_view file = option_value(e.arguments, {"-f", "--file"}); !file.empty()) {
    return script_name(file, e.working_directory);
  }
  return at < e.arguments.size() ? script_name(e.arguments[at], e.working_directory) : "php";
}

std::string_view guess_dotnet(const NameEvidence& e) {
  if (base_name(e.executable) != "dotnet") {
    return base_name(e.executable);  // .NET's own executable, named after the application
  }
  for (size_t i = 1; i < e.arguments.size(); ++i) {
    const std::string_view arg = e.arguments[i];
    if (arg.ends_with(".dll") || arg.ends_with(".exe")) {
      return without_suffix(base_name(arg), {".dll", ".exe"});
    }
  }
  if (e.arguments.size() > 1 && one_of(e.arguments[1], {"run", "watch"})) {
    return directory_name(e.working_directory);
  }
  return {};
}

// One file may be several programs, by the name of the link that it was started by: Debian's
// redis-server is a link to redis-check-rdb. The kernel keeps the beginning of that name as the
// command, and the first argument has the whole of it, as most callers give it.
std::string_view linked_name(const NameEvidence& e, std::string_view name) {
  constexpr size_t kCommandMax = 15;  // TASK_COMM_LEN without its end
  const std::string_view first = e.arguments.empty() ? std::string_view() : e.arguments[0];
  const std::string_view called = base_name(first.substr(0, first.find(' ')));
  const bool by_command = !e.command.empty() && called.substr(0, kCommandMax) == e.command;
  return by_command && name.substr(0, kCommandMax) != e.command ? called : name;
}

std::string_view guess_native(const NameEvidence& e) {
  const std::string_view name = base_name(e.executable);
  if (one_of(name, {"sh", "bash", "dash", "zsh", "ash", "busybox", "perl", "lua", "luajit", "deno",
                    "bun", "Rscript"})) {
    size_t at = first_positional(e.arguments, 1, {"-o", "-O", "+o", "+O", "--rcfile"});
    if (at < e.arguments.size() && one_of(e.arguments[at], {"run", "start"})) {
      at = first_positional(e.arguments, at + 1, {});
    }
    // sh -c 'text': the text is no name.
    const bool has_text = at > 1 && at <= e.arguments.size() &&
                          one_of(e.arguments[at - 1], {"-c", "-e", "-lc", "-ec", "-xc"});
    if (at < e.arguments.size() && !has_text) {
      return script_name(e.arguments[at], e.working_directory);
    }
  }
  return linked_name(e, name);
}

}  // namespace

std::string_view stated_java_name(std::span<const std::string> arguments) {
  constexpr std::string_view kProperty = "-Dotel.service.name=";
  for (const std::string& argument : arguments) {
    if (argument.starts_with(kProperty)) {
      return std::string_view(argument).substr(kProperty.size());
    }
  }
  return {};
}

std::string guess_service_name(const NameEvidence& evidence, const PackageName& package_name) {
  std::string name;
  if (one_of(to_string(evidence.runtime), {"Python", "Ruby", "Node.js"})) {
    name = title_application(evidence.arguments);
  }
  if (name.empty()) {
    switch (evidence.runtime) {
      case Runtime::kPython:
        name = base_name(evidence.executable) == "uwsgi"
                   ? python_application("uwsgi", evidence.arguments)
                   : guess_python(evidence);
        break;
      case Runtime::kNode:
        name = guess_node(evidence, package_name);
        break;
      case Runtime::kJava:
        name = guess_java(evidence);
        break;
      case Runtime::kRuby:
        name = guess_ruby(evidence);
        break;
      case Runtime::kPhp:
        name = guess_php(evidence);
        break;
      case Runtime::kDotnet:
        name = guess_dotnet(evidence);
        break;
      case Runtime::kNative:
      case Runtime::kGo:
        name = guess_native(evidence);
        break;
    }
  }
  if (name.empty()) {
    name = base_name(evidence.executable);
  }
  if (name.empty()) {
    name = evidence.command;
  }
  if (name.empty()) {
    name = "unknown_service";  // what the semantic conventions say when nothing is known
  }
  name.resize(std::min(name.size(), kMaxName));
  return to_utf8(name);
}

}  // namespace zerospan::discovery
