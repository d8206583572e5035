// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/own_sdk.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <span>
#include <unordered_set>
#include <utility>

#include "agent/discovery/procfs.h"

namespace zerospan::discovery {
namespace {

constexpr SpanClasses kAllSpans = kHttpSpans | kRpcSpans | kDatabaseSpans | kMessagingSpans;

// A library's instrumentation, by the name that its language's settings know it by.
struct Library {
  std::string_view name;
  SpanClasses makes;
};

// The module that it instruments, which does nothing where that is not installed; empty: a part of
// Python.
struct PythonLibrary {
  std::string_view name;
  SpanClasses makes;
  std::string_view module;
};

constexpr auto kPythonLibraries = std::to_array<PythonLibrary>({
    {"aio_pika", kRabbitmq, "aio_pika"},
    {"aiohttp_client", kHttpClient, "aiohttp"},
    {"aiohttp_server", kHttpServer, "aiohttp"},
    {"aiokafka", kKafka, "aiokafka"},
    {"aiopg", kPostgresql, "aiopg"},
    {"asyncpg", kPostgresql, "asyncpg"},
    {"confluent_kafka", kKafka, "confluent_kafka"},
    {"django", kHttpServer, "django"},
    {"falcon", kHttpServer, "falcon"},
    {"fastapi", kHttpServer, "fastapi"},
    {"flask", kHttpServer, "flask"},
    {"grpc", kRpcSpans, "grpc"},
    {"httpx", kHttpClient, "httpx"},
    {"kafka", kKafka, "kafka"},
    {"mysql", kMysql, "mysql"},
    {"mysqlclient", kMysql, "MySQLdb"},
    {"pika", kRabbitmq, "pika"},
    {"psycopg", kPostgresql, "psycopg"},
    {"psycopg2", kPostgresql, "psycopg2"},
    {"pymemcache", kMemcached, "pymemcache"},
    {"pymongo", kMongodb, "pymongo"},
    {"pymysql", kMysql, "pymysql"},
    {"pyramid", kHttpServer, "pyramid"},
    {"requests", kHttpClient, "requests"},
    {"redis", kRedis, "redis"},
    {"sqlalchemy", kSqlSpans, "sqlalchemy"},
    {"starlette", kHttpServer, "starlette"},
    {"tornado", kHttpSpans, "tornado"},
    {"tortoiseorm", kSqlSpans, "tortoise"},
    {"urllib", kHttpClient, ""},
    {"urllib3", kHttpClient, "urllib3"},
});

constexpr auto kNodeLibraries = std::to_array<Library>({
    {"amqplib", kRabbitmq},
    {"grpc", kRpcSpans},
    {"http", kHttpSpans},
    {"ioredis", kRedis},
    {"kafkajs", kKafka},
    {"memcached", kMemcached},
    {"mongodb", kMongodb},
    {"mysql", kMysql},
    {"mysql2", kMysql},
    {"pg", kPostgresql},
    {"redis", kRedis},
    {"redis-4", kRedis},
    {"undici", kHttpClient},
});

// By the middle of OTEL_INSTRUMENTATION_..._ENABLED.
constexpr auto kJavaLibraries = std::to_array<Library>({
    {"APACHE_HTTPCLIENT", kHttpClient},
    {"ARMERIA", kHttpSpans},
    {"ASYNC_HTTP_CLIENT", kHttpClient},
    {"GRIZZLY", kHttpServer},
    {"GRPC", kRpcSpans},
    {"HTTP_URL_CONNECTION", kHttpClient},
    {"JAVA_HTTP_CLIENT", kHttpClient},
    {"JAVA_HTTP_SERVER", kHttpServer},
    {"JDBC", kSqlSpans},
    {"JEDIS", kRedis},
    {"JETTY", kHttpServer},
    {"JETTY_HTTPCLIENT", kHttpClient},
    {"KAFKA", kKafka},
    {"LETTUCE", kRedis},
    {"LIBERTY", kHttpServer},
    {"MONGO", kMongodb},
    {"NETTY", kHttpSpans},
    {"OKHTTP", kHttpClient},
    {"R2DBC", kSqlSpans},
    {"RABBITMQ", kRabbitmq},
    {"REACTOR_NETTY", kHttpClient},
    {"REDISSON", kRedis},
    {"SPYMEMCACHED", kMemcached},
    {"TOMCAT", kHttpServer},
    {"UNDERTOW", kHttpServer},
    {"VERTX_SQL_CLIENT", kSqlSpans},
});
// Who switches one of these off uses it, as far as is known. Calls over HTTP tell it themselves.
constexpr SpanClasses kOffByOneOfJava = kAllSpans & ~static_cast<SpanClasses>(kHttpClient);
// By the middle of OTEL_DOTNET_AUTO_TRACES_..._INSTRUMENTATION_ENABLED.
constexpr auto kDotnetLibraries = std::to_array<Library>({
    {"ASPNETCORE", kHttpServer | kRpcServer},
    {"GRPCNETCLIENT", kRpcClient},
    {"HTTPCLIENT", kHttpClient},
    {"KAFKA", kKafka},
    {"MONGODB", kMongodb},
    {"MYSQLCONNECTOR", kMysql},
    {"MYSQLDATA", kMysql},
    {"NPGSQL", kPostgresql},
    {"RABBITMQ", kRabbitmq},
    {"STACKEXCHANGEREDIS", kRedis},
});

bool is_word(std::string_view value, std::string_view lower_case) {
  return std::equal(value.begin(), value.end(), lower_case.begin(), lower_case.end(),
                    [](char a, char b) { return std::tolower(static_cast<uint8_t>(a)) == b; });
}

// OTEL_A_B_C is the property otel.a.b-c, or otel.a-b.c.
bool is_property(std::string_view property, std::string_view variable) {
  return std::equal(property.begin(), property.end(), variable.begin(), variable.end(),
                    [](char in_property, char in_variable) {
                      return in_variable == '_'
                                 ? in_property == '.' || in_property == '-'
                                 : in_property == std::tolower(static_cast<uint8_t>(in_variable));
                    });
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// The pieces of a list, without the blanks around them.
std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> pieces;
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    std::string_view piece = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    while (piece.starts_with(' ')) {
      piece.remove_prefix(1);
    }
    while (piece.ends_with(' ')) {
      piece.remove_suffix(1);
    }
    if (!piece.empty()) {
      pieces.push_back(piece);
    }
  }
  return pieces;
}

bool has(const std::vector<std::string_view>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

class Settings {
 public:
  Settings(const std::vector<std::string>& arguments, std::string_view environment)
      : arguments_(arguments), environment_(environment) {}

  [[nodiscard]] std::string_view variable(std::string_view name) const {
    return find_variable(environment_, name);
  }
  [[nodiscard]] std::vector<std::string_view> java_options() const {
    std::vector<std::string_view> options(arguments_.begin(), arguments_.end());
    for (const std::string_view name : {"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"}) {
      const std::vector<std::string_view> more = split(variable(name), ' ');
      options.insert(options.end(), more.begin(), more.end());
    }
    return options;
  }
  // The first of these settings that says so, as a variable or as a Java property; empty if none.
  [[nodiscard]] std::string switched_by(
      std::span<const std::pair<std::string_view, std::string_view>> values) const {
    for (const auto& [name, value] : values) {
      if (is_word(variable(name), value)) {
        return std::string(name) + "=" + std::string(value);
      }
      for (const std::string_view option : java_options()) {
        const size_t equals = option.find('=');
        if (option.starts_with("-D") && equals != std::string_view::npos &&
            is_property(option.substr(2, equals - 2), name) &&
            is_word(option.substr(equals + 1), value)) {
          return std::string(option);
        }
      }
    }
    return {};
  }

 private:
  const std::vector<std::string>& arguments_;
  std::string_view environment_;
};

bool on_in_node(const Settings& settings, std::string_view library) {
  const auto on = split(settings.variable("OTEL_NODE_ENABLED_INSTRUMENTATIONS"), ',');
  const auto off = split(settings.variable("OTEL_NODE_DISABLED_INSTRUMENTATIONS"), ',');
  return (on.empty() || has(on, library)) && !has(off, library);
}

constexpr std::string_view kAutoInstrumentation =
    "/opentelemetry/instrumentation/auto_instrumentation";

// The modules that are installed where such a program may look for them.
std::unordered_set<std::string> python_modules(const Program& program, const Settings& settings,
                                               const Files& files) {
  std::vector<std::string> directories;
  for (const std::string_view entry : split(settings.variable("PYTHONPATH"), ':')) {
    directories.emplace_back(entry.substr(
        0,
        entry.size() - (entry.ends_with(kAutoInstrumentation) ? kAutoInstrumentation.size() : 0)));
  }
  // Prefixes of an installation: PREFIX/bin has its programs, PREFIX/lib/pythonX.Y/ its modules.
  std::set<std::string> prefixes = {"/usr", "/usr/local"};
  const auto add_prefix_of = [&](std::string_view path) {
    if (const size_t bin = path.rfind("/bin/"); bin != std::string_view::npos) {
      prefixes.emplace(path.substr(0, bin));
    }
  };
  add_prefix_of(program.executable);
  for (const std::string& argument :
       std::span(program.arguments).first(std::min<size_t>(2, program.arguments.size()))) {
    add_prefix_of(argument);  // of a virtual environment
  }
  prefixes.emplace(settings.variable("VIRTUAL_ENV"));
  if (const std::string_view home = settings.variable("HOME"); !home.empty()) {
    prefixes.emplace(std::string(home) + "/.local");
  }
  for (const std::string& prefix : prefixes) {
    if (!prefix.starts_with('/')) {
      continue;
    }
    for (const std::string& version : files.list(prefix + "/lib")) {
      if (version.starts_with("python3")) {
        directories.push_back(prefix + "/lib/" + version + "/site-packages");
        directories.push_back(prefix + "/lib/" + version + "/dist-packages");
      }
    }
  }
  std::unordered_set<std::string> modules;
  for (const std::string& directory : directories) {
    for (std::string& name : files.list(directory)) {
      modules.insert(std::move(name));
    }
  }
  return modules;
}

// opentelemetry-instrument puts a folder on the path whose sitecustomize.py the interpreter runs.
// Beside that folder lie those of the libraries' instrumentation that are installed.
std::string find_python(const Program& program, const Settings& settings, const Files& files,
                        SpanClasses& makes) {
  for (const std::string_view entry : split(settings.variable("PYTHONPATH"), ':')) {
    if (!entry.ends_with(kAutoInstrumentation)) {
      continue;
    }
    const auto off = split(settings.variable("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"), ',');
    const auto modules = python_modules(program, settings, files);
    for (const std::string& name : files.list(std::string(entry.substr(0, entry.rfind('/'))))) {
      for (const PythonLibrary& library : kPythonLibraries) {
        if (library.name == name && !has(off, name) && !has(off, "*") &&
            (library.module.empty() || modules.contains(std::string(library.module)))) {
          makes |= library.makes;
        }
      }
    }
    return "opentelemetry-instrument (Python)";
  }
  return {};
}

// What node loads before the program itself, by its command line and NODE_OPTIONS.
std::vector<std::string_view> preloaded_by_node(const Program& program, const Settings& settings) {
  std::vector<std::string_view> options;
  for (const std::string_view option : split(settings.variable("NODE_OPTIONS"), ' ')) {
    options.push_back(option);
  }
  for (size_t i = 1; i < program.arguments.size(); ++i) {
    options.emplace_back(program.arguments[i]);
  }
  std::vector<std::string_view> modules;
  const auto add = [&](std::string_view module) {
    const auto is_quote = [](char c) { return c == '"' || c == '\''; };
    while (!module.empty() && is_quote(module.front())) {
      module.remove_prefix(1);
    }
    while (!module.empty() && is_quote(module.back())) {
      module.remove_suffix(1);
    }
    modules.push_back(module);
  };
  constexpr auto kPreload = std::to_array<std::string_view>({"--require", "--import", "-r"});
  for (size_t i = 0; i < options.size() && options[i].starts_with('-'); ++i) {
    for (const std::string_view name : kPreload) {
      if (options[i] == name && i + 1 < options.size()) {
        add(options[++i]);
        break;
      }
      if (options[i].starts_with(name) && options[i].substr(name.size()).starts_with('=')) {
        add(options[i].substr(name.size() + 1));
        break;
      }
    }
  }
  return modules;
}

constexpr std::string_view kNodePackage = "auto-instrumentations-node";

// Which libraries a file that is loaded before the program sets up, by the packages that it names.
// False: it sets no SDK up.
bool set_up_by_file(std::string_view file, const Settings& settings, SpanClasses& makes) {
  std::string text;
  for (std::string_view line : split(file, '\n')) {
    while (line.starts_with('\t') || line.starts_with(' ')) {
      line.remove_prefix(1);
    }
    if (!line.starts_with("//") && !line.starts_with('*') && !line.starts_with("/*")) {
      (text += line) += ' ';
    }
  }
  if (!contains(text, "@opentelemetry/sdk-node") && !contains(text, "@opentelemetry/sdk-trace-")) {
    return false;
  }
  const bool automatic = contains(text, kNodePackage);
  for (const Library& library : kNodeLibraries) {
    bool on = automatic && on_in_node(settings, library.name);
    const std::string name = "@opentelemetry/instrumentation-" + std::string(library.name);
    for (size_t at = text.find(name); at != std::string::npos; at = text.find(name, at + 1)) {
      std::string after;  // the next few characters but blanks
      for (size_t i = at + name.size(); i < text.size() && after.size() < 20; ++i) {
        if (std::isspace(static_cast<uint8_t>(text[i])) == 0) {
          after += text[i] == '"' || text[i] == '`' ? '\'' : text[i];
        }
      }
      if (after.starts_with("':{enabled:false")) {
        on = false;
      } else if (after.starts_with("':{enabled:true") || (!automatic && after.starts_with('\''))) {
        on = true;
      }
    }
    makes |= on ? library.makes : 0;
  }
  return true;
}

std::string find_node(const Program& program, const Settings& settings, const Files& files,
                      SpanClasses& makes) {
  // Where the Kubernetes operator puts a file of its own.
  constexpr std::string_view kOperator = "otel-auto-instrumentation-nodejs";
  constexpr std::string_view kUrl = "file://";
  for (std::string_view module : preloaded_by_node(program, settings)) {
    if (contains(module, kNodePackage) || contains(module, kOperator)) {
      for (const Library& library : kNodeLibraries) {
        makes |= on_in_node(settings, library.name) ? library.makes : 0;
      }
      return std::string(kNodePackage);
    }
    if (module.starts_with(kUrl)) {
      module.remove_prefix(kUrl.size());
    }
    if (module.starts_with('/') || module.starts_with('.')) {
      std::string text = files.read(std::string(module));
      if (text.empty() && !module.ends_with("js")) {
        text = files.read(std::string(module) + ".js");
      }
      if (set_up_by_file(text, settings, makes)) {
        return "set up by " + std::string(module);
      }
    }
  }
  return {};
}

std::string find_java(const Settings& settings, SpanClasses& makes) {
  // OpenTelemetry's own agent, and those made from it.
  const auto is_agent = [](std::string_view option) {
    return option.starts_with("-javaagent:") &&
           (contains(option, "opentelemetry-javaagent") || contains(option, "otel-javaagent") ||
            contains(option, "aws-opentelemetry-agent"));
  };
  const auto options = settings.java_options();
  if (std::none_of(options.begin(), options.end(), is_agent)) {
    return {};
  }
  const auto is_set = [&](std::string_view library, std::string_view value) {
    const std::string name = "OTEL_INSTRUMENTATION_" + std::string(library) + "_ENABLED";
    const std::pair<std::string_view, std::string_view> wanted(name, value);
    return !settings.switched_by(std::span(&wanted, 1)).empty();
  };
  const bool by_default = !is_set("COMMON_DEFAULT", "false");
  makes = by_default ? kAllSpans : 0;
  for (const Library& library : kJavaLibraries) {
    if (by_default && is_set(library.name, "false")) {
      makes &= ~(library.makes & kOffByOneOfJava);
    } else if (!by_default && is_set(library.name, "true")) {
      makes |= library.makes;
    }
  }
  return "opentelemetry-javaagent";
}

std::string find_dotnet(const Settings& settings, SpanClasses& makes) {
  const bool profiler =
      settings.variable("CORECLR_ENABLE_PROFILING") == "1" &&
      is_word(settings.variable("CORECLR_PROFILER"), "{918728dd-259f-4a6a-ac2b-b85e1b658318}");
  if (!profiler && !contains(settings.variable("DOTNET_STARTUP_HOOKS"),
                             "OpenTelemetry.AutoInstrumentation.StartupHook")) {
    return {};
  }
  for (const Library& library : kDotnetLibraries) {
    const std::string name =
        "OTEL_DOTNET_AUTO_TRACES_" + std::string(library.name) + "_INSTRUMENTATION_ENABLED";
    if (!is_word(settings.variable(name), "false")) {
      makes |= library.makes;
    }
  }
  return "OpenTelemetry .NET auto-instrumentation";
}

// What switches an SDK off as a whole, or its spans.
std::string switched_by(const Settings& settings, Runtime runtime) {
  using Value = std::pair<std::string_view, std::string_view>;
  constexpr auto kAny =
      std::to_array<Value>({{"OTEL_SDK_DISABLED", "true"}, {"OTEL_TRACES_EXPORTER", "none"}});
  constexpr auto kJava = std::to_array<Value>({{"OTEL_JAVAAGENT_ENABLED", "false"}});
  constexpr auto kDotnet =
      std::to_array<Value>({{"OTEL_DOTNET_AUTO_TRACES_ENABLED", "false"},
                            {"OTEL_DOTNET_AUTO_TRACES_INSTRUMENTATION_ENABLED", "false"},
                            {"OTEL_DOTNET_AUTO_INSTRUMENTATION_ENABLED", "false"}});
  std::string found = settings.switched_by(kAny);
  if (found.empty() && runtime == Runtime::kJava) {
    found = settings.switched_by(kJava);
  }
  if (found.empty() && runtime == Runtime::kDotnet) {
    found = settings.switched_by(kDotnet);
  }
  return found;
}

}  // namespace

FoundSdk find_sdk(Runtime runtime, const Program& program, const Files& files) {
  const Settings settings(program.arguments, program.environment);
  FoundSdk found;
  SpanClasses makes = 0;
  switch (runtime) {
    case Runtime::kPython:
      found.name = find_python(program, settings, files, makes);
      break;
    case Runtime::kNode:
      found.name = find_node(program, settings, files, makes);
      break;
    case Runtime::kJava:
      found.name = find_java(settings, makes);
      break;
    case Runtime::kDotnet:
      found.name = find_dotnet(settings, makes);
      break;
    case Runtime::kGo:  // its file tells
    case Runtime::kNative:
    case Runtime::kRuby:
    case Runtime::kPhp:
      break;
  }
  if (runtime == Runtime::kGo || !found.name.empty()) {
    found.switched_by = switched_by(settings, runtime);
  }
  if (found.switched_by.empty()) {
    found.spans = {.makes = makes,
                   .sends_context = !is_word(settings.variable("OTEL_PROPAGATORS"), "none")};
  }
  return found;
}

}  // namespace zerospan::discovery
