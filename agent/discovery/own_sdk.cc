// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/own_sdk.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <span>
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

constexpr auto kPythonLibraries = std::to_array<Library>({
    {"aio_pika", kRabbitmq},
    {"aiohttp_client", kHttpClient},
    {"aiohttp_server", kHttpServer},
    {"aiokafka", kKafka},
    {"aiopg", kPostgresql},
    {"asyncpg", kPostgresql},
    {"confluent_kafka", kKafka},
    {"django", kHttpServer},
    {"falcon", kHttpServer},
    {"fastapi", kHttpServer},
    {"flask", kHttpServer},
    {"grpc", kRpcSpans},
    {"httpx", kHttpClient},
    {"kafka", kKafka},
    {"mysql", kMysql},
    {"mysqlclient", kMysql},
    {"pika", kRabbitmq},
    {"psycopg", kPostgresql},
    {"psycopg2", kPostgresql},
    {"pymemcache", kMemcached},
    {"pymongo", kMongodb},
    {"pymysql", kMysql},
    {"pyramid", kHttpServer},
    {"requests", kHttpClient},
    {"redis", kRedis},
    {"sqlalchemy", kSqlSpans},
    {"starlette", kHttpServer},
    {"tornado", kHttpSpans},
    {"tortoiseorm", kSqlSpans},
    {"urllib", kHttpClient},
    {"urllib3", kHttpClient},
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

// By the middle of OTEL_INSTRUMENTATION_..._ENABLED, and of OTEL_DOTNET_AUTO_TRACES_...
constexpr auto kJavaLibraries = std::to_array<Library>({
    {"GRPC", kRpcSpans},
    {"JDBC", kSqlSpans},
    {"KAFKA", kKafka},
    {"RABBITMQ", kRabbitmq},
    {"MONGO", kMongodb},
});
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
  // A Java property on the command line, or in the variables that the virtual machine reads.
  [[nodiscard]] std::string_view property(const std::string& name) const {
    const std::string wanted = "-D" + name + "=";
    for (const std::string_view argument : java_options()) {
      if (argument.starts_with(wanted)) {
        return argument.substr(wanted.size());
      }
    }
    return {};
  }
  [[nodiscard]] std::vector<std::string_view> java_options() const {
    std::vector<std::string_view> options(arguments_.begin(), arguments_.end());
    for (const std::string_view name : {"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"}) {
      const std::vector<std::string_view> more = split(variable(name), ' ');
      options.insert(options.end(), more.begin(), more.end());
    }
    return options;
  }
  [[nodiscard]] bool argument_contains(std::string_view part) const {
    return std::any_of(arguments_.begin(), arguments_.end(),
                       [&](const std::string& argument) { return contains(argument, part); });
  }
  // The first of these settings that says so; empty if none does.
  [[nodiscard]] std::string switched_by(
      std::span<const std::pair<std::string_view, std::string_view>> values) const {
    for (const auto& [name, value] : values) {
      if (is_word(variable(name), value)) {
        return std::string(name) + "=" + std::string(value);
      }
      std::string property_name;
      for (const char c : name) {
        property_name += c == '_' ? '.' : static_cast<char>(std::tolower(static_cast<uint8_t>(c)));
      }
      if (is_word(property(property_name), value)) {
        return "-D" + property_name + "=" + std::string(value);
      }
    }
    return {};
  }

 private:
  const std::vector<std::string>& arguments_;
  std::string_view environment_;
};

constexpr std::string_view kAutoInstrumentation =
    "/opentelemetry/instrumentation/auto_instrumentation";

// opentelemetry-instrument puts a folder on the path whose sitecustomize.py the interpreter runs.
// Beside that folder lie those of the libraries' instrumentation that are installed.
bool find_python(const Settings& settings, const DirectoryLister& list, SpanClasses& makes) {
  for (const std::string_view entry : split(settings.variable("PYTHONPATH"), ':')) {
    if (!entry.ends_with(kAutoInstrumentation)) {
      continue;
    }
    const auto off = split(settings.variable("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"), ',');
    for (const std::string& name : list(std::string(entry.substr(0, entry.rfind('/'))))) {
      for (const Library& library : kPythonLibraries) {
        if (library.name == name && !has(off, name) && !has(off, "*")) {
          makes |= library.makes;
        }
      }
    }
    return true;
  }
  return false;
}

bool find_node(const Settings& settings, SpanClasses& makes) {
  // The package, and where the Kubernetes operator puts it.
  constexpr std::string_view kPackage = "auto-instrumentations-node";
  constexpr std::string_view kOperator = "otel-auto-instrumentation-nodejs";
  const std::string_view options = settings.variable("NODE_OPTIONS");
  if (!contains(options, kPackage) && !contains(options, kOperator) &&
      !settings.argument_contains(kPackage)) {
    return false;
  }
  const auto on = split(settings.variable("OTEL_NODE_ENABLED_INSTRUMENTATIONS"), ',');
  const auto off = split(settings.variable("OTEL_NODE_DISABLED_INSTRUMENTATIONS"), ',');
  for (const Library& library : kNodeLibraries) {
    if ((on.empty() || has(on, library.name)) && !has(off, library.name)) {
      makes |= library.makes;
    }
  }
  return true;
}

bool find_java(const Settings& settings, SpanClasses& makes) {
  // OpenTelemetry's own agent, and those made from it.
  const auto is_agent = [](std::string_view option) {
    return option.starts_with("-javaagent:") &&
           (contains(option, "opentelemetry-javaagent") || contains(option, "otel-javaagent") ||
            contains(option, "aws-opentelemetry-agent"));
  };
  const auto options = settings.java_options();
  if (std::none_of(options.begin(), options.end(), is_agent)) {
    return false;
  }
  makes = kAllSpans;
  for (const Library& library : kJavaLibraries) {
    const std::string name = "OTEL_INSTRUMENTATION_" + std::string(library.name) + "_ENABLED";
    const std::pair<std::string_view, std::string_view> off(name, "false");
    if (!settings.switched_by(std::span(&off, 1)).empty()) {
      makes &= static_cast<SpanClasses>(~library.makes);
    }
  }
  return true;
}

bool find_dotnet(const Settings& settings, SpanClasses& makes) {
  const bool profiler =
      settings.variable("CORECLR_ENABLE_PROFILING") == "1" &&
      is_word(settings.variable("CORECLR_PROFILER"), "{918728dd-259f-4a6a-ac2b-b85e1b658318}");
  if (!profiler && !contains(settings.variable("DOTNET_STARTUP_HOOKS"),
                             "OpenTelemetry.AutoInstrumentation.StartupHook")) {
    return false;
  }
  for (const Library& library : kDotnetLibraries) {
    const std::string name =
        "OTEL_DOTNET_AUTO_TRACES_" + std::string(library.name) + "_INSTRUMENTATION_ENABLED";
    if (!is_word(settings.variable(name), "false")) {
      makes |= library.makes;
    }
  }
  return true;
}

// What switches an SDK off as a whole, or its spans.
std::string switched_by(const Settings& settings, Runtime runtime) {
  using Value = std::pair<std::string_view, std::string_view>;
  constexpr auto kAny =
      std::to_array<Value>({{"OTEL_SDK_DISABLED", "true"}, {"OTEL_TRACES_EXPORTER", "none"}});
  constexpr auto kJava =
      std::to_array<Value>({{"OTEL_JAVAAGENT_ENABLED", "false"},
                            {"OTEL_INSTRUMENTATION_COMMON_DEFAULT_ENABLED", "false"}});
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

FoundSdk find_sdk(Runtime runtime, const std::vector<std::string>& arguments,
                  std::string_view environment, const DirectoryLister& list) {
  const Settings settings(arguments, environment);
  FoundSdk found;
  SpanClasses makes = 0;
  switch (runtime) {
    case Runtime::kPython:
      found.name = find_python(settings, list, makes) ? "opentelemetry-instrument (Python)" : "";
      break;
    case Runtime::kNode:
      found.name = find_node(settings, makes) ? "auto-instrumentations-node" : "";
      break;
    case Runtime::kJava:
      found.name = find_java(settings, makes) ? "opentelemetry-javaagent" : "";
      break;
    case Runtime::kDotnet:
      found.name = find_dotnet(settings, makes) ? "OpenTelemetry .NET auto-instrumentation" : "";
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
