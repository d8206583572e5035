// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/config/loader.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "agent/config/options.h"

namespace zerospan::config {
namespace {

using Variables = std::map<std::string, std::string>;

Environment environment(Variables variables) {
  return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional<std::string>(found->second);
  };
}

size_t option_index(const std::string& key) {
  for (size_t i = 0; i < option_table().size(); ++i) {
    if (option_table()[i].key == key) {
      return i;
    }
  }
  ADD_FAILURE() << "no option " << key;
  return 0;
}

struct Flag {
  std::string key;
  std::vector<std::string> texts;
};

Result<Config> load_all(const std::string& yaml, Variables variables = {},
                        const std::vector<Flag>& flags = {}) {
  Sources sources{"z.yaml", yaml, environment(std::move(variables)), {}};
  for (const Flag& flag : flags) {
    sources.flags.push_back({option_index(flag.key), flag.texts});
  }
  return load(sources);
}

Config loaded(const std::string& yaml, Variables variables = {},
              const std::vector<Flag>& flags = {}) {
  auto config = load_all(yaml, std::move(variables), flags);
  EXPECT_TRUE(config.has_value()) << config.error().message;
  return config.value_or(Config{});
}

std::string message(const std::string& yaml, Variables variables = {},
                    const std::vector<Flag>& flags = {}) {
  const auto config = load_all(yaml, std::move(variables), flags);
  return config ? "no error" : config.error().message;
}

TEST(Load, DefaultsAreThoseOfTheStructs) {
  const Config config = loaded("");
  EXPECT_TRUE(config.selection.empty());
  EXPECT_TRUE(config.selection.children);
  EXPECT_EQ(config.capture.ring_bytes, 4U << 20U);
  EXPECT_FALSE(config.capture.workers.has_value());
  EXPECT_EQ(config.http.redact_query_keys.size(), 7U);
  EXPECT_EQ(config.sampler.kind, sampling::Kind::kParentBasedAlwaysOn);
  EXPECT_EQ(config.exporter.endpoint, "http://localhost:4318/v1/traces");
  EXPECT_EQ(config.exporter.schedule_delay, Milliseconds(100));
  EXPECT_EQ(config.metrics.listen, (ListenAddress{"127.0.0.1", 9465}));
  EXPECT_EQ(config.shutdown_deadline, Milliseconds(800));
}

TEST(Load, EveryKindOfValueFromAFile) {
  const Config config = loaded(R"(
selection:
  pids: [1, 22]
  ports: [80, 8000-8100]
  executables: "*/nginx"
  users: [www-data, 1000]
  container_ids: [0123abcd]
  children: false
  exclude:
    command_lines: ["*--debug*"]
capture:
  kind: syscall
  head_bytes: 8KiB
  ring_bytes: 1MiB
  workers: 3
  event_loop_ticks: off
http:
  routes: ["/users/{id}"]
  route_heuristic: name
  request_headers: [X-Request-Id]
propagation:
  propagators: [b3, tracecontext]
sampler: {kind: traceidratio, ratio: 0.25}
service:
  rules:
    - {executable: "*/shop", name: shop, namespace: web}
    - port: 8080
      name: api
  resource_attributes: {deployment.environment.name: test}
exporter:
  protocol: grpc
  endpoint: https://collector:4317
  headers: {authorization: "Bearer 100%"}
  compression: gzip
  timeout: 1.5s
metrics: {listen: "[::1]:0", bpf_stats: true}
log:
  level: debug
shutdown_deadline: 2s
)");
  EXPECT_EQ(config.selection.include.pids, (std::vector<uint32_t>{1, 22}));
  EXPECT_EQ(config.selection.include.ports, (std::vector<PortRange>{{80, 80}, {8000, 8100}}));
  EXPECT_EQ(config.selection.include.executables, std::vector<std::string>{"*/nginx"});
  EXPECT_EQ(config.selection.include.users, (std::vector<std::string>{"www-data", "1000"}));
  EXPECT_EQ(config.selection.include.container_ids, std::vector<std::string>{"0123abcd"});
  EXPECT_FALSE(config.selection.children);
  EXPECT_EQ(config.selection.exclude.command_lines, std::vector<std::string>{"*--debug*"});
  EXPECT_EQ(config.capture.kind, CaptureKind::kSyscall);
  EXPECT_EQ(config.capture.head_bytes, 8192U);
  EXPECT_EQ(config.capture.ring_bytes, 1U << 20U);
  EXPECT_EQ(config.capture.workers, 3U);
  EXPECT_EQ(config.capture.event_loop_ticks, EventLoopTicks::kOff);
  EXPECT_EQ(config.http.routes, std::vector<std::string>{"/users/{id}"});
  EXPECT_EQ(config.http.route_heuristic, RouteHeuristic::kName);
  EXPECT_EQ(config.http.request_headers, std::vector<std::string>{"x-request-id"});
  EXPECT_EQ(config.propagation.propagators,
            (std::vector<propagation::Format>{propagation::Format::kB3,
                                              propagation::Format::kTraceContext}));
  EXPECT_EQ(config.sampler.kind, sampling::Kind::kTraceIdRatio);
  EXPECT_EQ(config.sampler.ratio, 0.25);
  ASSERT_EQ(config.service.rules.size(), 2U);
  EXPECT_EQ(config.service.rules[0].namespace_name, "web");
  EXPECT_EQ(config.service.rules[1].port, 8080);
  EXPECT_EQ(config.service.resource_attributes,
            (StringMap{{"deployment.environment.name", "test"}}));
  EXPECT_EQ(config.exporter.endpoint, "https://collector:4317");
  EXPECT_EQ(config.exporter.headers, (StringMap{{"authorization", "Bearer 100%"}}));
  EXPECT_EQ(config.exporter.compression, Compression::kGzip);
  EXPECT_EQ(config.exporter.timeout, Milliseconds(1500));
  EXPECT_EQ(config.metrics.listen, (ListenAddress{"::1", 0}));
  EXPECT_TRUE(config.metrics.bpf_stats);
  EXPECT_EQ(config.log.level, LogLevel::kDebug);
  EXPECT_EQ(config.shutdown_deadline, Milliseconds(2000));
}

TEST(Load, FlagsBeatTheEnvironmentAndThatTheFile) {
  const std::string file = "exporter: {queue_size: 1000}\nsampler: {ratio: 0.1}\n";
  EXPECT_EQ(loaded(file).exporter.queue_size, 1000U);
  EXPECT_EQ(loaded(file, {{"OTEL_BSP_MAX_QUEUE_SIZE", "2000"}}).exporter.queue_size, 2000U);
  EXPECT_EQ(loaded(file, {{"OTEL_BSP_MAX_QUEUE_SIZE", ""}}).exporter.queue_size, 1000U);
  EXPECT_EQ(
      loaded(file, {{"OTEL_BSP_MAX_QUEUE_SIZE", "2000"}, {"ZEROSPAN_EXPORTER_QUEUE_SIZE", "3000"}})
          .exporter.queue_size,
      3000U);
  EXPECT_EQ(loaded(file, {{"OTEL_TRACES_SAMPLER_ARG", "0.2"}}, {{"sampler.ratio", {"0.3"}}})
                .sampler.ratio,
            0.3);
}

TEST(Load, AFlagThatSelectsReplacesTheWholeSelection) {
  const std::string file = "selection: {all: true, ports: [80], exclude: {users: [root]}}\n";
  const Config config = loaded(file, {}, {{"selection.pids", {"7,8", "9"}}});
  EXPECT_FALSE(config.selection.all);
  EXPECT_TRUE(config.selection.include.ports.empty());
  EXPECT_EQ(config.selection.include.pids, (std::vector<uint32_t>{7, 8, 9}));
  EXPECT_EQ(config.selection.exclude.users, std::vector<std::string>{"root"});
  EXPECT_TRUE(loaded(file, {}, {{"selection.exclude.pids", {"7"}}}).selection.all);
}

TEST(Load, GlobsOfFlagsKeepTheirCommas) {
  const Config config = loaded("", {}, {{"selection.executables", {"*/a,b", "*/c"}}});
  EXPECT_EQ(config.selection.include.executables, (std::vector<std::string>{"*/a,b", "*/c"}));
}

TEST(Load, TheAgentsOwnServiceNameSaysNothingAboutTheTracedPrograms) {
  const Config config = loaded(
      "", {{"OTEL_SERVICE_NAME", "zerospan"}, {"OTEL_RESOURCE_ATTRIBUTES", "service.name=agent"}});
  EXPECT_TRUE(config.service.rules.empty());
  EXPECT_TRUE(config.service.resource_attributes.empty());
}

TEST(Load, StandardExporterVariables) {
  const Exporter exporter = loaded("", {{"OTEL_EXPORTER_OTLP_TIMEOUT", "2500"},
                                        {"OTEL_BSP_SCHEDULE_DELAY", "5000"},
                                        {"OTEL_EXPORTER_OTLP_COMPRESSION", "none"},
                                        {"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip"},
                                        {"OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b%2Cc , x=1=2"},
                                        {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/c.pem"},
                                        {"OTEL_EXPORTER_OTLP_CLIENT_KEY", "/k.pem"}})
                                .exporter;
  EXPECT_EQ(exporter.timeout, Milliseconds(2500));
  EXPECT_EQ(exporter.schedule_delay, Milliseconds(5000));
  EXPECT_EQ(exporter.compression, Compression::kGzip);
  EXPECT_EQ(exporter.headers, (StringMap{{"api-key", "a b,c"}, {"x", "1=2"}}));
  EXPECT_EQ(exporter.client_key, "/k.pem");
}

TEST(Load, EndpointsAreResolvedAsTheSpecificationWants) {
  const std::string base = "OTEL_EXPORTER_OTLP_ENDPOINT";
  const std::string traces = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
  const std::string protocol = "OTEL_EXPORTER_OTLP_PROTOCOL";
  struct Case {
    Variables variables;
    std::string expected;
  };
  const std::vector<Case> cases = {
      {{{base, "http://c:4318"}}, "http://c:4318/v1/traces"},
      {{{base, "https://c/"}}, "https://c/v1/traces"},
      {{{base, "http://c/otlp"}}, "http://c/otlp/v1/traces"},
      {{{traces, "http://c:4318/custom"}}, "http://c:4318/custom"},
      {{{traces, "http://c:4318"}}, "http://c:4318/"},
      {{{base, "http://a"}, {traces, "http://b/x"}}, "http://b/x"},
      {{{protocol, "grpc"}}, "http://localhost:4317"},
      {{{protocol, "grpc"}, {base, "c:4317"}}, "https://c:4317"},
      {{{protocol, "grpc"}, {base, "c:4317"}, {"OTEL_EXPORTER_OTLP_INSECURE", "true"}},
       "http://c:4317"},
      {{{protocol, "grpc"}, {base, "http://c:4317"}}, "http://c:4317"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(loaded("", c.variables).exporter.endpoint, c.expected);
  }
  // A base endpoint from a stronger source beats the other from a weaker one.
  EXPECT_EQ(loaded("exporter: {traces_endpoint: http://file/x}", {{base, "http://env"}})
                .exporter.endpoint,
            "http://env/v1/traces");
}

TEST(LoadErrors, InAFile) {
  struct Case {
    std::string yaml;
    std::string expected;
  };
  const std::vector<Case> cases = {
      {"capture:\n  head_byte: 4096\n",
       "z.yaml:2:3: \"capture.head_byte\": found an unknown key, expected any of kind, btf, "
       "head_bytes, "
       "tail_bytes, ring_bytes, workers, max_connections, max_processes, event_loop_ticks, "
       "protocols, dns_ports; did you "
       "mean head_bytes?"},
      {"zzzzzz: 1\n",
       "z.yaml:1:1: \"zzzzzz\": found an unknown key, expected any of selection, capture, http, "
       "database, "
       "propagation, sdk_spans, sampler, service, kubernetes, exporter, metrics, log, "
       "one_per_host, "
       "shutdown_deadline."},
      {"capture:\n  head_bytes: 12 parsecs\n",
       "z.yaml:2:15: capture.head_bytes: found \"12 parsecs\", expected a size from 256 to 8KiB, "
       "such as 4096 or 4KiB."},
      {"capture: {head_bytes: 255}\n",
       "z.yaml:1:23: capture.head_bytes: found \"255\", expected a size from 256 to 8KiB, such as "
       "4096 or 4KiB."},
      {"capture: {ring_bytes: 3MiB}\n",
       "z.yaml:1:23: capture.ring_bytes: found \"3MiB\", expected a size that is a power of two, "
       "from 64KiB to 256MiB, such as 4MiB."},
      {"capture: {workers: many}\n",
       "z.yaml:1:20: capture.workers: found \"many\", expected auto or a whole number from 1 to "
       "64."},
      {"capture: {dns_ports: [53, 54, 55, 56, 57]}\n",
       "z.yaml:1:22: capture.dns_ports: found a list, expected a list of at most 4."},
      {"capture: 5\n",
       "z.yaml:1:10: capture: found \"5\", expected a map with any of kind, btf, head_bytes, "
       "tail_bytes, "
       "ring_bytes, workers, max_connections, max_processes, event_loop_ticks, protocols, "
       "dns_ports."},
      {"selection:\n  ports: [80, 99999]\n",
       "z.yaml:2:15: selection.ports[1]: found \"99999\", expected a port from 1 to 65535 or a "
       "range such as 8000-8100."},
      {"selection:\n  ports: [90-80]\n",
       "z.yaml:2:11: selection.ports[0]: found \"90-80\", expected a port from 1 to 65535 or a "
       "range such as 8000-8100."},
      {"selection:\n  pids: {a: 1}\n", "z.yaml:2:9: selection.pids: found a map, expected a list."},
      {"selection: {all: maybe}\n",
       "z.yaml:1:18: selection.all: found \"maybe\", expected true or false."},
      {"sampler: {ratio: 1.5}\n",
       "z.yaml:1:18: sampler.ratio: found \"1.5\", expected a number from 0 to 1, such as 0.1."},
      {"sampler: {kind: always}\n",
       "z.yaml:1:17: sampler.kind: found \"always\", expected always_on, always_off, traceidratio, "
       "parentbased_always_on, parentbased_always_off or parentbased_traceidratio."},
      {"exporter: {timeout: 500}\n",
       "z.yaml:1:21: exporter.timeout: found \"500\", expected a duration from 1ms to 1h, such as "
       "100ms or 5s."},
      {"exporter: {headers: {bad name: x}}\n",
       "z.yaml:1:22: exporter.headers.bad name: found \"bad name\", expected the name of a "
       "header."},
      {"exporter: {headers: [a]}\n",
       "z.yaml:1:21: exporter.headers: found a list, expected a map of names to values."},
      {"exporter: {endpoint: ftp://x}\n",
       "z.yaml:1:22: exporter.endpoint: found \"ftp://x\", expected a URL such as "
       "http://localhost:4318, or for grpc also HOST:PORT."},
      {"exporter: {endpoint: \"c:4317\"}\n",
       "z.yaml:1:22: exporter.endpoint: found \"c:4317\", expected a URL that begins with http:// "
       "or https://, because the protocol is not grpc."},
      {"exporter: {batch_size: 1000, queue_size: 10}\n",
       "z.yaml:1:24: exporter.batch_size: the batch size is 1000 and the queue size 10; expected a "
       "batch that fits into the queue."},
      {"exporter: {client_key: /k.pem}\n",
       "z.yaml:1:24: exporter.client_key: found a key alone, expected exporter.client_certificate "
       "and exporter.client_key together."},
      {"propagation: {propagators: [b3, ottrace]}\n",
       "z.yaml:1:33: propagation.propagators[1]: found \"ottrace\", expected any of tracecontext, "
       "baggage, b3, b3multi, jaeger, xray, or none alone."},
      {"service:\n  rules:\n    - {exe: \"*/a\", name: a}\n",
       "z.yaml:3:8: service.rules[0]: found the unknown key \"exe\", expected executable, "
       "command_line, port, name or namespace."},
      {"service: {rules: [{name: a}]}\n",
       "z.yaml:1:19: service.rules[0]: found a rule that matches every process, expected name, and "
       "at least one of executable, command_line and port."},
      {"service: {rules: [{port: 0, name: a}]}\n",
       "z.yaml:1:26: service.rules[0].port: found \"0\", expected a whole number from 1 to 65535."},
      {"metrics: {listen: 9465}\n",
       "z.yaml:1:19: metrics.listen: found \"9465\", expected HOST:PORT such as 127.0.0.1:9465 or "
       "[::1]:9465, or off."},
      {"http: {routes: [users]}\n",
       "z.yaml:1:17: http.routes[0]: found \"users\", expected a route that begins with a slash, "
       "such as /users/{id}."},
      {"log: {}\nlog: {}\n",
       "z.yaml:2:1: the key \"log\" is here twice; it stands in line 1 already."},
      {"log: &a {}\n", "z.yaml:1:6: an anchor (&name) is not allowed here; write the value out."},
      {"- a\n", "z.yaml:1:1: found a list, expected a map such as \"selection:\"."},
      {"log: {}\n---\nlog: {}\n",
       "z.yaml: there is more than one YAML document in this file; expected one."},
      {"log: [\n", "z.yaml:2:1: this is not valid YAML: end of sequence flow not found."},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(message(c.yaml), c.expected) << c.yaml;
  }
}

TEST(LoadErrors, InVariablesAndFlags) {
  EXPECT_EQ(message("", {{"OTEL_BSP_SCHEDULE_DELAY", "soon"}}),
            "environment variable OTEL_BSP_SCHEDULE_DELAY (exporter.schedule_delay): found "
            "\"soon\", expected a duration from 1ms to 1h, such as 100ms or 5s.");
  EXPECT_EQ(message("", {{"OTEL_EXPORTER_OTLP_HEADERS", "nonsense"}}),
            "environment variable OTEL_EXPORTER_OTLP_HEADERS (exporter.headers): found "
            "\"nonsense\", expected a list such as name=value,name2=value2.");
  EXPECT_EQ(message("", {{"OTEL_EXPORTER_OTLP_HEADERS", "a=x%0d%0ab: c"}}),
            "environment variable OTEL_EXPORTER_OTLP_HEADERS (exporter.headers): found \"a\", "
            "expected a header value without line breaks.");
  EXPECT_EQ(message("", {{"OTEL_TRACES_EXPORTER", "otlp,console"}}),
            "environment variable OTEL_TRACES_EXPORTER (exporter.kind): found \"otlp,console\", "
            "expected otlp, console, file or none.");
  EXPECT_EQ(message("", {}, {{"selection.ports", {"80", "x"}}}),
            "flag --port (selection.ports): found \"x\", expected a port from 1 to 65535 or a "
            "range such as 8000-8100.");
}

TEST(LoadErrors, AHostileFileIsRefused) {
  EXPECT_NE(message(std::string(2U << 20U, 'a')).find("at most 1048576"), std::string::npos);
  EXPECT_NE(
      message("a: " + std::string(40, '[') + std::string(40, ']')).find("nested more than 32"),
      std::string::npos);
  EXPECT_NE(message("a: " + std::string(500'000, '[')).find("z.yaml:1:"), std::string::npos);
  std::string wide = "a: [";
  for (int i = 0; i < 30'000; ++i) {
    wide += "1,";
  }
  EXPECT_NE(message(wide + "1]").find("more than 20000 values"), std::string::npos);
  EXPECT_NE(message("log: {level: !!binary aGk=}").find("a tag"), std::string::npos);
  EXPECT_NE(message("log: *a").find("z.yaml:1:"), std::string::npos);
}

TEST(Load, EmptySectionsAreUnset) {
  EXPECT_EQ(loaded("log:\ncapture:\n  head_bytes:\n").capture.head_bytes, 4096U);
  EXPECT_EQ(loaded("# nothing\n").capture.head_bytes, 4096U);
}

TEST(Reload, EveryOptionSaysWhatBecomesOfAChange) {
  for (const Option& option : option_table()) {
    EXPECT_NE(option.reload, Reload::kUndecided) << option.key;
    const bool stage = option.key.starts_with("capture.") || option.key.starts_with("metrics.");
    EXPECT_TRUE(!stage || option.reload == Reload::kRestart) << option.key;
    Config a;
    Config b;
    EXPECT_TRUE(option.equal(a, b)) << option.key;
  }
}

TEST(Reload, WhatNeedsARestartStaysAsItWas) {
  const Config running =
      loaded("selection: {all: true}\ncapture: {ring_bytes: 1MiB, workers: 1}\n");
  const Config wanted = loaded(R"(
selection: {executables: ["*/nginx"]}
capture: {ring_bytes: 2MiB, workers: 1}
http: {routes: ["/a/{b}"]}
service: {rules: [{executable: x, name: y}]}
exporter: {endpoint: "http://b:4318", queue_size: 1000}
)");
  const ConfigChange found = change(running, wanted);
  EXPECT_EQ(found.applied,
            (std::vector<std::string>{"selection.executables", "selection.all", "http.routes",
                                      "service.rules", "exporter.endpoint"}));
  EXPECT_EQ(found.needs_restart,
            (std::vector<std::string>{"capture.ring_bytes", "exporter.queue_size"}));
  EXPECT_EQ(found.config.capture.ring_bytes, 1U << 20U);
  EXPECT_EQ(found.config.exporter.queue_size, 32768U);
  EXPECT_EQ(found.config.exporter.endpoint, "http://b:4318/v1/traces");
  EXPECT_EQ(found.config.http.routes, std::vector<std::string>{"/a/{b}"});
  const ConfigChange none = change(found.config, found.config);
  EXPECT_TRUE(none.applied.empty() && none.needs_restart.empty());
}

TEST(Reload, EveryOptionIsComparedAndCopied) {
  // Whatever sets an option also makes it differ from the default, and copying makes it equal.
  const Config config = loaded(R"(
selection: {pids: [1], ports: [80], executables: [a], command_lines: [a], users: [a], all: true,
  container_ids: [abcd], children: false, exclude: {pids: [1], ports: [80], executables: [a],
  command_lines: [a], users: [a], container_ids: [abcd]}}
capture: {kind: syscall, btf: a, head_bytes: 1024, tail_bytes: 64, ring_bytes: 1MiB, workers: 1,
  max_connections: 1000, max_processes: 1000, event_loop_ticks: off, protocols: [http1],
  dns_ports: [54]}
http: {routes: [/a], go_routes: false, route_heuristic: name, route_max_cardinality: 7,
  request_headers: [a], response_headers: [a], redact_query_keys: [a], known_methods: [GET],
  health_checks: {drop: false, paths: [], user_agents: []}}
database: {query_text: off, query_text_bytes: 100}
propagation: {propagators: [b3], baggage_attributes: [a], inject: on, tolerate: [peek]}
sdk_spans: all
sampler: {kind: always_off, ratio: 0.5}
service: {rules: [{port: 1, name: a}], resource_attributes: {a: b}}
exporter: {kind: none, protocol: grpc, endpoint: "http://a", traces_endpoint: "http://a",
  headers: {a: b}, timeout: 1s, compression: gzip, certificate: a, client_certificate: a,
  client_key: a, insecure: true, file: a, retry_max_elapsed: 1s, queue_size: 1000, batch_size: 10,
  schedule_delay: 1s, export_timeout: 1s}
kubernetes: {enabled: true, api_server: "http://a", token_file: a, ca_file: a, node_name: a,
  cluster_name: a, opt_in_label: a, selectors: [{namespaces: [a]}], labels: [a], annotations: [a],
  well_known_labels: true, peers: true, start_jitter: 2s}
metrics: {listen: "127.0.0.1:1", bpf_stats: true}
log: {level: debug, format: json}
shutdown_deadline: 1s
one_per_host: false
)");
  for (const Option& option : option_table()) {
    Config defaults;
    Config set = config;
    EXPECT_FALSE(option.equal(defaults, set)) << option.key;
    option.copy(set, defaults);
    EXPECT_TRUE(option.equal(defaults, set)) << option.key;
  }
}

}  // namespace
}  // namespace zerospan::config
