// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/app/statistics.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>

#include "agent/kernel/capture.h"

namespace zerospan::app {

namespace {

constexpr std::string_view kLostPrefix = "lost_";

// One line for each counter of the pipeline: how it is reached, and its name.
struct PipelineField {
  uint64_t& (*at)(PipelineCounters&);
  const char* name;
  const char* help;
};

#define ZS_FIELD(path, name, help)                                      \
  PipelineField {                                                       \
    [](PipelineCounters& c) -> uint64_t& { return c.path; }, name, help \
  }
constexpr auto kPipelineFields = std::to_array<PipelineField>({
    ZS_FIELD(records_decoded, "records_decoded", "records read from the rings"),
    ZS_FIELD(records_malformed, "records_malformed", "records that do not follow the ABI"),
    ZS_FIELD(chunks, "chunks", "socket operations that reached the parsers"),
    ZS_FIELD(exchanges, "exchanges", "requests with what became of them"),
    ZS_FIELD(exchanges_incomplete, "exchanges_incomplete",
             "exchanges of which something was not seen"),
    ZS_FIELD(spans_made, "spans_made", "spans built"),
    ZS_FIELD(routes_refused, "routes_refused",
             "routes that a program told, but that do not fit the path asked for"),
    ZS_FIELD(spans_left_to_sdk, "spans_left_to_sdk",
             "exchanges whose span the program's own SDK makes"),
    ZS_FIELD(parents_left_to_sdk, "parents_left_to_sdk",
             "spans made below a request whose span the program's own SDK makes"),
    ZS_FIELD(spans_dropped_not_selected, "spans_dropped_not_selected",
             "spans dropped because their process turned out not to be selected"),
    ZS_FIELD(spans_dropped_waiting_full, "spans_dropped_waiting_full",
             "spans dropped because too many waited for their process to become known"),
    ZS_FIELD(table.opened, "connections_opened", "connections taken up"),
    ZS_FIELD(table.closed, "connections_closed", "connections that ended"),
    ZS_FIELD(table.evicted, "connections_evicted",
             "connections given up because the table was full"),
    ZS_FIELD(table.unknown_records, "records_unknown_connection",
             "records of connections that are not known"),
    ZS_FIELD(table.opaque, "connections_opaque", "connections with nothing (more) to tell"),
    ZS_FIELD(table.unrecognised, "connections_unrecognised",
             "connections whose first bytes no protocol accepted"),
    ZS_FIELD(parents.parents_by_thread, "parents_by_thread", "calls whose parent the thread told"),
    ZS_FIELD(parents.parents_by_tick, "parents_by_tick",
             "calls whose parent the event loop's call-back told"),
    ZS_FIELD(parents.parents_by_creating_thread, "parents_by_creating_thread",
             "calls whose parent the creating thread told"),
    ZS_FIELD(parents.parents_by_goroutine, "parents_by_goroutine",
             "calls whose parent the goroutine told"),
    ZS_FIELD(parents.parents_by_header, "parents_by_header",
             "calls whose parent the sent header told"),
    ZS_FIELD(parents.remote_parents, "parents_remote",
             "requests that continue their caller's trace"),
    ZS_FIELD(parents.roots_without_evidence, "roots_without_evidence",
             "calls for which nothing tells a parent"),
    ZS_FIELD(parents.roots_ambiguous, "roots_ambiguous",
             "calls that more than one request could have made"),
    ZS_FIELD(parents.roots_request_over, "roots_request_over",
             "calls made after the request was answered"),
    ZS_FIELD(parents.roots_request_unknown, "roots_request_unknown",
             "calls for a request that is not known"),
    ZS_FIELD(parents.evidence_contradicted, "parents_contradicted",
             "calls whose header names another trace than the evidence"),
    ZS_FIELD(parents.injections, "injections", "calls that were given a traceparent"),
    ZS_FIELD(parents.injections_unmatched, "injections_unmatched",
             "of these, calls of which nothing else was seen"),
    ZS_FIELD(parents.injections_contradicted, "injections_contradicted",
             "of these, calls whose parent's request was read in another way by the kernel side"),
    ZS_FIELD(parents.injections_answered, "injections_answered", "of these, calls with an answer"),
    ZS_FIELD(parents.injections_broken, "injections_broken",
             "of these, calls whose connection ended before any answer"),
    ZS_FIELD(parents.not_sampled, "spans_not_sampled", "exchanges whose trace the sampler dropped"),
    ZS_FIELD(parents.health_checks, "spans_health_checks",
             "exchanges that are health checks, or were made for one"),
});
#undef ZS_FIELD

struct ParserField {
  uint64_t protocols::ParserCounters::*at;
  const char* name;
  const char* help;
};
constexpr auto kParserFields = std::to_array<ParserField>({
    {&protocols::ParserCounters::messages, "messages", "message heads parsed"},
    {&protocols::ParserCounters::exchanges, "exchanges", "exchanges given out"},
    {&protocols::ParserCounters::unparsed_bytes, "unparsed_bytes",
     "captured bytes that were part of no message"},
    {&protocols::ParserCounters::resyncs, "resyncs",
     "times that a message boundary was found again"},
    {&protocols::ParserCounters::gaps, "gaps", "holes in a direction's bytes"},
    {&protocols::ParserCounters::gap_bytes, "gap_bytes", "bytes in holes"},
    {&protocols::ParserCounters::heads_truncated, "heads_truncated",
     "message heads longer than what is captured"},
    {&protocols::ParserCounters::requests_without_response, "requests_without_response",
     "requests whose response was not seen"},
    {&protocols::ParserCounters::responses_without_request, "responses_without_request",
     "responses whose request was not seen"},
    {&protocols::ParserCounters::messages_missed, "messages_missed",
     "messages that were not captured, by the numbers of others; no span is made of them"},
    {&protocols::ParserCounters::idle_polls, "idle_polls",
     "polls and heartbeats without a result, of which no span is made"},
    {&protocols::ParserCounters::limits_hit, "limits_hit",
     "times that a bound made the parser give something up"},
});

// "lost_ring_full" as one of the kinds of records_lost.
std::string kernel_name(std::string_view name) {
  return name.starts_with(kLostPrefix) ? "records_" + std::string(name) : std::string(name);
}

// Of the kernel's lost_*, those that are whole records: the others are knowledge about an
// operation, or operations that made no record.
bool is_lost_record(std::string_view name) {
  return name == "lost_ring_full";
}

std::string stat_name(std::string_view kernel_counter) {
  if (is_lost_record(kernel_counter)) {
    return kernel_name(kernel_counter);
  }
  return kernel_counter.starts_with(kLostPrefix) ? "capture_" + std::string(kernel_counter)
                                                 : std::string(kernel_counter);
}

}  // namespace

void add(PipelineCounters& sum, const PipelineCounters& more) {
  PipelineCounters copy = more;
  for (const PipelineField& field : kPipelineFields) {
    field.at(sum) += field.at(copy);
  }
  sum.connections += more.connections;
  sum.parsers.resize(std::max(sum.parsers.size(), more.parsers.size()));
  for (size_t i = 0; i < more.parsers.size(); ++i) {
    for (const ParserField& field : kParserFields) {
      sum.parsers[i].*field.at += more.parsers[i].*field.at;
    }
  }
}

std::map<std::string, uint64_t> flatten(const Statistics& statistics) {
  std::map<std::string, uint64_t> flat;
  for (const auto& [name, value] : statistics.kernel) {
    flat.emplace(stat_name(name), value);
  }
  PipelineCounters pipeline = statistics.pipeline;
  for (const PipelineField& field : kPipelineFields) {
    flat.emplace(field.name, field.at(pipeline));
  }
  const auto protocols = protocols::all_protocols();
  for (size_t i = 0; i < pipeline.parsers.size() && i < protocols.size(); ++i) {
    for (const ParserField& field : kParserFields) {
      flat.emplace(std::string(protocols[i].name) + "_" + field.name,
                   pipeline.parsers[i].*field.at);
    }
  }
  for (const auto& [reason, count] : statistics.spans_dropped) {
    flat.emplace("spans_dropped_" + reason, count);
  }
  flat.emplace("spans_exported", statistics.spans_exported);
  flat.emplace("spans_queued", statistics.spans_queued);
  flat.emplace("connections", pipeline.connections);
  flat.emplace("processes_known", statistics.processes.known);
  flat.emplace("processes_selected", statistics.processes.selected);
  flat.emplace("processes_over_limit", statistics.processes.over_limit);
  flat.emplace("processes_unreadable", statistics.processes.unreadable);
  flat.emplace("processes_vanished", statistics.processes.vanished);
  flat.emplace("processes_never_in_known_pod", statistics.processes.workloads_never_known);
  if (statistics.injection) {
    flat.emplace("injection_on", statistics.injection->state == Injection::State::kOn);
    flat.emplace("injection_stopped", statistics.injection->stopped);
    flat.emplace("injection_checks_failed", statistics.injection->checks_failed);
    flat.emplace("injection_stalled_connections", statistics.injection->stalled);
  }
  return flat;
}

std::vector<std::pair<std::string, uint64_t>> losses(const Statistics& statistics) {
  std::vector<std::pair<std::string, uint64_t>> result;
  for (const auto& [name, value] : flatten(statistics)) {
    const bool loss =
        name.starts_with("records_lost_") || name.starts_with("spans_dropped_") ||
        (name.starts_with("capture_lost_") && name != "capture_lost_syscall_unreadable") ||
        name == "records_malformed" || name == "records_unknown_connection" ||
        name == "connections_evicted" || name == "processes_over_limit";
    if (loss && value > 0) {
      result.emplace_back(name, value);
    }
  }
  return result;
}

Status write_statistics(const std::string& path, const Statistics& statistics) {
  std::ofstream file(path, std::ios::trunc);
  file << nlohmann::json(flatten(statistics)).dump(2) << '\n';
  file.close();
  if (!file) {
    return fail(ErrorCode::kInternal, "the statistics cannot be written to " + path);
  }
  return {};
}

void collect(const Statistics& statistics, selfobs::Samples& samples) {
  const auto counter = [&samples](const std::string& name, std::string_view help, uint64_t value,
                                  selfobs::Labels labels = {}) {
    samples.counter("zerospan_" + name + "_total", help, static_cast<double>(value),
                    std::move(labels));
  };
  for (const kernel::CounterDescription& description : kernel::counter_descriptions()) {
    if (const auto found = statistics.kernel.find(std::string(description.name));
        found != statistics.kernel.end()) {
      counter(stat_name(description.name), description.help, found->second);
    }
  }
  PipelineCounters pipeline = statistics.pipeline;
  for (const PipelineField& field : kPipelineFields) {
    const std::string_view name = field.name;
    if (constexpr std::string_view kDropped = "spans_dropped_"; name.starts_with(kDropped)) {
      counter("spans_dropped", "spans that were not exported, by reason", field.at(pipeline),
              {{"reason", std::string(name.substr(kDropped.size()))}});
    } else {
      counter(field.name, field.help, field.at(pipeline));
    }
  }
  const auto protocols = protocols::all_protocols();
  for (size_t i = 0; i < pipeline.parsers.size() && i < protocols.size(); ++i) {
    for (const ParserField& field : kParserFields) {
      counter(std::string("parser_") + field.name, field.help, pipeline.parsers[i].*field.at,
              {{"protocol", std::string(protocols[i].name)}});
    }
  }
  for (const auto& [reason, count] : statistics.spans_dropped) {
    counter("spans_dropped", "spans that were not exported, by reason", count,
            {{"reason", reason}});
  }
  counter("spans_exported", "spans that the receiver accepted", statistics.spans_exported);
  counter("export_requests", "export requests sent, retries included", statistics.export_requests);
  samples.counter("zerospan_export_seconds_total", "time spent in export requests",
                  statistics.export_seconds);
  samples.gauge("zerospan_spans_queued", "spans waiting to be exported",
                static_cast<double>(statistics.spans_queued));
  samples.gauge("zerospan_connections", "connections followed now",
                static_cast<double>(pipeline.connections));
  samples.gauge("zerospan_processes_selected", "processes traced now",
                static_cast<double>(statistics.processes.selected));
  counter("processes_over_limit", "processes not traced because the map of processes was full",
          statistics.processes.over_limit);
  counter("processes_never_in_known_pod",
          "processes that waited for what the API says of their pod, in vain",
          statistics.processes.workloads_never_known);
  samples.gauge("zerospan_processes_awaiting_pod",
                "processes that wait for what the API says of their pod",
                static_cast<double>(statistics.processes.awaiting_workload));
  if (statistics.injection) {
    samples.gauge("zerospan_injection_on", "1 if trace context is injected now",
                  statistics.injection->state == Injection::State::kOn ? 1 : 0);
    samples.gauge("zerospan_injection_stopped",
                  "1 if injection was on and had to end: it did harm, or stood in another's way",
                  statistics.injection->stopped ? 1 : 0);
    samples.gauge("zerospan_injection_checks_failed",
                  "checks of the self-test before injection that failed on this kernel",
                  static_cast<double>(statistics.injection->checks_failed));
    counter("injection_stalled_connections",
            "connections that were taken out of injection because they stood still",
            statistics.injection->stalled);
  }
  counter("processes_unreadable", "processes whose environment or descriptors could not be read",
          statistics.processes.unreadable);
}

}  // namespace zerospan::app
