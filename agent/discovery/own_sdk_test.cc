// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/own_sdk.h"

#include <gtest/gtest.h>

#include <map>
#include <type_traits>

namespace zerospan::discovery {
namespace {

using namespace std::string_literals;

using Directories = std::map<std::string, std::vector<std::string>>;
using Texts = std::map<std::string, std::string>;

// Of variables that are separated by spaces.
FoundSdk find(Runtime runtime, std::string environment,
              const std::vector<std::string>& arguments = {}, const Directories& directories = {},
              const Texts& texts = {}, std::string_view executable = "/usr/bin/program") {
  for (char& c : environment) {
    c = c == ' ' ? '\0' : c;
  }
  const auto of = [](const auto& map, const std::string& path) {
    const auto found = map.find(path);
    return found == map.end() ? typename std::decay_t<decltype(map)>::mapped_type() : found->second;
  };
  return find_sdk(runtime,
                  {.executable = executable, .arguments = arguments, .environment = environment},
                  {.list = [&](const std::string& path) { return of(directories, path); },
                   .read = [&](const std::string& path) { return of(texts, path); }});
}

TEST(OwnSdk, MostProgramsHaveNone) {
  for (const Runtime runtime : {Runtime::kNative, Runtime::kGo, Runtime::kNode, Runtime::kPython,
                                Runtime::kJava, Runtime::kDotnet, Runtime::kPhp, Runtime::kRuby}) {
    const FoundSdk found = find(runtime, "PATH=/bin OTEL_SERVICE_NAME=a", {"program", "--flag"});
    EXPECT_EQ(found, FoundSdk{}) << to_string(runtime);
  }
}

TEST(OwnSdk, PythonByTheFolderOnItsPath) {
  const std::string site = "/venv/lib/python3.11/site-packages";
  const std::string path =
      "PYTHONPATH=/app:" + site + "/opentelemetry/instrumentation/auto_instrumentation";
  const Directories all = {
      {site + "/opentelemetry/instrumentation",
       {"auto_instrumentation", "flask", "requests", "wsgi", "pymysql", "urllib"}},
      {site, {"flask", "requests", "pymysql", "opentelemetry"}}};
  FoundSdk found = find(Runtime::kPython, path, {}, all);
  EXPECT_EQ(found.spans.makes, kHttpServer | kHttpClient | kMysql);
  EXPECT_TRUE(found.spans.sends_context);
  found = find(Runtime::kPython, path + " OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=requests,flask", {},
               all);
  EXPECT_EQ(found.spans.makes, kHttpClient | kMysql);  // urllib's is there without a module
  EXPECT_EQ(find(Runtime::kPython, path).spans.makes, 0);
  // Nothing that runs in a node program.
  EXPECT_TRUE(find(Runtime::kNode, path, {}, all).name.empty());
  EXPECT_TRUE(find(Runtime::kPython, "PYTHONPATH=/app", {}, all).name.empty());
}

TEST(OwnSdk, PythonInstrumentsWhatIsInstalled) {
  // As Kubernetes' operator puts it into a container: all instrumentation, away from the program.
  const std::string path = "PYTHONPATH=/otel/opentelemetry/instrumentation/auto_instrumentation";
  const std::pair<std::string, std::vector<std::string>> otel = {
      "/otel/opentelemetry/instrumentation", {"flask", "django", "requests", "psycopg2"}};
  EXPECT_EQ(find(Runtime::kPython, path, {"python3", "app.py"}, {otel}).spans.makes, 0);
  for (const auto& [prefix, kind] :
       std::map<std::string, std::string>{{"/usr", "dist-packages"},
                                          {"/opt/python", "site-packages"},
                                          {"/venv", "site-packages"},
                                          {"/root/.local", "site-packages"},
                                          {"/other", "site-packages"}}) {
    const Directories directories = {otel,
                                     {prefix + "/lib", {"locale", "python3.11"}},
                                     {prefix + "/lib/python3.11/" + kind, {"django", "psycopg2"}}};
    EXPECT_EQ(find(Runtime::kPython, path + " HOME=/root VIRTUAL_ENV=/other",
                   {"/venv/bin/python3", "app.py"}, directories, {}, "/opt/python/bin/python3.11")
                  .spans.makes,
              kHttpServer | kPostgresql)
        << prefix;
  }
}

TEST(OwnSdk, WhatSwitchesItOff) {
  const std::string on =
      "NODE_OPTIONS=--require=@opentelemetry/auto-instrumentations-node/register";
  EXPECT_EQ(find(Runtime::kNode, on).spans.makes,
            kHttpSpans | kRpcSpans | kDatabaseSpans | kMessagingSpans);
  for (const std::string off : {"OTEL_SDK_DISABLED=True", "OTEL_TRACES_EXPORTER=none"}) {
    const FoundSdk found = find(Runtime::kNode, on + " " + off);
    EXPECT_FALSE(found.name.empty());
    EXPECT_FALSE(found.switched_by.empty());
    EXPECT_EQ(found.spans.makes, 0);
    EXPECT_FALSE(find(Runtime::kGo, off).switched_by.empty());
  }
  for (const std::string still_on : {"OTEL_SDK_DISABLED=1", "OTEL_TRACES_EXPORTER=otlp"}) {
    EXPECT_NE(find(Runtime::kNode, on + " " + still_on).spans.makes, 0);
  }
}

TEST(OwnSdk, NodeByItsOptionsOrItsCommandLine) {
  const std::vector<std::string> arguments = {
      "node", "--import", "@opentelemetry/auto-instrumentations-node/register", "app.js"};
  EXPECT_NE(find(Runtime::kNode, "", arguments).spans.makes, 0);
  EXPECT_EQ(
      find(Runtime::kNode, "OTEL_NODE_ENABLED_INSTRUMENTATIONS=pg,http", arguments).spans.makes,
      kHttpSpans | kPostgresql);
  EXPECT_EQ(
      find(Runtime::kNode, "OTEL_NODE_DISABLED_INSTRUMENTATIONS=http,grpc,mysql,mysql2", arguments)
          .spans.makes,
      kHttpClient | kPostgresql | kRedis | kMemcached | kMessagingSpans | kMongodb);
}

TEST(OwnSdk, NodeByWhatItsOptionsLoad) {
  const std::string file = R"(
    const {NodeSDK} = require('@opentelemetry/sdk-node');
    const { getNodeAutoInstrumentations } = require("@opentelemetry/auto-instrumentations-node");
    // '@opentelemetry/instrumentation-pg': {enabled: false},
    new NodeSDK({instrumentations: [getNodeAutoInstrumentations({
      '@opentelemetry/instrumentation-undici': { enabled: false },
      "@opentelemetry/instrumentation-http": {
        enabled: true,
      },
    })]}).start();)";
  const auto find_with = [&](const std::string& environment,
                             const std::vector<std::string>& arguments, const std::string& text) {
    return find(Runtime::kNode, environment, arguments, {}, {{"./tracing.js", text}});
  };
  const std::vector<std::string> arguments = {"node", "-r", "./tracing.js", "app.js"};
  FoundSdk found = find_with("", arguments, file);
  EXPECT_EQ(found.name, "set up by ./tracing.js");
  EXPECT_EQ(found.spans.makes, kHttpSpans | kRpcSpans | kDatabaseSpans | kMessagingSpans);
  found = find_with("OTEL_NODE_ENABLED_INSTRUMENTATIONS=pg", arguments, file);
  EXPECT_EQ(found.spans.makes, kHttpSpans | kPostgresql);
  for (const std::string option : {"--require=./tracing.js", "--import=./tracing.js",
                                   "--require=\"./tracing\"", "--import=file://./tracing.js"}) {
    EXPECT_NE(find_with("NODE_OPTIONS=" + option, {"node", "app.js"}, file).spans.makes, 0)
        << option;
  }
  // By itself each is named.
  found = find_with("OTEL_NODE_ENABLED_INSTRUMENTATIONS=pg", arguments,
                    "require('@opentelemetry/sdk-trace-node');\n"
                    "require('@opentelemetry/instrumentation-undici');\n"
                    "require('@opentelemetry/instrumentation-mysql2')");
  EXPECT_EQ(found.spans.makes, kHttpClient | kMysql);
  // A file without an SDK, the program's own arguments, a file that is not there.
  EXPECT_TRUE(find_with("", arguments, "require('@opentelemetry/api')").name.empty());
  EXPECT_TRUE(find_with("", {"node", "app.js", "--require", "./tracing.js"}, file).name.empty());
  EXPECT_TRUE(find_with("", {"node", "--require", "./other.js", "app.js"}, file).name.empty());
  EXPECT_TRUE(find_with("", {"node", "--require"}, file).name.empty());
}

TEST(OwnSdk, JavaByItsAgent) {
  const std::string agent = "-javaagent:/opt/opentelemetry-javaagent.jar";
  const FoundSdk found = find(Runtime::kJava, "", {"java", agent, "-jar", "a.jar"});
  EXPECT_EQ(found.spans.makes, kHttpSpans | kRpcSpans | kDatabaseSpans | kMessagingSpans);
  EXPECT_EQ(find(Runtime::kJava, "JAVA_TOOL_OPTIONS=" + agent).spans, found.spans);
  EXPECT_EQ(find(Runtime::kJava, "JAVA_TOOL_OPTIONS=" + agent + " OTEL_JAVAAGENT_ENABLED=false")
                .switched_by,
            "OTEL_JAVAAGENT_ENABLED=false");
  EXPECT_EQ(find(Runtime::kJava, "", {"java", agent, "-Dotel.sdk.disabled=true"}).switched_by,
            "-Dotel.sdk.disabled=true");
  EXPECT_EQ(
      find(Runtime::kJava, "OTEL_INSTRUMENTATION_JDBC_ENABLED=false", {"java", agent}).spans.makes,
      kHttpSpans | kRpcSpans | kRedis | kMemcached | kMessagingSpans | kMongodb);
  // One server is off, so the server is; calls tell it themselves.
  const SpanClasses all = kHttpSpans | kRpcSpans | kDatabaseSpans | kMessagingSpans;
  EXPECT_EQ(find(Runtime::kJava, "",
                 {"java", agent, "-Dotel.instrumentation.java-http-server.enabled=false"})
                .spans.makes,
            all & ~SpanClasses{kHttpServer});
  EXPECT_EQ(find(Runtime::kJava, "OTEL_INSTRUMENTATION_OKHTTP_ENABLED=false", {"java", agent})
                .spans.makes,
            all);
  // All are off, but for one.
  EXPECT_EQ(find(Runtime::kJava,
                 "OTEL_INSTRUMENTATION_COMMON_DEFAULT_ENABLED=false "
                 "OTEL_INSTRUMENTATION_TOMCAT_ENABLED=true",
                 {"java", agent})
                .spans.makes,
            kHttpServer);
  EXPECT_TRUE(find(Runtime::kJava, "", {"java", "-javaagent:/opt/other.jar"}).name.empty());
}

TEST(OwnSdk, DotnetByItsProfilerOrItsHook) {
  const std::string profiler =
      "CORECLR_ENABLE_PROFILING=1 CORECLR_PROFILER={918728DD-259F-4A6A-AC2B-B85E1B658318}";
  EXPECT_EQ(find(Runtime::kDotnet, profiler).spans.makes,
            kHttpSpans | kRpcSpans | kSqlSpans | kRedis | kMongodb | kMessagingSpans);
  EXPECT_EQ(find(Runtime::kDotnet,
                 profiler + " OTEL_DOTNET_AUTO_TRACES_NPGSQL_INSTRUMENTATION_ENABLED=false")
                .spans.makes,
            kHttpSpans | kRpcSpans | kMysql | kRedis | kMessagingSpans | kMongodb);
  EXPECT_NE(find(Runtime::kDotnet,
                 "DOTNET_STARTUP_HOOKS=/o/OpenTelemetry.AutoInstrumentation.StartupHook.dll")
                .spans.makes,
            0);
  EXPECT_TRUE(
      find(Runtime::kDotnet, "CORECLR_ENABLE_PROFILING=1 CORECLR_PROFILER={other}").name.empty());
}

TEST(OwnSdk, WithoutPropagatorsNoCallCarriesAContext) {
  const std::string agent = "JAVA_TOOL_OPTIONS=-javaagent:/opentelemetry-javaagent.jar";
  EXPECT_FALSE(find(Runtime::kJava, agent + " OTEL_PROPAGATORS=none").spans.sends_context);
  EXPECT_TRUE(find(Runtime::kJava, agent + " OTEL_PROPAGATORS=b3").spans.sends_context);
}

TEST(OwnSdk, WhatAGoProgramsReaderFinds) {
  GoSdk sdk;
  EXPECT_EQ(sdk.state(), GoSdk::State::kUnknown);
  for (const SpanClasses makes :
       {SpanClasses{kHttpServer | kMysql}, SpanClasses{kHttpClient | kKafka}}) {
    for (const bool sends_context : {false, true}) {
      const model::OwnSdk spans{.makes = makes, .sends_context = sends_context};
      sdk.set(GoSdk::State::kIdle, spans);
      EXPECT_EQ(sdk.state(), GoSdk::State::kIdle);
      EXPECT_EQ(sdk.linked(), spans);
    }
  }
}

}  // namespace
}  // namespace zerospan::discovery
