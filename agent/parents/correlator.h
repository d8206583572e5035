// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Decides for every exchange which trace and which parent its span has, and whether it is kept:
// from what the kernel knew about the thread, and from the context that came on the wire. The rule
// above all: a wrong parent is worse than none. Where the evidence allows more than one request,
// the span becomes a root and a counter goes up.
//
// One per worker thread, not thread-safe. All exchanges of a process tree come to the same worker,
// in the order in which they happened. Ids are derived from the records and from a seed, so a
// replay gives the same.
#pragma once

#include <cstdint>
#include <deque>
#include <memory_resource>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/model/connection.h"
#include "agent/model/exchange.h"
#include "agent/model/own_sdk.h"
#include "agent/model/trace_context.h"
#include "agent/propagation/propagators.h"
#include "agent/protocols/parser.h"
#include "agent/sampling/health_checks.h"
#include "agent/sampling/sampler.h"

namespace zerospan::parents {

// The request that a traced process serves and that a call is made for. Its span is the call's
// parent, unless the process carries an SDK of its own that makes that span in place of us, with an
// id that is not known. Then this is what is known of the call's place.
struct ServedParent {
  uint32_t pid = 0;
  SpanClasses span_class = 0;
  // A span of the program's own that the call is below; invalid: none is known.
  model::TraceId trace_id;
  model::SpanId span_id;
  bool is_remote = false;
  bool sampled = true;
  std::string trace_state;
  // What the request's caller named as its span; invalid: nothing.
  model::TraceId caller_trace_id;
  model::SpanId caller_span_id;
};

struct Identity {
  model::TraceId trace_id;
  model::SpanId span_id;
  model::SpanId parent_span_id;
  bool parent_is_remote = false;
  bool sampled = true;
  std::string trace_state;
  model::Baggage baggage;
  bool injected = false;       // a call whose context was put in on its way
  bool sends_context = false;  // a call that carries a context which its program has made
  std::optional<ServedParent> served_parent;
};

// The id of the request that an HTTP/2 server reads on a stream: as the kernel side makes it, when
// it sees which goroutine serves the stream (zs_stream_request_id).
[[nodiscard]] uint64_t stream_request_id(uint64_t seed, uint64_t connection_id, uint32_t stream_id);

// The trace that a server's request starts, if it continues none and is the first of those that
// were read together: as the kernel side makes it, for the calls that the request makes
// (zs_request_trace_id).
[[nodiscard]] model::TraceId request_trace_id(uint64_t seed, uint64_t request_id);

struct CorrelatorOptions {
  // Of the ids that are made here; random per run, stored in recordings, and the kernel side's too.
  uint64_t seed = 0;
  size_t max_requests = 256;  // ended requests that are remembered for late evidence
  size_t max_streams = 4096;  // clients' streams of which is known for what they are, but not seen
  size_t max_injections = 4096;  // the same of requests that were given a trace context
};

// Why a client span is a root, or how it found its parent.
struct CorrelatorCounters {
  uint64_t parents_by_thread = 0;
  uint64_t parents_by_tick = 0;
  uint64_t parents_by_creating_thread = 0;
  uint64_t parents_by_goroutine = 0;
  uint64_t parents_by_header = 0;  // the program sent a context of its own
  uint64_t remote_parents = 0;     // server spans that continue a caller's trace
  uint64_t roots_without_evidence = 0;
  uint64_t roots_ambiguous = 0;        // more than one request could have made the call
  uint64_t roots_request_over = 0;     // the request had been answered by then
  uint64_t roots_request_unknown = 0;  // the request's records were lost, or it was forgotten
  uint64_t evidence_contradicted =
      0;  // the header that was sent names another trace than the kernel's evidence
  uint64_t injections = 0;            // calls whose context was injected
  uint64_t injections_unmatched = 0;  // of these, calls that were not seen
  // An injected context is not what the records say: of a call for a request whose head was read in
  // another way here than in the kernel.
  uint64_t injections_contradicted = 0;
  // How they ended: with at least a byte of an answer, and without because the connection ended.
  uint64_t injections_answered = 0;
  uint64_t injections_broken = 0;
  uint64_t not_sampled = 0;    // exchanges
  uint64_t health_checks = 0;  // exchanges, with those that were made for one
};

// What decides about new traces. May change while requests are open: those keep what was decided.
struct CorrelatorRules {
  propagation::Propagators propagators;
  sampling::Sampler sampler;
  sampling::HealthChecks health_checks;
};

class Correlator {
 public:
  Correlator(CorrelatorOptions options, CorrelatorRules rules);

  void set_rules(CorrelatorRules rules) { rules_ = std::move(rules); }
  void on_request(const model::Connection& connection, const protocols::RequestStart& start);
  // Before the on_request() of that stream.
  void on_stream(uint64_t connection_id, const model::StreamOrigin& origin);
  // Before the on_request() of that request.
  void on_injection(uint64_t connection_id, const model::Injection& injection);
  // The identity of a kept exchange's span; nullopt if its trace is not kept.
  [[nodiscard]] std::optional<Identity> on_exchange(const model::Connection& connection,
                                                    const model::Exchange& exchange);

