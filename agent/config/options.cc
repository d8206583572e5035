// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/config/options.h"

#include <algorithm>
#include <string_view>

#include "agent/config/codecs.h"

namespace zerospan::config {

namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr uint32_t kOnSelecting = kOnRun | kOnTrace | kOnRecord;
constexpr uint32_t kOnSpanMaking = kOnRun | kOnTrace | kOnReplay;
constexpr uint32_t kOnAll = kOnRun | kOnTrace | kOnRecord | kOnReplay | kOnCheck;

std::string_view trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::vector<std::string_view> split_at_commas(std::string_view text) {
  std::vector<std::string_view> pieces;
  while (true) {
    const size_t comma = text.find(',');
    if (const std::string_view piece = trim(text.substr(0, comma)); !piece.empty()) {
      pieces.push_back(piece);
    }
    if (comma == std::string_view::npos) {
      return pieces;
    }
    text.remove_prefix(comma + 1);
  }
}

// The project's own variable for a key: ZEROSPAN_CAPTURE_HEAD_BYTES for capture.head_bytes.
std::string own_variable(std::string_view key) {
  std::string name = "ZEROSPAN_";
  for (const char c : key) {
    name += c == '.' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return name;
}

// Adds the parts of an option that follow from its codec and from the member that `field` names.
template <typename Field, typename T>
Option with(Option option, Field field, Codec<T> codec) {
  option.shape = codec.shape;
  option.type = codec.type;
  Config defaults;
  option.default_text = codec.show(field(defaults));
  if (option.shape != Option::Shape::kRules) {
    option.variables.insert(option.variables.begin(), own_variable(option.key));
  }
  option.set = [field, read = std::move(codec.read)](const Value& value, Config& config) {
    return read(value, field(config));
  };
  option.equal = [field](Config& a, Config& b) { return field(a) == field(b); };
  option.copy = [field](Config& from, Config& to) { field(to) = field(from); };
  return option;
}

// The member of the config that an option sets.
#define ZEROSPAN_FIELD(path) [](Config& config) -> auto& { return config.path; }

void add_process_match(std::vector<Option>& table, bool exclude) {
  const std::string section = exclude ? "selection.exclude." : "selection.";
  const std::string verb = exclude ? "Leave out" : "Select";
  const auto flag = [&](const char* name) {
    return std::string(exclude ? "--exclude-" : "--") + name;
  };
  const auto add = [&](const char* key, const char* flag_name, const char* argument, bool splits,
                       std::string help, auto field, auto codec) {
    Option option;
    option.key = section + key;
    option.help = verb + help;
    option.flag = flag(flag_name);
    option.flag_argument = argument;
    option.flag_splits = splits;
    option.commands = kOnSelecting;
    option.selector = !exclude;
    option.reload = Reload::kLive;
    const auto match = [exclude, field](Config& config) -> auto& {
      Selection& selection = config.selection;
      return field(exclude ? selection.exclude : selection.include);
    };
    table.push_back(with(std::move(option), match, list_of(codec)));
  };
  add(
      "pids", "pid", "N[,N]", true, " these processes.",
      [](ProcessMatch& match) -> auto& { return match.pids; }, pid());
  add(
      "ports", "port", "N[,N-M]", true, " the processes that listen on these TCP ports.",
      [](ProcessMatch& match) -> auto& { return match.ports; }, port_range());
  add(
      "executables", "exe", "GLOB", false,
      " processes by a glob over the path of their executable, such as */nginx.",
      [](ProcessMatch& match) -> auto& { return match.executables; }, text("glob", "a glob"));
  add(
      "command_lines", "cmdline", "GLOB", false,
      " processes by a glob over their command line, its arguments joined by spaces.",
      [](ProcessMatch& match) -> auto& { return match.command_lines; }, text("glob", "a glob"));
  add(
      "users", "user", "NAME|UID", true, " the processes of these users.",
      [](ProcessMatch& match) -> auto& { return match.users; },
      text("user", "a user's name or id"));
  add(
      "container_ids", "container", "ID", true,
      " the processes of these containers; the first digits of the id will do.",
      [](ProcessMatch& match) -> auto& { return match.container_ids; }, container_id());
}

void add_selection(std::vector<Option>& table) {
  add_process_match(table, false);
  table.push_back(with({.key = "selection.all",
                        .reload = Reload::kLive,
                        .help = "Select every process of this host. zerospan itself never is.",
                        .flag = "--all",
                        .flag_sets = "true",
                        .commands = kOnSelecting,
                        .selector = true},
                       ZEROSPAN_FIELD(selection.all), boolean()));
  table.push_back(with({.key = "selection.children",
                        .reload = Reload::kLive,
                        .help = "The children of a selected process are selected too.",
                        .flag = "--no-children",
                        .flag_sets = "false",
                        .commands = kOnSelecting},
                       ZEROSPAN_FIELD(selection.children), boolean()));
  add_process_match(table, true);
}

void add_capture(std::vector<Option>& table) {
  table.push_back(with(
      {.key = "capture.kind",
       .reload = Reload::kRestart,
       .help = "Where in the kernel bytes are read. auto takes the first that works: the socket "
               "tracepoints (tracepoint, from Linux 6.3), the ends of the socket layer's functions "
               "by BPF trampolines (fentry) or by kprobes (kprobe; first where the kernel may "
               "preempt itself), else the system call tracepoints (syscall), which cost every "
               "process a little and see less.",
       .flag = "--capture",
       .flag_argument = "KIND",
       .commands = kOnSelecting | kOnCheck},
      ZEROSPAN_FIELD(capture.kind),
      choice_of<CaptureKind>({{"auto", CaptureKind::kAuto},
                              {"tracepoint", CaptureKind::kTracepoint},
                              {"fentry", CaptureKind::kFentry},
                              {"kprobe", CaptureKind::kKprobe},
                              {"syscall", CaptureKind::kSyscall}})));
  table.push_back(with(
      {.key = "capture.btf",
       .reload = Reload::kRestart,
       .help =
           "A file with the running kernel's types (BTF, or an ELF file that has them), for where "
           "/sys/kernel/btf/vmlinux is not to be seen. Not used where it is. The kernel itself "
           "must have been built with CONFIG_DEBUG_INFO_BTF all the same.",
       .flag = "--btf",
       .flag_argument = "FILE",
       .commands = kOnSelecting | kOnCheck},
      ZEROSPAN_FIELD(capture.btf), text("file", "the path of a file")));
  table.push_back(with({.key = "capture.head_bytes",
                        .reload = Reload::kRestart,
                        .help = "How many bytes of a message's head are captured. What is over it "
                                "is counted, and the span says zerospan.incomplete."},
                       ZEROSPAN_FIELD(capture.head_bytes), size(256, 8192)));
  table.push_back(with({.key = "capture.tail_bytes",
                        .reload = Reload::kRestart,
                        .help = "How many of a chunk's last bytes are captured, to see where a "
                                "message ends."},
                       ZEROSPAN_FIELD(capture.tail_bytes), size(16, 256)));
  table.push_back(with({.key = "capture.ring_bytes",
                        .reload = Reload::kRestart,
                        .help = "The size of each worker's ring buffer in the kernel. A larger "
                                "ring rides out longer bursts; it is locked memory."},
                       ZEROSPAN_FIELD(capture.ring_bytes),
                       size_power_of_two(64ULL << 10U, 256ULL << 20U)));
  table.push_back(with({.key = "capture.workers",
                        .reload = Reload::kRestart,
                        .help = "Threads that turn captured bytes into spans, each with a ring of "
                                "its own. auto: one per processor, at most 2.",
                        .flag = "--workers",
                        .flag_argument = "N",
                        .commands = kOnSelecting},
                       ZEROSPAN_FIELD(capture.workers), number_or_auto(1, 64)));
  table.push_back(with({.key = "capture.max_connections",
                        .reload = Reload::kRestart,
                        .help = "How many connections are followed at the same time. What is over "
                                "it is not seen, and counted."},
                       ZEROSPAN_FIELD(capture.max_connections), number(64, 1'048'576)));
  table.push_back(with({.key = "capture.max_processes",
                        .reload = Reload::kRestart,
                        .help = "How many selected processes are followed at the same time."},
                       ZEROSPAN_FIELD(capture.max_processes), number(16, 1'048'576)));
  table.push_back(with(
      {.key = "capture.event_loop_ticks",
       .reload = Reload::kRestart,
       .help = "Find the parents of calls that event loops (Node.js, nginx) make from what "
               "they read in the same turn of their loop. off: such calls become roots."},
      ZEROSPAN_FIELD(capture.event_loop_ticks),
      choice_of<EventLoopTicks>({{"auto", EventLoopTicks::kAuto}, {"off", EventLoopTicks::kOff}})));
  table.push_back(with(
      {.key = "capture.protocols",
       .reload = Reload::kRestart,
       .help = "Protocols that are followed. A connection of another one is left "
               "alone after its first bytes. Known: amqp, cassandra, dns, http1, http2, kafka, "
               "memcached, mongodb, mqtt, "
               "mysql, nats, postgresql, redis."},
      ZEROSPAN_FIELD(capture.protocols),
      list_of(choice_of<std::string>({{"amqp", "amqp"},
                                      {"cassandra", "cassandra"},
                                      {"dns", "dns"},
                                      {"http1", "http1"},
                                      {"http2", "http2"},
                                      {"kafka", "kafka"},
                                      {"memcached", "memcached"},
                                      {"mongodb", "mongodb"},
                                      {"mqtt", "mqtt"},
                                      {"mysql", "mysql"},
                                      {"nats", "nats"},
                                      {"postgresql", "postgresql"},
                                      {"redis", "redis"}}))));
  constexpr uint32_t kMostPorts = 4;
  table.push_back(
      with({.key = "capture.dns_ports",
            .reload = Reload::kRestart,
            .help = "Ports of name servers, at most 4. DNS is known by them alone: what "
                    "uses another port is not seen, and a connection of one of them is "
                    "taken for nothing else."},
           ZEROSPAN_FIELD(capture.dns_ports), at_most(kMostPorts, list_of(number(1, 65535)))));
}

void add_database(std::vector<Option>& table) {
  table.push_back(
      with({.key = "database.query_text",
            .reload = Reload::kLive,
            .help = "What db.query.text holds. sanitized: the statement without its literals and "
                    "comments. raw: as it was sent, which may hold personal data and passwords. "
                    "off: nothing; the span's name and db.query.summary stay.",
            .flag = "--query-text",
            .flag_argument = "MODE",
            .commands = kOnSpanMaking},
           ZEROSPAN_FIELD(database.query_text),
           choice_of<QueryText>({{"sanitized", QueryText::kSanitized},
                                 {"raw", QueryText::kRaw},
                                 {"off", QueryText::kOff}})));
  table.push_back(with({.key = "database.query_text_bytes",
                        .reload = Reload::kLive,
                        .help = "How long db.query.text may be. It is cut between two words. Of a "
                                "statement longer than capture.head_bytes only the beginning is "
                                "known."},
                       ZEROSPAN_FIELD(database.query_text_bytes), size(64, 65536)));
}

void add_http(std::vector<Option>& table) {
  table.push_back(with({.key = "http.routes",
                        .reload = Reload::kLive,
                        .help = "Routes of the traced programs, such as /users/{id}. A request "
                                "that matches one gets http.route and its name.",
                        .flag = "--route",
                        .flag_argument = "TEMPLATE",
                        .commands = kOnSpanMaking},
                       ZEROSPAN_FIELD(http.routes), list_of(route_template())));
  table.push_back(with({.key = "http.go_routes",
                        .reload = Reload::kRestart,
                        .help = "Ask the routers of Go programs for the routes that are not "
                                "configured. That is one uprobe hit for each request of a program "
                                "that has such a router; false places none.",
                        .flag = "--no-go-routes",
                        .flag_sets = "false",
                        .commands = kOnSelecting | kOnCheck},
                       ZEROSPAN_FIELD(http.go_routes), boolean()));
  table.push_back(
      with({.key = "http.route_heuristic",
            .reload = Reload::kLive,
            .help = "Guess the routes that are not configured, by replacing what looks like an id. "
                    "attribute: the guess goes into http.route. name: into the span's name too.",
            .flag = "--route-heuristic",
            .flag_argument = "MODE",
            .commands = kOnSpanMaking},
           ZEROSPAN_FIELD(http.route_heuristic),
           choice_of<RouteHeuristic>({{"off", RouteHeuristic::kOff},
                                      {"attribute", RouteHeuristic::kAttribute},
                                      {"name", RouteHeuristic::kName}})));
  table.push_back(with({.key = "http.route_max_cardinality",
                        .reload = Reload::kLive,
                        .help = "How many guessed routes one service may have. Further ones are "
                                "not given a route."},
                       ZEROSPAN_FIELD(http.route_max_cardinality), number(1, 10'000)));
  table.push_back(
      with({.key = "http.request_headers",
            .reload = Reload::kLive,
            .help = "Request headers to keep, as http.request.header.NAME, of gRPC calls as "
                    "rpc.request.metadata.NAME. They may hold secrets: name only those that you "
                    "need."},
           ZEROSPAN_FIELD(http.request_headers), list_of(header_name())));
  table.push_back(with({.key = "http.response_headers",
                        .reload = Reload::kLive,
                        .help = "Response headers to keep, as http.response.header.NAME, of gRPC "
                                "calls as rpc.response.metadata.NAME."},
                       ZEROSPAN_FIELD(http.response_headers), list_of(header_name())));
  table.push_back(with({.key = "http.redact_query_keys",
                        .reload = Reload::kLive,
                        .help = "Query parameters whose value is replaced by REDACTED. The default "
                                "is the list of the semantic conventions."},
                       ZEROSPAN_FIELD(http.redact_query_keys),
                       list_of(text("query key", "the name of a query parameter"))));
  table.push_back(with(
      {.key = "http.known_methods",
       .reload = Reload::kLive,
       .help = "Methods that are reported as they are; another one is reported as _OTHER. The list "
               "replaces the default.",
       .variables = {"OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS"}},
      ZEROSPAN_FIELD(http.known_methods), list_of(method_name())));
  table.push_back(
      with({.key = "http.health_checks.drop",
            .reload = Reload::kLive,
            .help = "Make no span of a health check, nor of what is done for it. One is a request "
                    "without a caller's trace context whose path or user agent is named below. "
                    "spans_health_checks counts them.",
            .flag = "--keep-health-checks",
            .flag_sets = "false",
            .commands = kOnSpanMaking},
           ZEROSPAN_FIELD(http.health_checks.drop), boolean()));
  table.push_back(with({.key = "http.health_checks.paths",
                        .reload = Reload::kLive,
                        .help = "Globs over the whole path, without the query. The list replaces "
                                "the default; an empty one names none."},
                       ZEROSPAN_FIELD(http.health_checks.paths), list_of(text("glob", "a glob"))));
  table.push_back(with({.key = "http.health_checks.user_agents",
                        .reload = Reload::kLive,
                        .help = "Globs over the whole User-Agent. The list replaces the default; "
                                "an empty one names none."},
                       ZEROSPAN_FIELD(http.health_checks.user_agents),
                       list_of(text("glob", "a glob"))));
}

void add_tracing(std::vector<Option>& table) {
  table.push_back(with({.key = "propagation.propagators",
                        .reload = Reload::kLive,
                        .help = "Formats in which trace context is read from requests, in this "
                                "order; the first that is there and valid wins. Known: "
                                "tracecontext, baggage, b3, b3multi, jaeger, xray, none.",
                        .variables = {"OTEL_PROPAGATORS"},
                        .flag = "--propagators",
                        .flag_argument = "NAME[,NAME]",
                        .flag_splits = true,
                        .commands = kOnSpanMaking},
                       ZEROSPAN_FIELD(propagation.propagators), propagators()));
  table.push_back(with({.key = "propagation.baggage_attributes",
                        .reload = Reload::kLive,
                        .help = "Baggage entries to keep as span attributes, as baggage.KEY."},
                       ZEROSPAN_FIELD(propagation.baggage_attributes),
                       list_of(text("baggage key", "the key of a baggage entry"))));
  table.push_back(with(
      {.key = "propagation.inject",
       .reload = Reload::kRestart,
       .help = "on: what selected processes send over HTTP/1 and HTTP/2 is given a traceparent, if "
               "it has no trace context of its own, so that the next service continues the trace "
               "(docs/propagation.md). Needs kernel 5.17, CAP_NET_ADMIN, and a kernel that passes "
               "a self-test.",
       .flag = "--propagate",
       .flag_sets = "on",
       .commands = kOnRun | kOnTrace},
      ZEROSPAN_FIELD(propagation.inject),
      choice_of<Inject>({{"off", Inject::kOff}, {"on", Inject::kOn}})));
  table.push_back(with(
      {.key = "propagation.tolerate",
       .reload = Reload::kRestart,
       .help = "Checks of the self-test before injection that may fail on this kernel, by name "
               "(docs/propagation.md). Only for who knows that no traced program minds.",
       .flag = "--propagate-despite",
       .flag_argument = "CHECK[,CHECK]",
       .flag_splits = true,
       .commands = kOnRun | kOnTrace},
      ZEROSPAN_FIELD(propagation.tolerate), list_of(self_test_check())));
  table.push_back(with(
      {.key = "sdk_spans",
       .reload = Reload::kLive,
       .help = "Which spans are made for programs that carry an OpenTelemetry SDK. complement: "
               "those that their SDK does not make, by kind and protocol. all: every span, so "
               "that a request may have two.",
       .flag = "--sdk-spans",
       .flag_argument = "MODE",
       .commands = kOnSpanMaking | kOnCheck},
      ZEROSPAN_FIELD(sdk_spans),
      choice_of<SdkSpans>({{"complement", SdkSpans::kComplement}, {"all", SdkSpans::kAll}})));
  std::vector<Choice<sampling::Kind>> kinds;
  for (const auto& entry : sampling::kind_names()) {
    kinds.push_back({entry.name, entry.kind});
  }
  table.push_back(with({.key = "sampler.kind",
                        .reload = Reload::kLive,
                        .help = "Which traces are kept. parentbased: as the caller decided, if it "
                                "sent its decision.",
                        .variables = {"OTEL_TRACES_SAMPLER"},
                        .flag = "--sampler",
                        .flag_argument = "KIND",
                        .commands = kOnSpanMaking},
                       ZEROSPAN_FIELD(sampler.kind), choice_of(std::move(kinds))));
  table.push_back(with({.key = "sampler.ratio",
                        .reload = Reload::kLive,
                        .help = "The part of the traces that the two traceidratio samplers keep.",
                        .variables = {"OTEL_TRACES_SAMPLER_ARG"},
                        .flag = "--sampler-ratio",
                        .flag_argument = "R",
                        .commands = kOnSpanMaking},
                       ZEROSPAN_FIELD(sampler.ratio), ratio()));
  table.push_back(
      with({.key = "service.rules",
            .reload = Reload::kLive,
            .help = "Names for services: the first rule whose executable (glob), command_line "
                    "(glob) and port all match gives name and, optionally, namespace. Without one, "
                    "a process's own OTEL_SERVICE_NAME holds, else a guess."},
           ZEROSPAN_FIELD(service.rules), service_rules()));
  table.push_back(with({.key = "service.resource_attributes",
                        .reload = Reload::kLive,
                        .help = "Attributes that every resource gets, such as "
                                "deployment.environment.name. A process's own win."},
                       ZEROSPAN_FIELD(service.resource_attributes), string_map()));
}

void add_kubernetes(std::vector<Option>& table) {
  table.push_back(with(
      {.key = "kubernetes.enabled",
       .reload = Reload::kRestart,
       .help =
           "Whether `run` chooses processes by their pods, and tells of pods in resources. auto: "
           "in a cluster, that is if KUBERNETES_SERVICE_HOST is set or an API server is given. "
           "The other commands do so only if it is true."},
      ZEROSPAN_FIELD(kubernetes.mode),
      choice_of<KubernetesMode>({{"auto", KubernetesMode::kAuto},
                                 {"true", KubernetesMode::kOn},
                                 {"false", KubernetesMode::kOff}})));
  table.push_back(with({.key = "kubernetes.api_server",
                        .reload = Reload::kRestart,
                        .help = "The URL of the API server. Not set: that of the cluster, from "
                                "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT."},
                       ZEROSPAN_FIELD(kubernetes.api_server), endpoint()));
  table.push_back(with({.key = "kubernetes.token_file",
                        .reload = Reload::kRestart,
                        .help = "The file with the service account's token. It is read again when "
                                "it is rotated."},
                       ZEROSPAN_FIELD(kubernetes.token_file), text("file", "the path of a file")));
  table.push_back(
      with({.key = "kubernetes.ca_file",
            .reload = Reload::kRestart,
            .help = "The authority that the API server's certificate is checked against (PEM)."},
           ZEROSPAN_FIELD(kubernetes.ca_file), text("file", "the path of a PEM file")));
  table.push_back(with({.key = "kubernetes.node_name",
                        .reload = Reload::kRestart,
                        .help = "The node that zerospan runs on. Only its pods are asked for; not "
                                "set, those of all nodes are.",
                        .variables = {"ZEROSPAN_NODE_NAME"}},
                       ZEROSPAN_FIELD(kubernetes.node_name), text("node", "the name of a node")));
  table.push_back(with({.key = "kubernetes.cluster_name",
                        .reload = Reload::kLive,
                        .help = "k8s.cluster.name, which nobody but you knows."},
                       ZEROSPAN_FIELD(kubernetes.cluster_name),
                       text("cluster", "the name of a cluster")));
  table.push_back(
      with({.key = "kubernetes.opt_in_label",
            .reload = Reload::kLive,
            .help = "The label of namespaces that have their pods traced if its value is enabled. "
                    "As a label or an annotation of a pod, with the value enabled or disabled, it "
                    "overrides the namespace's and kubernetes.selectors."},
           ZEROSPAN_FIELD(kubernetes.opt_in_label), label_key()));
  table.push_back(with(
      {.key = "kubernetes.selectors",
       .reload = Reload::kLive,
       .help = "Chooses pods beside those that the label does. Each is a map; all that it has must "
               "hold: namespaces (globs), owner_kind, owner_name (glob), pod_labels (values are "
               "globs), containers (globs over their names in the pod)."},
      ZEROSPAN_FIELD(kubernetes.selectors), pod_selectors()));
  table.push_back(with({.key = "kubernetes.labels",
                        .reload = Reload::kLive,
                        .help = "Labels of pods to tell, as k8s.pod.label.KEY."},
                       ZEROSPAN_FIELD(kubernetes.labels), list_of(label_key())));
  table.push_back(with({.key = "kubernetes.annotations",
                        .reload = Reload::kLive,
                        .help = "Annotations of pods to tell, as k8s.pod.annotation.KEY."},
                       ZEROSPAN_FIELD(kubernetes.annotations), list_of(label_key())));
  table.push_back(with(
      {.key = "kubernetes.well_known_labels",
       .reload = Reload::kLive,
       .help = "Take service.name from a pod's labels app.kubernetes.io/instance and "
               "app.kubernetes.io/name, service.version from app.kubernetes.io/version, before "
               "its owner and its image."},
      ZEROSPAN_FIELD(kubernetes.well_known_labels), boolean()));
  table.push_back(with(
      {.key = "kubernetes.peers",
       .reload = Reload::kRestart,
       .help = "Name the Service that is called, as SERVICE.NAMESPACE in server.address, where a "
               "program calls it by an address. Follows all Services and EndpointSlices of the "
               "cluster, which zerospan's account must be allowed to list and watch."},
      ZEROSPAN_FIELD(kubernetes.peers), boolean()));
  table.push_back(
      with({.key = "kubernetes.start_jitter",
            .reload = Reload::kRestart,
            .help = "The first lists are put off by a random part of this, for the agents of many "
                    "nodes may start at once."},
           ZEROSPAN_FIELD(kubernetes.start_jitter), duration(Milliseconds(0), seconds(300))));
}

// The variables of an OTLP setting: that for traces wins over that for all signals.
std::vector<std::string> otlp_variables(const std::string& name) {
  return {"OTEL_EXPORTER_OTLP_TRACES_" + name, "OTEL_EXPORTER_OTLP_" + name};
}

void add_exporter(std::vector<Option>& table) {
  table.push_back(with({.key = "exporter.kind",
                        .reload = Reload::kRestart,
                        .help = "Where spans go.",
                        .variables = {"OTEL_TRACES_EXPORTER"},
                        .flag = "--exporter",
                        .flag_argument = "KIND",
                        .commands = kOnRun},
                       ZEROSPAN_FIELD(exporter.kind),
                       choice_of<ExporterKind>({{"otlp", ExporterKind::kOtlp},
                                                {"console", ExporterKind::kConsole},
                                                {"file", ExporterKind::kFile},
                                                {"none", ExporterKind::kNone}})));
  table.push_back(with({.key = "exporter.protocol",
                        .reload = Reload::kLive,
                        .help = "How OTLP is spoken.",
                        .variables = otlp_variables("PROTOCOL"),
                        .flag = "--protocol",
                        .flag_argument = "PROTOCOL",
                        .commands = kOnRun},
                       ZEROSPAN_FIELD(exporter.protocol),
                       choice_of<Protocol>({{"grpc", Protocol::kGrpc},
                                            {"http/protobuf", Protocol::kHttpProtobuf},
                                            {"http/json", Protocol::kHttpJson}})));
  table.push_back(with(
      {.key = "exporter.endpoint",
       .reload = Reload::kLive,
       .help = "The collector. Over HTTP, /v1/traces is appended. Not set: "
               "http://localhost:4318, for grpc http://localhost:4317.",
       .variables = {"OTEL_EXPORTER_OTLP_ENDPOINT"},
       .flag = "--endpoint",
       .flag_argument = "URL",
       .commands = kOnRun},
      [](Config& config) -> auto& { return config.exporter.given_endpoint; }, endpoint()));
  table.push_back(with(
      {.key = "exporter.traces_endpoint",
       .reload = Reload::kLive,
       .help = "The collector's URL for traces, used as it is. Wins over "
               "exporter.endpoint when both come from the same place.",
       .variables = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"}},
      [](Config& config) -> auto& { return config.exporter.given_traces_endpoint; }, endpoint()));
  table.push_back(with({.key = "exporter.headers",
                        .reload = Reload::kLive,
                        .help = "Headers to send with each export, for example for a token. In a "
                                "variable: name=value,name2=value2, percent-encoded.",
                        .variables = otlp_variables("HEADERS")},
                       ZEROSPAN_FIELD(exporter.headers), header_map()));
  table.push_back(with({.key = "exporter.timeout",
                        .reload = Reload::kRestart,
                        .help = "How long one attempt to send a batch may take.",
                        .variables = otlp_variables("TIMEOUT")},
                       ZEROSPAN_FIELD(exporter.timeout), duration(Milliseconds(1), hours(1))));
  table.push_back(
      with({.key = "exporter.compression",
            .reload = Reload::kLive,
            .help = "How batches are compressed.",
            .variables = otlp_variables("COMPRESSION")},
           ZEROSPAN_FIELD(exporter.compression),
           choice_of<Compression>({{"none", Compression::kNone}, {"gzip", Compression::kGzip}})));
  const auto pem = text("file", "the path of a PEM file");
  table.push_back(with({.key = "exporter.certificate",
                        .reload = Reload::kLive,
                        .help = "The authorities that the collector's certificate is checked "
                                "against (PEM). Not set: the system's.",
                        .variables = otlp_variables("CERTIFICATE")},
                       ZEROSPAN_FIELD(exporter.certificate), pem));
  table.push_back(with({.key = "exporter.client_certificate",
                        .reload = Reload::kLive,
                        .help = "The certificate that zerospan shows to the collector (PEM).",
                        .variables = otlp_variables("CLIENT_CERTIFICATE")},
                       ZEROSPAN_FIELD(exporter.client_certificate), pem));
  table.push_back(with({.key = "exporter.client_key",
                        .reload = Reload::kLive,
                        .help = "The private key of exporter.client_certificate (PEM).",
                        .variables = otlp_variables("CLIENT_KEY")},
                       ZEROSPAN_FIELD(exporter.client_key), pem));
  table.push_back(with({.key = "exporter.insecure",
                        .reload = Reload::kLive,
                        .help = "For grpc and an endpoint without http:// or https://: true talks "
                                "without TLS.",
                        .variables = otlp_variables("INSECURE")},
                       ZEROSPAN_FIELD(exporter.insecure), boolean()));
  table.push_back(with({.key = "exporter.file",
                        .reload = Reload::kRestart,
                        .help = "The file that exporter.kind file appends to: one "
                                "ExportTraceServiceRequest in JSON a line."},
                       ZEROSPAN_FIELD(exporter.file), text("file", "the path of a file")));
  table.push_back(with(
      {
          .key = "exporter.retry_max_elapsed",
          .reload = Reload::kRestart,
          .help = "How long a batch that the collector refuses for now is tried "
                  "again before it is dropped and counted. 0: never.",
      },
      ZEROSPAN_FIELD(exporter.retry_max_elapsed), duration(Milliseconds(0), hours(24))));
  table.push_back(with({.key = "exporter.queue_size",
                        .reload = Reload::kRestart,
                        .help = "How many spans wait for export at most. What is over it is "
                                "dropped and counted.",
                        .variables = {"OTEL_BSP_MAX_QUEUE_SIZE"}},
                       ZEROSPAN_FIELD(exporter.queue_size), number(1, 4'194'304)));
  table.push_back(with({.key = "exporter.batch_size",
                        .reload = Reload::kRestart,
                        .help = "How many spans are sent at once at most.",
                        .variables = {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE"}},
                       ZEROSPAN_FIELD(exporter.batch_size), number(1, 65536)));
  table.push_back(with({.key = "exporter.schedule_delay",
                        .reload = Reload::kRestart,
                        .help = "How long a span waits for others to be sent with it. Shorter than "
                                "an SDK's 5s, so that spans are seen at once.",
                        .variables = {"OTEL_BSP_SCHEDULE_DELAY"}},
                       ZEROSPAN_FIELD(exporter.schedule_delay),
                       duration(Milliseconds(1), hours(1))));
  table.push_back(with({.key = "exporter.export_timeout",
                        .reload = Reload::kRestart,
                        .help = "How long the last flush may take before it is given up.",
                        .variables = {"OTEL_BSP_EXPORT_TIMEOUT"}},
                       ZEROSPAN_FIELD(exporter.export_timeout),
                       duration(Milliseconds(1), hours(1))));
}

void add_self(std::vector<Option>& table) {
  table.push_back(with({.key = "metrics.listen",
                        .reload = Reload::kRestart,
                        .help = "Where zerospan serves /metrics, /healthz and /readyz. Port 0 "
                                "takes a free one.",
                        .flag = "--metrics-listen",
                        .flag_argument = "HOST:PORT",
                        .commands = kOnRun},
                       ZEROSPAN_FIELD(metrics.listen), listen_address()));
  table.push_back(with({.key = "metrics.bpf_stats",
                        .reload = Reload::kRestart,
                        .help = "Measure the run time of zerospan's BPF programs. The kernel then "
                                "measures every BPF program of the host, at a small cost."},
                       ZEROSPAN_FIELD(metrics.bpf_stats), boolean()));
  table.push_back(with({.key = "log.level",
                        .reload = Reload::kLive,
                        .help = "How much zerospan logs about itself.",
                        .variables = {"OTEL_LOG_LEVEL"},
                        .flag = "--log-level",
                        .flag_argument = "LEVEL",
                        .commands = kOnAll},
                       ZEROSPAN_FIELD(log.level),
                       choice_of<LogLevel>({{"trace", LogLevel::kTrace},
                                            {"debug", LogLevel::kDebug},
                                            {"info", LogLevel::kInfo},
                                            {"warn", LogLevel::kWarn},
                                            {"error", LogLevel::kError},
                                            {"off", LogLevel::kOff}})));
  table.push_back(
      with({.key = "log.format",
            .reload = Reload::kLive,
            .help = "How a log line looks.",
            .flag = "--log-format",
            .flag_argument = "FORMAT",
            .commands = kOnAll},
           ZEROSPAN_FIELD(log.format),
           choice_of<LogFormat>({{"text", LogFormat::kText}, {"json", LogFormat::kJson}})));
  table.push_back(with({.key = "one_per_host",
                        .reload = Reload::kRestart,
                        .help = "Refuse to run beside another zerospan run of this host. Two of "
                                "them make every span twice, unless they select different "
                                "programs.",
                        .flag = "--beside-others",
                        .flag_sets = "false",
                        .commands = kOnRun},
                       ZEROSPAN_FIELD(one_per_host), boolean()));
  table.push_back(with(
      {
          .key = "shutdown_deadline",
          .reload = Reload::kLive,
          .help = "After SIGTERM or SIGINT, how long zerospan may take to send what "
                  "it has. What is left is counted as lost.",
      },
      ZEROSPAN_FIELD(shutdown_deadline), duration(Milliseconds(0), seconds(60))));
}

#undef ZEROSPAN_FIELD

}  // namespace

const std::vector<Option>& option_table() {
  static const std::vector<Option> kTable = [] {
    std::vector<Option> table;
    add_selection(table);
    add_capture(table);
    add_http(table);
    add_database(table);
    add_tracing(table);
    add_kubernetes(table);
    add_exporter(table);
    add_self(table);
    return table;
  }();
  return kTable;
}

Value value_from_text(const Option& option, const std::string& text, bool split) {
  if (option.shape == Option::Shape::kList && split) {
    Value list;
    list.kind = Value::Kind::kList;
    for (const std::string_view piece : split_at_commas(text)) {
      list.items.push_back(Value::of(std::string(piece)));
    }
    return list;
  }
  if (option.shape == Option::Shape::kMap) {
    Value map;
    map.kind = Value::Kind::kMap;
    for (const std::string_view piece : split_at_commas(text)) {
      const size_t equals = piece.find('=');
      if (equals == std::string_view::npos) {
        return Value::of(text);  // which the map's codec refuses
      }
      map.keys.emplace_back(trim(piece.substr(0, equals)));
      map.key_marks.emplace_back();
      map.items.push_back(Value::of(std::string(trim(piece.substr(equals + 1)))));
    }
    return map;
  }
  return Value::of(std::string(trim(text)));
}

}  // namespace zerospan::config
