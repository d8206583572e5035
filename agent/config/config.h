// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Everything that the operator can choose, as one plain value. It is made at start, and again when
// the file has changed, by loader.h or command_line.h, checked as a whole, and never changes after.
// The folder agent/app hands each stage the part that it needs, in that stage's own Options.
//
// The members' initialisers are the defaults; what each means to the operator stands in the table
// in options.cc, from which docs/config.md is generated.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/propagation/propagators.h"
#include "agent/sampling/health_checks.h"
#include "agent/sampling/sampler.h"

namespace zerospan::config {

using Milliseconds = std::chrono::milliseconds;
using StringMap = std::vector<std::pair<std::string, std::string>>;  // in the order given

struct PortRange {
  uint16_t first = 0;
  uint16_t last = 0;  // inclusive
  bool operator==(const PortRange&) const = default;
};

// A process matches when any one of the lists has it.
struct ProcessMatch {
  std::vector<uint32_t> pids;
  std::vector<PortRange> ports;            // TCP ports that the process listens on
  std::vector<std::string> executables;    // globs over the executable's path
  std::vector<std::string> command_lines;  // globs over the arguments joined by spaces
  std::vector<std::string> users;          // names or numeric ids
  std::vector<std::string> container_ids;  // prefixes, lower-case hex
  [[nodiscard]] bool empty() const {
    return pids.empty() && ports.empty() && executables.empty() && command_lines.empty() &&
           users.empty() && container_ids.empty();
  }
};

struct Selection {
  ProcessMatch include;
  bool all = false;
  bool children = true;  // the descendants of a selected process are selected too
  ProcessMatch exclude;  // beats include and all
  [[nodiscard]] bool empty() const { return include.empty() && !all; }
};

enum class CaptureKind : uint8_t { kAuto, kTracepoint, kFentry, kKprobe, kSyscall };
enum class EventLoopTicks : uint8_t { kAuto, kOff };

struct Capture {
  CaptureKind kind = CaptureKind::kAuto;
  std::string btf;  // a file; empty: the kernel's own
  uint32_t head_bytes = 4096;
  uint32_t tail_bytes = 128;
  uint64_t ring_bytes = 4ULL << 20U;  // per worker; a power of two
  std::optional<uint32_t> workers;    // unset: as many as processors, at most 2
  uint32_t max_connections = 65536;
  uint32_t max_processes = 8192;
  EventLoopTicks event_loop_ticks = EventLoopTicks::kAuto;
  std::vector<std::string> protocols = {"amqp",  "cassandra",  "dns",     "http1", "http2",
                                        "kafka", "memcached",  "mongodb", "mqtt",  "mysql",
                                        "nats",  "postgresql", "redis"};
  std::vector<uint32_t> dns_ports = {53};  // of name servers
};

enum class RouteHeuristic : uint8_t { kOff, kAttribute, kName };

struct Http {
  std::vector<std::string> routes;
  bool go_routes = true;
  RouteHeuristic route_heuristic = RouteHeuristic::kOff;
  uint32_t route_max_cardinality = 100;
  std::vector<std::string> request_headers;   // lower case
  std::vector<std::string> response_headers;  // lower case
  std::vector<std::string> redact_query_keys = {
      "X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token",
      "AWSAccessKeyId",  "Signature",        "sig",
      "X-Goog-Signature"};
  std::vector<std::string> known_methods = {"CONNECT", "DELETE", "GET", "HEAD",  "OPTIONS",
                                            "PATCH",   "POST",   "PUT", "QUERY", "TRACE"};
  sampling::HealthCheckOptions health_checks;
};

enum class QueryText : uint8_t { kSanitized, kRaw, kOff };

struct Database {
  QueryText query_text = QueryText::kSanitized;
  uint32_t query_text_bytes = 4096;
};

// Of programs that carry an OpenTelemetry SDK.
enum class SdkSpans : uint8_t { kComplement, kAll };

// Whether requests that carry no trace context are given one on their way.
enum class Inject : uint8_t { kOff, kOn };

struct Propagation {
  std::vector<propagation::Format> propagators = propagation::Propagators::Options{}.formats;
  std::vector<std::string> baggage_attributes;
  Inject inject = Inject::kOff;
  std::vector<std::string> tolerate;  // checks of the self-test before injection
};

// Names the service of the processes that match all the fields which are set; the first rule that
// matches wins.
struct ServiceRule {
  std::string executable;    // glob; empty: any
  std::string command_line;  // glob; empty: any
  std::optional<uint16_t> port;
  std::string name;  // never empty
  std::string namespace_name;
  bool operator==(const ServiceRule&) const = default;
};

struct Service {
  std::vector<ServiceRule> rules;
  StringMap resource_attributes;
};

enum class KubernetesMode : uint8_t { kAuto, kOn, kOff };

// Chooses containers by their pods: all conditions that are given must hold.
struct PodSelector {
  std::vector<std::string> namespaces;  // globs
  std::string owner_kind;               // as in the API: Deployment
  std::string owner_name;               // glob
  StringMap pod_labels;                 // values are globs
  std::vector<std::string> containers;  // globs over the container's name in the pod
  bool operator==(const PodSelector&) const = default;
};

struct Kubernetes {
  // Once loaded, never kAuto.
  KubernetesMode mode = KubernetesMode::kAuto;
  std::string api_server;  // URL; resolved: empty outside of a cluster
  std::string token_file = "/var/run/secrets/kubernetes.io/serviceaccount/token";
  std::string ca_file = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
  std::string node_name;
  std::string cluster_name;
  std::string opt_in_label = "zerospan.io/instrument";
  std::vector<PodSelector> selectors;
  std::vector<std::string> labels;
  std::vector<std::string> annotations;
  bool well_known_labels = false;
  bool peers = false;
  Milliseconds start_jitter{1'000};
};

enum class ExporterKind : uint8_t { kOtlp, kConsole, kFile, kNone };
enum class Protocol : uint8_t { kGrpc, kHttpProtobuf, kHttpJson };
enum class Compression : uint8_t { kNone, kGzip };

struct Exporter {
  ExporterKind kind = ExporterKind::kOtlp;
  Protocol protocol = Protocol::kHttpProtobuf;
  // The whole URL to send to, already resolved: with the path over HTTP, and with "http://" or
  // "https://" also over gRPC.
  std::string endpoint;
  std::string given_endpoint;         // the base, for all signals; empty: not given
  std::string given_traces_endpoint;  // verbatim, for traces; the same
  StringMap headers;                  // percent-decoded
  Milliseconds timeout{10'000};
  Compression compression = Compression::kNone;
  std::string certificate;  // PEM files; empty: the system's authorities, and no client identity
  std::string client_certificate;
  std::string client_key;
  bool insecure = false;  // already applied to `endpoint`: it matters only for one without a scheme
  std::string file = "zerospan-spans.jsonl";
  Milliseconds retry_max_elapsed{300'000};
  uint32_t queue_size = 32768;
  uint32_t batch_size = 512;
  Milliseconds schedule_delay{100};
  Milliseconds export_timeout{30'000};
};

struct ListenAddress {
  std::string host;  // an IP address or name, without brackets
  uint16_t port = 0;
  bool operator==(const ListenAddress&) const = default;
};

struct Metrics {
  std::optional<ListenAddress> listen = ListenAddress{"127.0.0.1", 9465};  // unset: off
  bool bpf_stats = false;
};

enum class LogLevel : uint8_t { kTrace, kDebug, kInfo, kWarn, kError, kOff };
enum class LogFormat : uint8_t { kText, kJson };

struct Log {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
};

struct Config {
  Selection selection;
  Capture capture;
  Http http;
  Database database;
  Propagation propagation;
  SdkSpans sdk_spans = SdkSpans::kComplement;
  sampling::Options sampler;
  Service service;
  Kubernetes kubernetes;
  Exporter exporter;
  Metrics metrics;
  Log log;
  Milliseconds shutdown_deadline{800};
  bool one_per_host = true;
};

}  // namespace zerospan::config