  [[nodiscard]] const CorrelatorCounters& counters() const { return counters_; }
  // The trace that an exchange starts if it continues none.
  [[nodiscard]] model::TraceId new_trace_id(uint64_t connection_id, uint64_t sequence) const;
  // Requests, and connections with exchanges in progress, that are remembered now.
  [[nodiscard]] size_t size() const { return requests_.size() + connections_.size(); }

 private:
  // A request that a traced server reads or has answered; the possible parent of calls.
  struct Request {
    model::TraceId trace_id;
    model::SpanId span_id;
    model::SpanId caller_span_id;  // what the caller named as its span; invalid if nothing
    bool sampled = true;
    bool health_check = false;  // then it is not sampled either
    bool open = true;
    // Requests that were in progress on one connection at once cannot be told apart by the thread
    // that serves them.
    bool overlapped = false;
    uint64_t end_ns = 0;
    uint32_t pid = 0;
    uint64_t number = 0;
    SpanClasses span_class = 0;
    // Of the caller's trace, a span has been seen that the program itself has made for this
    // request.
    bool continued_by_program = false;
    std::string trace_state;
  };
  struct OpenExchange {
    uint64_t sequence = 0;
    uint64_t request_id = 0;  // server exchanges that can be parents
    bool health_check = false;
    Identity identity;
  };
  struct ConnectionState {
    std::vector<OpenExchange> open;
    uint64_t last_request_id = 0;  // of the latest server request
  };
  using Connections = std::unordered_map<uint64_t, ConnectionState>;

  using StreamKey = std::pair<uint64_t, uint32_t>;  // connection, stream
  struct StreamKeyHash {
    size_t operator()(const StreamKey& key) const;
  };

  void start_server(const model::Connection& connection, const protocols::RequestStart& start);
  void start_client(const model::Connection& connection, protocols::RequestStart start);
  // `sent`: the context in the call's own headers, if any.
  [[nodiscard]] Request* find_parent(const model::Connection& connection,
                                     const protocols::RequestStart& start,
                                     const std::optional<model::RemoteContext>& sent);
  // No other request of its process was in progress since it began.
  [[nodiscard]] bool alone(const Request& request) const;
  [[nodiscard]] ServedParent served_parent(Request& request,
                                           const std::optional<model::RemoteContext>& sent) const;
  [[nodiscard]] Identity remote_child(model::RemoteContext&& remote) const;
  // A trace that begins here. True: with a health check, so it is not kept.
  bool begin_trace(model::TraceId trace_id, const protocols::RequestStart& start,
                   Identity& identity) const;
  // The state of a connection with an exchange that begins now.
  ConnectionState& open_connection(uint64_t id);
  void end_request(const model::Connection& connection, const model::Exchange& exchange,
                   uint64_t request_id);
  void forget_old();
  // The context that the call carries which begins now, if it was injected.
  [[nodiscard]] std::optional<model::Injection> take_injection(
      const model::Connection& connection, const protocols::RequestStart& start);
  // The identity of such a call. True: it was made for a health check, or is one.
  bool injected_identity(const protocols::RequestStart& start, const model::Injection& injection,
                         Identity& identity);
  void count_parent(model::Evidence evidence);
  // What is known of a client's stream that begins now.
  void take_origin(const model::Connection& connection, protocols::RequestStart& start);

  CorrelatorOptions options_;
  CorrelatorRules rules_;
  // The maps' nodes come and go with every exchange.
  std::pmr::unsynchronized_pool_resource nodes_;
  std::pmr::unordered_map<uint64_t, Request> requests_{&nodes_};  // by the kernel's request id
  std::deque<uint64_t> ended_;                                    // request ids, the oldest first
  Connections connections_;                    // those with exchanges in progress
  std::vector<Connections::node_type> spare_;  // of connections that have none any more
  std::pmr::unordered_map<StreamKey, model::StreamOrigin, StreamKeyHash> origins_{&nodes_};
  std::deque<StreamKey> told_;  // keys of origins_, and of some that are gone, the oldest first
  std::pmr::unordered_map<uint64_t, std::deque<model::Injection>> injections_{&nodes_};
  std::deque<std::pair<uint64_t, uint64_t>> injected_;  // connections and offsets, the oldest first
  // A process's server requests in progress, and the number of the last one that was not the only.
  struct InProgress {
    uint32_t count = 0;
    uint64_t together = 0;
  };
  std::pmr::unordered_map<uint32_t, InProgress> open_by_pid_{&nodes_};
  uint64_t last_number_ = 0;  // of server requests
  CorrelatorCounters counters_;
};

}  // namespace zerospan::parents
