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
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/conn/connection_table.h"
#include "agent/kernel/record_decoder.h"
#include "agent/model/own_sdk.h"
#include "agent/model/span.h"
#include "agent/parents/correlator.h"
#include "agent/propagation/propagators.h"
#include "agent/sampling/sampler.h"
#include "agent/spans/clock.h"
#include "agent/spans/span_builder.h"

namespace zerospan::app {

// What the server behind an address is called; empty: not known. Called from the shard's thread.
using PeerLookup = std::function<std::string(std::string_view address, uint16_t port)>;

struct PipelineOptions {
  spans::SpanBuilderOptions spans;
  propagation::Propagators::Options propagators;
  sampling::Options sampler;
  sampling::HealthCheckOptions health_checks;
  parents::CorrelatorOptions correlator;
  conn::TableOptions table;
  size_t max_waiting_spans = 4096;  // whose process is not known yet
  uint64_t max_wait_ns = 1'000'000'000;
  bool withhold_for_sdk = true;  // spans that the program's own SDK makes
  PeerLookup peers;              // null: peers are called by their addresses
};

// The part of the options that may change while the pipeline runs, ready for use.
struct PipelineRules {
  spans::SpanBuilder builder;
  parents::CorrelatorRules correlator;
  bool withhold_for_sdk = true;

  [[nodiscard]] static Result<PipelineRules> make(const PipelineOptions& options);
};

// Plain counters, written by the shard's thread.
struct PipelineCounters {
  uint64_t records_decoded = 0;
  uint64_t records_malformed = 0;
  uint64_t chunks = 0;
  uint64_t exchanges = 0;  // request and response, paired or given up
  uint64_t exchanges_incomplete = 0;
  uint64_t spans_made = 0;
  uint64_t routes_refused = 0;              // told by a program, but not of the path asked for
  uint64_t spans_left_to_sdk = 0;           // the program's own SDK makes them
  uint64_t parents_left_to_sdk = 0;         // spans whose parent is one of those
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

// What the spans of a process need.
struct Process {
  // NOLINTNEXTLINE(google-explicit-constructor): most processes are a resource and nothing else.
  Process(std::shared_ptr<const model::Resource> its_resource = nullptr)
      : resource(std::move(its_resource)) {}
  Process(std::shared_ptr<const model::Resource> its_resource, model::OwnSdk own_sdk,
          bool sdk_is_known)
      : resource(std::move(its_resource)), sdk(own_sdk), sdk_known(sdk_is_known) {}

  std::shared_ptr<const model::Resource> resource;  // null: not (yet) known as selected
  model::OwnSdk sdk;
  bool sdk_known = true;  // false: its program is still being read
  // Spans wait for as long as this is true (something will end it): more is to be known of it.
  bool awaited = false;
};
using ProcessLookup = std::function<Process(uint32_t pid)>;

class Pipeline final : public kernel::ConnectionEvents, public conn::TrafficSink {
 public:
  static Result<std::unique_ptr<Pipeline>> make(const PipelineOptions& options,
                                                ProcessLookup lookup);

  // From now on. What was decided about requests that are in progress holds.
  void set_rules(PipelineRules&& rules);
  // These processes are not traced any more: what is open on their connections is given out,
  // flagged, and the connections are forgotten.
  void give_up(const std::vector<uint32_t>& pids) { table_.give_up(pids); }
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
  void on_injection(uint64_t connection_id, const model::Injection& injection) override;
  void on_close(uint64_t connection_id, const model::Closed& closed) override;
  void on_route(uint64_t connection_id, const model::ToldRoute& route) override;
  void on_request(const model::Connection& connection,
                  const protocols::RequestStart& start) override;
  void on_exchange(const model::Connection& connection, model::Exchange&& exchange) override;
  void on_given_up(const model::Connection& connection, std::string&& why) override;

 private:
  // What decides whether a span is left to the program's own SDK.
  struct Origin {
    uint32_t pid = 0;
    SpanClasses span_class = 0;
    bool surely_without_context = false;  // a call that the SDK knows nothing of, if it sends any
    std::optional<parents::ServedParent> served_parent;
    model::TraceId own_trace_id;  // if the span is a root
  };
  struct Waiting {
    model::Span span;
    Origin origin;
    uint64_t since_ns;
  };

  Pipeline(const PipelineOptions& options, ProcessLookup lookup, PipelineRules&& rules);
  void take_route(const model::Connection& connection, model::SpanId span_id,
                  model::Exchange& exchange);
  // `last`: nothing is waited for any more.
  void release_waiting(uint64_t now_ns, bool last);
  [[nodiscard]] Process find_process(uint32_t pid) const;
  [[nodiscard]] static bool left_to_sdk(const model::OwnSdk& sdk, const Origin& origin);
  // False: the span is not to be made.
  [[nodiscard]] bool settle(const Process& process, Origin&& origin, model::Span& span);

  PipelineOptions options_;
  ProcessLookup lookup_;
  spans::SpanBuilder builder_;
  parents::Correlator correlator_;
  conn::ConnectionTable table_;
  spans::ClockAnchor clock_;
  uint64_t last_record_ns_ = 0;
  std::vector<model::Span> spans_;
  // Told for requests that are being answered, by connection: over HTTP/2 there may be several.
  struct Route {
    uint64_t request_id = 0;
    model::Router router = model::Router::kPattern;
    std::string text;
  };
  std::unordered_map<uint64_t, std::vector<Route>> routes_;
  std::deque<Waiting> waiting_;
  std::deque<Remark> remarks_;
  PipelineCounters counters_;
  uint64_t not_sampled_by_sdk_ = 0;  // spans below one that the program's own SDK did not sample
};

}  // namespace zerospan::app
