// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// One shard from records to spans: decode, connections, parsers, parents, sampling, span building.
// The same code runs live and in a replay. Single-threaded; owns all its state.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "agent/conn/connection_table.h"
#include "agent/kernel/record_decoder.h"
#include "agent/model/span.h"
#include "agent/parents/correlator.h"
#include "agent/propagation/propagators.h"
#include "agent/sampling/sampler.h"
#include "agent/spans/clock.h"
#include "agent/spans/span_builder.h"

namespace zerospan::app {

struct PipelineOptions {
  spans::SpanBuilderOptions spans;
  propagation::Propagators::Options propagators;
  sampling::Options sampler;
  parents::CorrelatorOptions correlator;
  conn::TableOptions table;
  size_t max_waiting_spans = 4096;  // whose process is not known yet
  uint64_t max_wait_ns = 1'000'000'000;
};

// Plain counters, written by the shard's thread.
struct PipelineCounters {
  uint64_t records_decoded = 0;
  uint64_t records_malformed = 0;
  uint64_t chunks = 0;
  uint64_t exchanges = 0;  // request and response, paired or given up
  uint64_t exchanges_incomplete = 0;
  uint64_t spans_made = 0;
  uint64_t spans_dropped_not_selected = 0;  // of processes that turned out not to be selected
  uint64_t spans_dropped_waiting_full = 0;  // process unknown, and too many such spans
  conn::TableCounters table;
  parents::CorrelatorCounters parents;
  std::vector<protocols::ParserCounters> parsers;  // by protocols::all_protocols()
  uint64_t connections = 0;                        // now
};

// Something that was not understood or not seen whole, for people.
struct Remark {
  uint64_t time_ns = 0;  // CLOCK_MONOTONIC
  std::string text;
};

// The resource of a process; null if the process is not (yet) known as selected.
using ResourceLookup = std::function<std::shared_ptr<const model::Resource>(uint32_t pid)>;

class Pipeline final : public kernel::ConnectionEvents, public conn::TrafficSink {
 public:
  static Result<std::unique_ptr<Pipeline>> make(const PipelineOptions& options,
                                                ResourceLookup lookup);

  void set_clock(const spans::ClockAnchor& anchor) { clock_ = anchor; }
  // One record as the kernel side wrote it.
  void on_record(std::span<const std::byte> record);
  // Everything that is open is given out, flagged. `time_ns`: CLOCK_MONOTONIC.
  void finish(uint64_t time_ns);

  // The spans that were completed since the last call. `now_ns`: CLOCK_MONOTONIC, to give up
  // waiting for a process.
  [[nodiscard]] std::vector<model::Span> take_spans(uint64_t now_ns);
  [[nodiscard]] std::vector<conn::Mute> take_mutes() { return table_.take_mutes(); }
  [[nodiscard]] uint64_t last_record_ns() const { return last_record_ns_; }
  [[nodiscard]] PipelineCounters counters() const;
  // The last few, oldest first.
  [[nodiscard]] const std::deque<Remark>& remarks() const { return remarks_; }

  void on_connection(const model::Connection& connection, uint64_t socket) override;
  void on_chunk(uint64_t connection_id, const model::Chunk& chunk) override;
  void on_stream(uint64_t connection_id, const model::StreamOrigin& origin) override;
  void on_close(uint64_t connection_id, const model::Closed& closed) override;
  void on_request(const model::Connection& connection,
                  const protocols::RequestStart& start) override;
  void on_exchange(const model::Connection& connection, model::Exchange&& exchange) override;
  void on_given_up(const model::Connection& connection, std::string&& why) override;

 private:
  struct Waiting {
    model::Span span;
    uint32_t pid;
    uint64_t since_ns;
  };

  Pipeline(const PipelineOptions& options, ResourceLookup lookup, spans::SpanBuilder builder,
           sampling::Sampler sampler);
  void release_waiting(uint64_t now_ns);

  PipelineOptions options_;
  ResourceLookup lookup_;
  spans::SpanBuilder builder_;
  parents::Correlator correlator_;
  conn::ConnectionTable table_;
  spans::ClockAnchor clock_;
  uint64_t last_record_ns_ = 0;
  std::vector<model::Span> spans_;
  std::deque<Waiting> waiting_;
  std::deque<Remark> remarks_;
  PipelineCounters counters_;
};

}  // namespace zerospan::app
