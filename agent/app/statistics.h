// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Every counter of a run, gathered from all stages: for /metrics, for the summary of `trace`, and
// as a file.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/app/injection.h"
#include "agent/app/pipeline.h"
#include "agent/discovery/process_table.h"
#include "agent/selfobs/metrics.h"
#include "exporter/batch/counters.h"

namespace zerospan::app {

// Promise: records_reserved = records_decoded + records_lost_*, and
// spans_made = spans_exported + spans_dropped_* + spans_queued.
struct Statistics {
  std::map<std::string, uint64_t> kernel;  // by kernel::counter_descriptions()
  PipelineCounters pipeline;               // summed over workers
  discovery::ProcessTableCounters processes;
  std::optional<Injection::Report> injection;
  uint64_t spans_exported = 0;
  uint64_t spans_queued = 0;
  uint64_t export_requests = 0;                   // retries included
  double export_seconds = 0;                      // spent in them
  std::map<std::string, uint64_t> spans_dropped;  // by reason
};

void add(PipelineCounters& sum, const PipelineCounters& more);

// name -> value, flat, as docs/debugging.md lists them.
[[nodiscard]] std::map<std::string, uint64_t> flatten(const Statistics& statistics);
// What was lost, by reason, without the reasons that did not occur.
[[nodiscard]] std::vector<std::pair<std::string, uint64_t>> losses(const Statistics& statistics);
// As one JSON object, flat.
Status write_statistics(const std::string& path, const Statistics& statistics);
void collect(const Statistics& statistics, selfobs::Samples& samples);

}  // namespace zerospan::app
