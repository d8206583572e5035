// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/app/settings.h"

#include <unistd.h>

#include <algorithm>
#include <thread>

#include "agent/protocols/registry.h"

namespace zerospan::app {

namespace {

discovery::SelectionRules selection_rules(const config::ProcessMatch& match) {
  discovery::SelectionRules rules;
  rules.pids = match.pids;
  for (const config::PortRange& range : match.ports) {
    rules.ports.push_back({range.first, range.last});
  }
  rules.executables = match.executables;
  rules.command_lines = match.command_lines;
  rules.users = match.users;
  rules.containers = match.container_ids;
  return rules;
}

}  // namespace

uint32_t worker_count(const config::Config& config) {
  return config.capture.workers.value_or(std::clamp(std::thread::hardware_concurrency(), 1U, 2U));
}

kernel::CaptureOptions capture_options(const config::Config& config, uint64_t seed) {
  const config::Capture& capture = config.capture;
  kernel::CaptureOptions options;
  switch (capture.kind) {
    case config::CaptureKind::kAuto:
      options.kind = kernel::CaptureKind::kAuto;
      break;
    case config::CaptureKind::kTracepoint:
      options.kind = kernel::CaptureKind::kTracepoint;
      break;
    case config::CaptureKind::kFentry:
      options.kind = kernel::CaptureKind::kFentry;
      break;
    case config::CaptureKind::kKprobe:
      options.kind = kernel::CaptureKind::kKprobe;
      break;
    case config::CaptureKind::kSyscall:
      options.kind = kernel::CaptureKind::kSyscall;
      break;
  }
  options.btf_file = capture.btf;
  options.head_bytes = capture.head_bytes;
  options.tail_bytes = capture.tail_bytes;
  options.protocols = protocols::protocol_mask(capture.protocols);
  options.dns_ports = {};
  std::copy_n(capture.dns_ports.begin(),
              std::min(capture.dns_ports.size(), options.dns_ports.size()),
              options.dns_ports.begin());
  options.ring_bytes = static_cast<uint32_t>(capture.ring_bytes);
  options.rings = worker_count(config);
  options.max_connections = capture.max_connections;
  options.max_processes = capture.max_processes;
  options.event_loop_ticks = capture.event_loop_ticks == config::EventLoopTicks::kAuto;
  options.propagate = config.propagation.inject == config::Inject::kOn;
  options.tentative = tentative_capture(config);
  options.id_seed = seed;
  return options;
}

Result<kernel::InjectionRules> injection_rules(const config::Config& config) {
  const Result<sampling::Sampler> sampler = sampling::Sampler::make(config.sampler);
  if (!sampler) {
    return tl::unexpected(sampler.error());
  }
  kernel::InjectionRules rules;
  rules.sample_threshold = sampler->threshold();
  rules.sample_by_parent = sampler->parent_based();
  // Another format in front of traceparent is read first, which the kernel side does not.
  std::vector<propagation::Format> formats = config.propagation.propagators;
  std::erase(formats, propagation::Format::kBaggage);
  rules.reads_traceparent =
      !formats.empty() && formats.front() == propagation::Format::kTraceContext;
  rules.reads_others = formats.size() > (rules.reads_traceparent ? 1 : 0);
  return rules;
}

kernel::TentativeCapture tentative_capture(const config::Config& config) {
  // A selection by pid is settled by fork alone; every other rule may match a program that starts
  // later.
  const config::ProcessMatch& include = config.selection.include;
  return {.new_programs = config.selection.all || !include.executables.empty() ||
                          !include.command_lines.empty() || !include.users.empty() ||
                          !include.container_ids.empty(),
          .new_listeners = !include.ports.empty()};
}

PipelineOptions pipeline_options(const config::Config& config, uint64_t seed) {
  PipelineOptions options;
  const config::Http& http = config.http;
  options.spans.route_templates = http.routes;
  switch (http.route_heuristic) {
    case config::RouteHeuristic::kOff:
      options.spans.route_heuristic = spans::RouteHeuristic::kOff;
      break;
    case config::RouteHeuristic::kAttribute:
      options.spans.route_heuristic = spans::RouteHeuristic::kAttribute;
      break;
    case config::RouteHeuristic::kName:
      options.spans.route_heuristic = spans::RouteHeuristic::kName;
      break;
  }
  options.spans.max_guessed_routes = http.route_max_cardinality;
  options.spans.captured_request_headers = http.request_headers;
  options.spans.captured_response_headers = http.response_headers;
  switch (config.database.query_text) {
    case config::QueryText::kSanitized:
      options.spans.query_text = spans::QueryText::kSanitized;
      break;
    case config::QueryText::kRaw:
      options.spans.query_text = spans::QueryText::kRaw;
      break;
    case config::QueryText::kOff:
      options.spans.query_text = spans::QueryText::kOff;
      break;
  }
  options.spans.max_query_bytes = config.database.query_text_bytes;
  options.spans.baggage_keys = config.propagation.baggage_attributes;
  options.spans.redacted_query_keys = http.redact_query_keys;
  options.spans.known_methods = http.known_methods;
  options.withhold_for_sdk = config.sdk_spans == config::SdkSpans::kComplement;
  options.propagators.formats = config.propagation.propagators;
  options.sampler = config.sampler;
  options.health_checks = config.http.health_checks;
  options.correlator.seed = seed;
  options.table.max_connections = config.capture.max_connections;
  options.table.enabled = protocols::protocol_mask(config.capture.protocols);
  return options;
}

discovery::ProcessTableOptions process_table_options(const config::Config& config,
                                                     const discovery::Host& host) {
  discovery::ProcessTableOptions options;
  options.selection.include = selection_rules(config.selection.include);
  options.selection.include.all = config.selection.all;
  options.selection.exclude = selection_rules(config.selection.exclude);
  options.selection.children = config.selection.children;
  options.selection.pods = config.kubernetes.mode == config::KubernetesMode::kOn;
  options.selection.self_pid = static_cast<uint32_t>(::getpid());
  options.resource.host = host;
  options.resource.agent_version = kVersion;
  for (const config::ServiceRule& rule : config.service.rules) {
    options.resource.rules.push_back({rule.executable, rule.command_line, rule.port.value_or(0),
                                      rule.name, rule.namespace_name});
  }
  options.resource.attributes = config.service.resource_attributes;
  options.max_selected = config.capture.max_processes;
  return options;
}

k8s::ClusterOptions cluster_options(const config::Kubernetes& config) {
  k8s::ClusterOptions options;
  options.choice.opt_in_label = config.opt_in_label;
  for (const config::PodSelector& selector : config.selectors) {
    options.choice.selectors.push_back({selector.namespaces, selector.owner_kind,
                                        selector.owner_name, selector.pod_labels,
                                        selector.containers});
  }
  options.attributes = {config.node_name, config.cluster_name, config.labels, config.annotations,
                        config.well_known_labels};
  return options;
}

transport::ExporterOptions exporter_options(const config::Config& config) {
  const config::Exporter& exporter = config.exporter;
  transport::ExporterOptions options;
  switch (exporter.kind) {
    case config::ExporterKind::kConsole:
      options.protocol = transport::Protocol::kStdout;
      break;
    case config::ExporterKind::kFile:
      options.protocol = transport::Protocol::kFile;
      break;
    case config::ExporterKind::kOtlp:
    case config::ExporterKind::kNone:
      options.protocol = exporter.protocol == config::Protocol::kGrpc ? transport::Protocol::kGrpc
                         : exporter.protocol == config::Protocol::kHttpProtobuf
                             ? transport::Protocol::kHttpProtobuf
                             : transport::Protocol::kHttpJson;
      break;
  }
  options.endpoint = exporter.endpoint;
  options.endpoint_for_traces = true;  // the configuration has already made it whole
  options.insecure = exporter.insecure;
  options.headers = exporter.headers;
  options.compression = exporter.compression == config::Compression::kGzip
                            ? transport::Compression::kGzip
                            : transport::Compression::kNone;
  options.ca_certificate_path = exporter.certificate;
  options.client_certificate_path = exporter.client_certificate;
  options.client_key_path = exporter.client_key;
  options.file_path = exporter.file;
  options.batch.max_queue_spans = exporter.queue_size;
  options.batch.max_batch_spans = exporter.batch_size;
  options.batch.schedule_delay = exporter.schedule_delay;
  options.batch.send_timeout = std::min(exporter.timeout, exporter.export_timeout);
  options.batch.shutdown_timeout = config.shutdown_deadline;
  options.batch.retry.max_elapsed = exporter.retry_max_elapsed;
  options.batch.scope.name = "zerospan";
  options.batch.scope.version = kVersion;
  return options;
}

selfobs::log::Options log_options(const config::Config& config) {
  selfobs::log::Options options;
  switch (config.log.level) {
    case config::LogLevel::kTrace:
    case config::LogLevel::kDebug:
      options.level = selfobs::log::Level::kDebug;
      break;
    case config::LogLevel::kInfo:
      options.level = selfobs::log::Level::kInfo;
      break;
    case config::LogLevel::kWarn:
      options.level = selfobs::log::Level::kWarn;
      break;
    case config::LogLevel::kError:
    case config::LogLevel::kOff:
      options.level = selfobs::log::Level::kError;
      break;
  }
  options.format = config.log.format == config::LogFormat::kJson ? selfobs::log::Format::kJson
                                                                 : selfobs::log::Format::kText;
  return options;
}

}  // namespace zerospan::app
