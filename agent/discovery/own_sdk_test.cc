// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/own_sdk.h"

#include <gtest/gtest.h>

namespace zerospan::discovery {
namespace {

using namespace std::string_literals;

const DirectoryLister kNoFiles = [](const std::string&) { return std::vector<std::string>(); };

// Of variables that are separated by spaces.
FoundSdk find(Runtime runtime, std::string environment,
              const std::vector<std::string>& arguments = {},
              const DirectoryLister& list = kNoFiles) {
  for (char& c : environment) {
    c = c == ' ' ? '\0' : c;
  }
  return find_sdk(runtime, arguments, environment, list);
}

TEST(OwnSdk, MostProgramsHaveNone) {
  for (const Runtime runtime : {Runtime::kNative, Runtime::kGo, Runtime::kNode, Runtime::kPython,
                                Runtime::kJava, Runtime::kDotnet, Runtime::kPhp, Runtime::kRuby}) {
    const FoundSdk found = find(runtime, "PATH=/bin OTEL_SERVICE_NAME=a", {"program", "--flag"});
    EXPECT_EQ(found, FoundSdk{}) << to_string(runtime);
  }
}

TEST(OwnSdk, PythonByTheFolderOnItsPath) {
  const std::string site = "/venv/lib/python3.11/site-packages/opentelemetry/instrumentation";
  const std::string path = "PYTHONPATH=/app:" + site + "/auto_instrumentation";
  std::string asked;
  const DirectoryLister list = [&](const std::string& directory) {
    asked = directory;
    return std::vector<std::string>{"auto_instrumentation", "flask", "requests", "wsgi", "pymysql"};
  };
  FoundSdk found = find(Runtime::kPython, path, {}, list);
  EXPECT_EQ(asked, site);
  EXPECT_EQ(found.spans.makes, kHttpServer | kHttpClient | kMysql);
  EXPECT_TRUE(found.spans.sends_context);
  found =
      find(Runtime::kPython, path + " OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=requests,x", {}, list);
  EXPECT_EQ(found.spans.makes, kHttpServer | kMysql);
  EXPECT_EQ(find(Runtime::kPython, path).spans.makes, 0);
  // Nothing that runs in a node program.
  EXPECT_TRUE(find(Runtime::kNode, path, {}, list).name.empty());
  EXPECT_TRUE(find(Runtime::kPython, "PYTHONPATH=/app", {}, list).name.empty());
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
  const model::OwnSdk spans{.makes = kHttpServer | kMysql, .sends_context = false};
  sdk.set(GoSdk::State::kIdle, spans);
  EXPECT_EQ(sdk.state(), GoSdk::State::kIdle);
  EXPECT_EQ(sdk.linked(), spans);
}

}  // namespace
}  // namespace zerospan::discovery
