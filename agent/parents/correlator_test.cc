// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/parents/correlator.h"

#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace zerospan::parents {
namespace {

using model::Evidence;
using model::Role;

constexpr std::string_view kRemoteTrace = "0af7651916cd43dd8448eb211c80319c";
constexpr std::string_view kRemoteSpan = "b7ad6b7169203331";

std::string traceparent(bool sampled = true, std::string_view trace = kRemoteTrace) {
  return "00-" + std::string(trace) + "-" + std::string(kRemoteSpan) + (sampled ? "-01" : "-00");
}

using Fields = std::vector<std::pair<std::string, std::string>>;

// One exchange of the tests' script.
struct Call {
  model::Connection connection;
  protocols::RequestStart start;
};

// What has been sent and received so far; time goes on by 1000 ns with every step.
class Script {
 public:
  explicit Script(sampling::Options sampler = {}, CorrelatorOptions options = {.seed = 1})
      : correlator_(options, rules(sampler)) {}

  static CorrelatorRules rules(const sampling::Options& sampler) {
    return {propagation::Propagators({}), sampling::Sampler::make(sampler).value(),
            sampling::HealthChecks({})};
  }

  // A request that a server of process `pid` reads on a connection of its own, unless one is named.
  Call serve(uint64_t request_id, uint32_t pid = 7, const Fields& headers = {}) {
    return serve_on(++next_connection_, request_id, pid, 0, headers);
  }
  Call serve_path(uint64_t request_id, const std::string& target, const Fields& headers = {}) {
    target_ = target;
    Call call = serve(request_id, 7, headers);
    target_.clear();
    return call;
  }
  Call call_path(uint64_t request_id, Evidence evidence, const std::string& target,
                 const Fields& headers = {}) {
    target_ = target;
    Call call = this->call(request_id, evidence, 7, headers);
    target_.clear();
    return call;
  }
  void set_rules(CorrelatorRules rules) { correlator_.set_rules(std::move(rules)); }
  Call serve_on(uint64_t connection, uint64_t request_id, uint32_t pid = 7,
                uint32_t batch_index = 0, const Fields& headers = {}) {
    return start(connection, Role::kServer, pid, request_id, Evidence::kNone, batch_index, headers);
  }
  // A call that process `pid` makes.
  Call call(uint64_t request_id, Evidence evidence, uint32_t pid = 7, const Fields& headers = {}) {
    return start(++next_connection_, Role::kClient, pid, request_id, evidence, 0, headers);
  }
  // The same on a stream of HTTP/2: by its number.
  Call serve_stream(uint64_t connection, uint32_t stream, uint32_t pid = 7) {
    return start(connection, Role::kServer, pid, 0, Evidence::kNone, 0, {}, stream);
  }
  Call call_stream(uint64_t connection, uint32_t stream, Evidence evidence = Evidence::kNone,
                   uint32_t pid = 7) {
    return start(connection, Role::kClient, pid, 0, evidence, 0, {}, stream);
  }
  void tell(uint64_t connection, uint32_t stream, uint64_t request_id,
            Evidence evidence = Evidence::kGoroutine) {
    correlator_.on_stream(connection, {stream, request_id, evidence, now_ += 1000});
  }
  // The call that `connection` begins with next was given a context.
  void inject(uint64_t connection, const model::Injection& injection) {
    correlator_.on_injection(connection, injection);
  }
  [[nodiscard]] uint64_t next_connection() const { return next_connection_ + 1; }
  // Its response was complete.
  std::optional<Identity> end(const Call& call) {
    model::Exchange exchange;
    exchange.sequence = call.start.sequence;
    exchange.role = call.start.role;
    exchange.request_id = call.start.request_id;
    exchange.response_end_ns = now_ += 1000;
    return correlator_.on_exchange(call.connection, exchange);
  }
  Identity kept(const Call& call) {
    std::optional<Identity> identity = end(call);
    EXPECT_TRUE(identity);
    return identity.value_or(Identity{});
  }

  [[nodiscard]] const CorrelatorCounters& counters() const { return correlator_.counters(); }
  [[nodiscard]] size_t remembered() const { return correlator_.size(); }
  uint64_t now_ = 1000;

 private:
  Call start(uint64_t connection, Role role, uint32_t pid, uint64_t request_id, Evidence evidence,
             uint32_t batch_index, const Fields& headers, uint32_t stream = 0) {
    model::HttpExchange http;
    http.method = "GET";
    http.target = target_;
    for (const auto& [name, value] : headers) {
      http.request_headers.append_field(name, value);
    }
    Call call;
    call.connection.id = connection;
    call.connection.pid = pid;
    call.connection.role = role;
    call.start = {.sequence = sequences_[connection]++,
                  .role = role,
                  .request_id = request_id,
                  .stream_id = stream,
                  .evidence = evidence,
                  .batch_index = batch_index,
                  .time_ns = now_ += 1000};
    call.start.http = &http;
    correlator_.on_request(call.connection, call.start);
    call.start.http = nullptr;
    return call;
  }

  Correlator correlator_;
  std::string target_;  // of the next request
  uint64_t next_connection_ = 100;
  std::unordered_map<uint64_t, uint64_t> sequences_;
};

bool is_root(const Identity& identity) {
  return !identity.parent_span_id.valid() && identity.trace_id.valid();
}
bool is_child(const Identity& child, const Identity& parent) {
  return child.trace_id == parent.trace_id && child.parent_span_id == parent.span_id &&
         !child.parent_is_remote;
}

constexpr Evidence kAllEvidence[] = {Evidence::kNone,
                                     Evidence::kThread,
                                     Evidence::kTick,
                                     Evidence::kTickResponse,
                                     Evidence::kTickSameConnection,
                                     Evidence::kCreatingThread,
                                     Evidence::kAmbiguous,
                                     Evidence::kGoroutine};
constexpr Evidence kProof[] = {Evidence::kThread,         Evidence::kTick,
                               Evidence::kTickResponse,   Evidence::kTickSameConnection,
                               Evidence::kCreatingThread, Evidence::kGoroutine};

TEST(Correlator, AServersRequestIsARootWithTheKernelsId) {
  Script script;
  const Identity server = script.kept(script.serve(42));
  EXPECT_TRUE(is_root(server));
  EXPECT_EQ(server.span_id, model::SpanId::from_u64(42));
  EXPECT_TRUE(server.sampled);
}

TEST(Correlator, ACallWithoutEvidenceIsARoot) {
  Script script;
  const Call server = script.serve(42);
  const Identity none = script.kept(script.call(0, Evidence::kNone));
  const Identity no_id = script.kept(script.call(0, Evidence::kThread));
  const Identity id_only = script.kept(script.call(42, Evidence::kNone));
  EXPECT_TRUE(is_root(none) && is_root(no_id) && is_root(id_only));
  EXPECT_NE(none.trace_id, script.kept(server).trace_id);
  EXPECT_EQ(script.counters().roots_without_evidence, 3U);
}

TEST(Correlator, EveryKindOfProofOfTheOnlyRequestNamesTheParent) {
  for (const Evidence evidence : kProof) {
    Script script;
    const Call server = script.serve(42);
    const Identity client = script.kept(script.call(42, evidence));
    EXPECT_TRUE(is_child(client, script.kept(server))) << static_cast<int>(evidence);
    const CorrelatorCounters& counters = script.counters();
    EXPECT_EQ(counters.parents_by_thread, evidence == Evidence::kThread ? 1U : 0U);
    EXPECT_EQ(counters.parents_by_creating_thread, evidence == Evidence::kCreatingThread ? 1U : 0U);
    EXPECT_EQ(counters.parents_by_goroutine, evidence == Evidence::kGoroutine ? 1U : 0U);
    EXPECT_EQ(counters.parents_by_thread + counters.parents_by_tick +
                  counters.parents_by_creating_thread + counters.parents_by_goroutine,
              1U);
  }
}

TEST(Correlator, AmbiguousEvidenceProvesNothing) {
  Script script;
  const Call server = script.serve(42);
  EXPECT_TRUE(is_root(script.kept(script.call(42, Evidence::kAmbiguous))));
  EXPECT_EQ(script.counters().roots_ambiguous, 1U);
  script.end(server);
}

TEST(Correlator, WithOtherRequestsOpenOnlyDirectProofCounts) {
  for (const Evidence evidence : kProof) {
    Script script;
    const Call server = script.serve(42);
    const Call other = script.serve(43);
    const Identity client = script.kept(script.call(42, evidence));
    const bool direct =
        evidence != Evidence::kTickSameConnection && evidence != Evidence::kCreatingThread;
    EXPECT_EQ(is_child(client, script.kept(server)), direct) << static_cast<int>(evidence);
    EXPECT_EQ(is_root(client), !direct);
    EXPECT_EQ(script.counters().roots_ambiguous, direct ? 0U : 1U);
    script.end(other);
  }
}

TEST(Correlator, RequestsOfOtherProcessesDoNotMakeARequestLessAlone) {
  Script script;
  const Call server = script.serve(42, 7);
  const Call other = script.serve(43, 8);
  const Identity client = script.kept(script.call(42, Evidence::kTickSameConnection, 7));
  EXPECT_TRUE(is_child(client, script.kept(server)));
  script.end(other);
}

TEST(Correlator, ARequestThatWasNotTheOnlyOneIsNotAloneWhenTheOthersEnded) {
  Script script;
  const Call first = script.serve(42);
  const Call second = script.serve(43);
  script.end(script.serve(44));
  // What the process began for the one that is over may still go on.
  EXPECT_TRUE(is_root(script.kept(script.call(42, Evidence::kTickSameConnection))));
  script.end(first);
  EXPECT_TRUE(is_root(script.kept(script.call(43, Evidence::kTickSameConnection))));
  script.end(second);
  const Call third = script.serve(45);
  const Identity client = script.kept(script.call(45, Evidence::kTickSameConnection));
  EXPECT_TRUE(is_child(client, script.kept(third)));
}

TEST(Correlator, OnlyACreatedThreadsCallMayCrossProcesses) {
  for (const Evidence evidence : kProof) {
    Script script;
    const Call server = script.serve(42, 7);
    const Identity client = script.kept(script.call(42, evidence, 8));
    EXPECT_EQ(is_child(client, script.kept(server)), evidence == Evidence::kCreatingThread)
        << static_cast<int>(evidence);
  }
}

TEST(Correlator, ARequestThatIsOverIsNobodysParent) {
  for (const Evidence evidence : kProof) {
    Script script;
    script.end(script.serve(42));
    EXPECT_TRUE(is_root(script.kept(script.call(42, evidence))));
    EXPECT_EQ(script.counters().roots_request_over, 1U);
  }
}

TEST(Correlator, ACallFromBeforeTheEndThatIsToldLateHasItsParent) {
  Script script;
  const Call server = script.serve(42);
  script.now_ += 100'000;
  const Identity parent = script.kept(server);
  script.now_ -= 50'000;  // the call left then, and was recorded after the response
  EXPECT_TRUE(is_child(script.kept(script.call(42, Evidence::kThread)), parent));
  // Whether it was the only one then is not known any more.
  EXPECT_TRUE(is_root(script.kept(script.call(42, Evidence::kTickSameConnection))));
}

TEST(Correlator, ARequestThatWasNeverSeenIsNobodysParent) {
  Script script;
  for (const Evidence evidence : kProof) {
    EXPECT_TRUE(is_root(script.kept(script.call(42, evidence))));
  }
  EXPECT_EQ(script.counters().roots_request_unknown, std::size(kProof));
}

TEST(Correlator, PipelinedRequestsOfOneReadAreNotParents) {
  for (const Evidence evidence : kProof) {
    Script script;
    const Call first = script.serve_on(1, 42, 7, 0);
    const Call second = script.serve_on(1, 42, 7, 1);
    EXPECT_TRUE(is_root(script.kept(script.call(42, evidence)))) << static_cast<int>(evidence);
    EXPECT_EQ(script.counters().roots_ambiguous, 1U);
    const Identity a = script.kept(first);
    const Identity b = script.kept(second);
    EXPECT_EQ(a.span_id, model::SpanId::from_u64(42));
    EXPECT_NE(a.span_id, b.span_id);
    EXPECT_NE(a.trace_id, b.trace_id);
  }
}

TEST(Correlator, RequestsThatWereOpenOnOneConnectionAtOnceAreNotParents) {
  Script script;
  const Call first = script.serve_on(1, 42);
  const Call second = script.serve_on(1, 43);
  EXPECT_TRUE(is_root(script.kept(script.call(42, Evidence::kThread))));
  EXPECT_TRUE(is_root(script.kept(script.call(43, Evidence::kThread))));
  // Not even when the other has ended: its thread may still work for it.
  script.end(first);
  EXPECT_TRUE(is_root(script.kept(script.call(43, Evidence::kThread))));
  script.end(second);
  EXPECT_EQ(script.counters().roots_ambiguous, 3U);
  // The connection is as good as new after that.
  const Call third = script.serve_on(1, 44);
  const Identity client = script.kept(script.call(44, Evidence::kThread));
  EXPECT_TRUE(is_child(client, script.kept(third)));
}

TEST(Correlator, OneRequestAfterTheOtherOnAConnectionAreParents) {
  Script script;
  for (uint64_t id = 42; id < 50; ++id) {
    const Call server = script.serve_on(1, id);
    const Identity client = script.kept(script.call(id, Evidence::kTick));
    EXPECT_TRUE(is_child(client, script.kept(server)));
  }
}

TEST(Correlator, AnIncomingContextIsContinued) {
  Script script;
  const Call server = script.serve(
      42, 7, {{"traceparent", traceparent()}, {"tracestate", "vendor=value"}, {"baggage", "k=v"}});
  const Identity client = script.kept(script.call(42, Evidence::kThread));
  const Identity parent = script.kept(server);
  EXPECT_EQ(to_hex(parent.trace_id), kRemoteTrace);
  EXPECT_EQ(to_hex(parent.parent_span_id), kRemoteSpan);
  EXPECT_TRUE(parent.parent_is_remote);
  EXPECT_EQ(parent.trace_state, "vendor=value");
  EXPECT_EQ(parent.baggage, (model::Baggage{{"k", "v"}}));
  EXPECT_EQ(parent.span_id, model::SpanId::from_u64(42));
  EXPECT_TRUE(is_child(client, parent));
  EXPECT_EQ(client.trace_state, "vendor=value");
  EXPECT_EQ(script.counters().remote_parents, 1U);
}

TEST(Correlator, BaggageWithoutAContext) {
  Script script;
  const Identity server = script.kept(script.serve(42, 7, {{"baggage", "k=v"}}));
  EXPECT_TRUE(is_root(server));
  EXPECT_EQ(server.baggage, (model::Baggage{{"k", "v"}}));
}

TEST(Correlator, TheRemoteDecisionHoldsForTheWholeTrace) {
  Script script({.kind = sampling::Kind::kParentBasedAlwaysOn});
  const Call server = script.serve(42, 7, {{"traceparent", traceparent(false)}});
  EXPECT_FALSE(script.end(script.call(42, Evidence::kThread)));
  EXPECT_FALSE(script.end(server));
  EXPECT_EQ(script.counters().not_sampled, 2U);

  Script off({.kind = sampling::Kind::kParentBasedAlwaysOff});
  const Call sampled = off.serve(42, 7, {{"traceparent", traceparent(true)}});
  EXPECT_TRUE(off.end(off.call(42, Evidence::kThread)));
  EXPECT_TRUE(off.end(sampled));
  EXPECT_FALSE(off.end(off.serve(43)));
  EXPECT_EQ(off.counters().not_sampled, 1U);
}

TEST(Correlator, AChildIsKeptExactlyWhenItsRootIs) {
  Script script({.kind = sampling::Kind::kTraceIdRatio, .ratio = 0.5});
  int kept = 0;
  constexpr int kRequests = 1000;
  for (uint64_t id = 1; id <= kRequests; ++id) {
    const Call server = script.serve(id);
    const auto client = script.end(script.call(id, Evidence::kThread));
    const auto parent = script.end(server);
    ASSERT_EQ(client.has_value(), parent.has_value());
    kept += parent ? 1 : 0;
  }
  EXPECT_GT(kept, kRequests * 4 / 10);
  EXPECT_LT(kept, kRequests * 6 / 10);
  EXPECT_EQ(script.counters().not_sampled, 2U * (kRequests - kept));
}

TEST(Correlator, AHealthCheckAndWhatIsDoneForItAreNotKept) {
  Script script;
  const Call probe = script.serve_path(42, "/healthz?verbose");
  EXPECT_FALSE(script.end(script.call(42, Evidence::kThread)));
  // Its program has started a trace of its own, which it names: that one is believed.
  EXPECT_TRUE(script.end(script.call(42, Evidence::kThread, 7, {{"traceparent", traceparent()}})));
  EXPECT_FALSE(script.end(probe));
  EXPECT_FALSE(script.end(script.serve_path(43, "/", {{"user-agent", "kube-probe/1.33"}})));
  EXPECT_FALSE(script.end(script.call_path(0, Evidence::kNone, "/metrics")));
  EXPECT_EQ(script.counters().health_checks, 4U);
  EXPECT_EQ(script.counters().not_sampled, 0U);
}

TEST(Correlator, AHealthCheckInSomebodysTraceIsKept) {
  Script script;
  EXPECT_TRUE(script.end(script.serve_path(42, "/healthz", {{"traceparent", traceparent()}})));
  const Call request = script.serve(43);
  const Identity check = script.kept(script.call_path(43, Evidence::kThread, "/healthz"));
  EXPECT_TRUE(is_child(check, script.kept(request)));
  EXPECT_EQ(script.counters().health_checks, 0U);
}

TEST(Correlator, OtherRulesHoldFromTheNextTraceOn) {
  Script script;
  const Call probe = script.serve_path(42, "/healthz");
  const Call request = script.serve(43);
  script.set_rules({propagation::Propagators({}),
                    sampling::Sampler::make({.kind = sampling::Kind::kAlwaysOff}).value(),
                    sampling::HealthChecks({.drop = false})});
  EXPECT_FALSE(script.end(probe));
  const auto call = script.end(script.call(43, Evidence::kThread));
  ASSERT_TRUE(call);  // its trace is kept, as was decided
  EXPECT_TRUE(is_child(*call, script.kept(request)));
  EXPECT_FALSE(script.end(script.serve_path(44, "/healthz")));
  EXPECT_EQ(script.counters().health_checks, 1U);
  EXPECT_EQ(script.counters().not_sampled, 1U);
}

TEST(Correlator, AHeaderOfTheSameTraceAgreesWithTheEvidence) {
  Script script;
  const Call server = script.serve(42, 7, {{"traceparent", traceparent()}});
  const Identity client =
      script.kept(script.call(42, Evidence::kThread, 7, {{"traceparent", traceparent()}}));
  EXPECT_TRUE(is_child(client, script.kept(server)));
  EXPECT_EQ(script.counters().evidence_contradicted, 0U);
}

TEST(Correlator, AHeaderOfAnotherTraceIsBelievedOverTheEvidence) {
  for (const Evidence evidence : kAllEvidence) {
    Script script;
    const Call server = script.serve(42);
    const Identity client = script.kept(
        script.call(42, evidence, 7, {{"traceparent", traceparent()}, {"tracestate", "a=b"}}));
    EXPECT_EQ(to_hex(client.trace_id), kRemoteTrace);
    EXPECT_EQ(to_hex(client.parent_span_id), kRemoteSpan);
    EXPECT_TRUE(client.parent_is_remote);
    EXPECT_EQ(client.trace_state, "a=b");
    const bool contradicted = evidence != Evidence::kNone && evidence != Evidence::kAmbiguous;
    EXPECT_EQ(script.counters().evidence_contradicted, contradicted ? 1U : 0U);
    EXPECT_EQ(script.counters().parents_by_header, 1U);
    EXPECT_TRUE(is_root(script.kept(server)));
  }
}

TEST(Correlator, AnAdoptedHeadersDecisionHolds) {
  Script script;
  EXPECT_FALSE(
      script.end(script.call(0, Evidence::kNone, 7, {{"traceparent", traceparent(false)}})));
  EXPECT_EQ(script.counters().not_sampled, 1U);
}

TEST(Correlator, AMalformedHeaderIsNone) {
  Script script;
  const Identity server = script.kept(script.serve(42, 7, {{"traceparent", "00-xyz-01"}}));
  EXPECT_TRUE(is_root(server));
  EXPECT_EQ(script.counters().remote_parents, 0U);
}

TEST(Correlator, ServerRequestsWithoutAKernelIdAreSpansButNoParents) {
  Script script;
  const Call server = script.serve(0);
  EXPECT_TRUE(is_root(script.kept(script.call(0, Evidence::kThread))));
  const Identity identity = script.kept(server);
  EXPECT_TRUE(identity.span_id.valid());
}

TEST(Correlator, IdsAreDerivedFromTheSeedAndUnique) {
  const auto run = [](uint64_t seed) {
    Script script({}, {.seed = seed});
    std::vector<std::pair<model::TraceId, model::SpanId>> ids;
    for (uint64_t i = 0; i < 500; ++i) {
      const Call server = script.serve_on(1 + i % 7, i % 3 == 0 ? 0 : 10'000 + i);
      const Identity client = script.kept(script.call(0, Evidence::kNone));
      const Identity parent = script.kept(server);
      ids.emplace_back(client.trace_id, client.span_id);
      ids.emplace_back(parent.trace_id, parent.span_id);
    }
    return ids;
  };
  const auto first = run(1);
  EXPECT_EQ(first, run(1));
  const auto second = run(2);
  std::set<model::TraceId> traces;
  std::set<model::SpanId> spans;
  for (const auto& [trace_id, span_id] : first) {
    EXPECT_TRUE(trace_id.valid() && span_id.valid());
    traces.insert(trace_id);
    spans.insert(span_id);
  }
  EXPECT_EQ(traces.size(), first.size());
  EXPECT_EQ(spans.size(), first.size());
  for (const auto& [trace_id, span_id] : second) {
    EXPECT_FALSE(traces.contains(trace_id));
  }
}

TEST(Correlator, AnExchangeThatWasNeverStartedGivesNothing) {
  Script script;
  Call call = script.serve(42);
  ++call.start.sequence;
  EXPECT_FALSE(script.end(call));
  --call.start.sequence;
  EXPECT_TRUE(script.end(call));
  EXPECT_FALSE(script.end(call));
  EXPECT_EQ(script.counters().not_sampled, 0U);
}

constexpr uint64_t kServer = 1;  // connections
constexpr uint64_t kClient = 2;

uint64_t id_of_stream(uint32_t stream) {
  return stream_request_id(1, kServer, stream);
}

TEST(Correlator, StreamsOfOneConnectionAreRequestsOfTheirOwn) {
  Script script;
  const Call first = script.serve_stream(kServer, 1);
  const Call second = script.serve_stream(kServer, 3);
  const Call of_second = script.call(id_of_stream(3), Evidence::kGoroutine);
  const Call of_first = script.call(id_of_stream(1), Evidence::kGoroutine);
  const Identity one = script.kept(first);
  const Identity two = script.kept(second);
  EXPECT_EQ(one.span_id.to_u64(), id_of_stream(1));
  EXPECT_NE(one.trace_id, two.trace_id);
  EXPECT_TRUE(is_child(script.kept(of_first), one));
  EXPECT_TRUE(is_child(script.kept(of_second), two));
  EXPECT_TRUE(is_root(script.kept(script.call(id_of_stream(1), Evidence::kGoroutine))));
  EXPECT_EQ(script.counters().roots_request_over, 1U);
}

TEST(Correlator, AStreamsRequestIsWhatWasOpenWhenItWasAskedFor) {
  Script script;
  const Call request = script.serve_stream(kServer, 1);
  script.tell(kClient, 5, id_of_stream(1));
  const Identity parent = script.kept(request);
  script.tell(kClient, 7, id_of_stream(1));
  EXPECT_TRUE(is_child(script.kept(script.call_stream(kClient, 5)), parent));
  EXPECT_TRUE(is_root(script.kept(script.call_stream(kClient, 7))));
  EXPECT_EQ(script.counters().roots_request_over, 1U);
}

TEST(Correlator, AClientsStreamIsForWhomWasToldBefore) {
  Script script;
  const Call request = script.serve_stream(kServer, 1);
  script.tell(kClient, 5, id_of_stream(1));
  script.tell(kClient, 7, id_of_stream(1), Evidence::kAmbiguous);
  const Call untold = script.call_stream(kClient, 3);
  const Call told = script.call_stream(kClient, 5);
  const Call ambiguous = script.call_stream(kClient, 7);
  const Call again = script.call_stream(kClient, 5);  // what was told holds for one
  const Call elsewhere = script.call_stream(kClient + 1, 5);
  const Identity parent = script.kept(request);
  EXPECT_TRUE(is_child(script.kept(told), parent));
  for (const Call* call : {&untold, &ambiguous, &again, &elsewhere}) {
    EXPECT_TRUE(is_root(script.kept(*call)));
  }
}

TEST(Correlator, WhatWasToldLastOfAStreamHolds) {
  Script script;
  const Call first = script.serve_stream(kServer, 1);
  const Call second = script.serve_stream(kServer, 3);
  script.tell(kClient, 5, id_of_stream(1));
  script.tell(kClient, 5, id_of_stream(3));
  script.tell(kClient, 7, id_of_stream(1));
  script.tell(kClient, 7, 0, Evidence::kNone);
  const Call call = script.call_stream(kClient, 5);
  EXPECT_TRUE(is_root(script.kept(script.call_stream(kClient, 7))));
  EXPECT_TRUE(is_child(script.kept(call), script.kept(second)));
  script.end(first);
}

TEST(Correlator, EvidenceOfTheStreamItselfOutweighsWhatWasTold) {
  Script script;
  const Call request = script.serve_stream(kServer, 1);
  script.tell(kClient, 5, id_of_stream(1));
  EXPECT_TRUE(is_root(script.kept(script.call_stream(kClient, 5, Evidence::kAmbiguous))));
  script.end(request);
}

TEST(Correlator, WhatWasToldOfStreamsThatNeverCameIsForgotten) {
  Script script({}, {.seed = 1, .max_streams = 4});
  const Call request = script.serve_stream(kServer, 1);
  for (uint32_t stream = 1; stream < 200; stream += 2) {
    script.tell(kClient, stream, id_of_stream(1));
  }
  const Call early = script.call_stream(kClient, 191);
  const Call late = script.call_stream(kClient, 193);
  const Identity parent = script.kept(request);
  EXPECT_TRUE(is_root(script.kept(early)));
  EXPECT_TRUE(is_child(script.kept(late), parent));
}

TEST(Correlator, EndedRequestsAreForgottenTheOldestFirst) {
  constexpr size_t kRemembered = 8;
  Script script({}, {.seed = 1, .max_requests = kRemembered});
  for (uint64_t id = 1; id <= 1000; ++id) {
    script.end(script.serve(id));
    ASSERT_LE(script.remembered(), kRemembered);
  }
  script.now_ -= 2'000'000;  // before all ends
  for (uint64_t id = 1; id <= 1000; ++id) {
    script.end(script.call(id, Evidence::kThread));
  }
  EXPECT_EQ(script.counters().roots_request_unknown, 1000U - kRemembered);
  EXPECT_EQ(script.counters().parents_by_thread, kRemembered);
}

TEST(Correlator, NothingIsKeptOfExchangesThatEnded) {
  Script script({}, {.seed = 1, .max_requests = 0});
  for (int round = 0; round < 10; ++round) {
    std::vector<Call> calls;
    for (uint64_t i = 0; i < 50; ++i) {
      const uint64_t id = 1 + static_cast<uint64_t>(round) * 50 + i;
      calls.push_back(script.serve_on(1 + i % 5, id, 7 + static_cast<uint32_t>(i % 3),
                                      static_cast<uint32_t>(i % 2)));
      calls.push_back(script.call(id, kAllEvidence[i % std::size(kAllEvidence)]));
    }
    EXPECT_GT(script.remembered(), 0U);
    for (const Call& call : calls) {
      script.end(call);
    }
    EXPECT_EQ(script.remembered(), 0U);
  }
}

TEST(ServedParent, IsWhatTheCallNames) {
  Script script;
  const Call request = script.serve(1, 7, {{"traceparent", traceparent()}});
  const std::string own = "00-" + std::string(kRemoteTrace) + "-00000000000000aa-01";
  const Identity call = script.kept(script.call(1, Evidence::kThread, 7, {{"traceparent", own}}));
  EXPECT_TRUE(call.sends_context);
  ASSERT_TRUE(call.served_parent);
  EXPECT_EQ(call.served_parent->pid, 7U);
  EXPECT_EQ(call.served_parent->span_class, kHttpServer);
  EXPECT_EQ(to_hex(call.served_parent->trace_id), kRemoteTrace);
  EXPECT_EQ(to_hex(call.served_parent->span_id), "00000000000000aa");
  EXPECT_FALSE(call.served_parent->is_remote);
  EXPECT_TRUE(call.served_parent->sampled);
  // Now the program is known to continue the caller's trace.
  const Identity other = script.kept(script.call(1, Evidence::kThread));
  EXPECT_FALSE(other.sends_context);
  ASSERT_TRUE(other.served_parent);
  EXPECT_EQ(to_hex(other.served_parent->trace_id), kRemoteTrace);
  EXPECT_EQ(to_hex(other.served_parent->span_id), kRemoteSpan);
  EXPECT_TRUE(other.served_parent->is_remote);
  script.kept(request);
}

TEST(ServedParent, IsNotKnownBeforeTheProgramHasShownIt) {
  Script script;
  script.serve(1, 7, {{"traceparent", traceparent()}});
  const Identity call = script.kept(script.call(1, Evidence::kThread));
  ASSERT_TRUE(call.served_parent);
  EXPECT_FALSE(call.served_parent->trace_id.valid());
  EXPECT_FALSE(call.served_parent->span_id.valid());
  EXPECT_EQ(to_hex(call.served_parent->caller_trace_id), kRemoteTrace);
  EXPECT_EQ(to_hex(call.served_parent->caller_span_id), kRemoteSpan);
  // Its caller's context, as it came, shows nothing, and is not one that the program has made.
  const Identity forwarded =
      script.kept(script.call(1, Evidence::kThread, 7, {{"traceparent", traceparent()}}));
  EXPECT_FALSE(forwarded.sends_context);
  ASSERT_TRUE(forwarded.served_parent);
  EXPECT_EQ(to_hex(forwarded.served_parent->span_id), kRemoteSpan);
  EXPECT_TRUE(forwarded.served_parent->is_remote);
  const Identity later = script.kept(script.call(1, Evidence::kThread));
  EXPECT_FALSE(later.served_parent->trace_id.valid());
}

TEST(ServedParent, WithoutACallerNothingIsKnown) {
  Script script;
  script.serve(1);
  const Identity call = script.kept(script.call(1, Evidence::kThread));
  ASSERT_TRUE(call.served_parent);
  EXPECT_FALSE(call.served_parent->trace_id.valid());
  EXPECT_FALSE(call.served_parent->caller_span_id.valid());
  EXPECT_FALSE(script.kept(script.call(0, Evidence::kNone)).served_parent);
}

TEST(ServedParent, AContextOfAnotherTraceIsTheCallsOwn) {
  Script script;
  script.serve(1, 7, {{"traceparent", traceparent()}});
  const std::string other = "00-" + std::string(32, 'a') + "-00000000000000aa-01";
  const Identity call = script.kept(script.call(1, Evidence::kThread, 7, {{"traceparent", other}}));
  EXPECT_FALSE(call.served_parent);
  EXPECT_TRUE(call.sends_context);
  EXPECT_EQ(to_hex(call.parent_span_id), "00000000000000aa");
}

model::Injection injection_of(uint64_t request_id, model::TraceId trace_id) {
  model::Injection injection;
  injection.trace_id_low = trace_id.low_u64();
  injection.trace_id_high = 0;
  for (size_t i = 0; i < 8; ++i) {
    injection.trace_id_high = injection.trace_id_high << 8U | trace_id.bytes[i];
  }
  injection.span_id = 77;
  injection.parent_id = request_id;
  injection.evidence = request_id == 0 ? Evidence::kNone : Evidence::kThread;
  return injection;
}

TEST(Injected, ARequestsTraceIsThatOfItsId) {
  Script script;
  EXPECT_EQ(request_trace_id(1, 100), script.kept(script.serve(100)).trace_id);
  EXPECT_NE(request_trace_id(1, 100), request_trace_id(2, 100));
  EXPECT_NE(request_trace_id(1, 100), request_trace_id(1, 101));
}

TEST(Injected, TheCallIsWhatItsHeaderSays) {
  Script script;
  const Call server = script.serve(100);
  script.inject(script.next_connection(), injection_of(100, request_trace_id(1, 100)));
  const Identity call = script.kept(script.call(0, Evidence::kNone));
  const Identity parent = script.kept(server);
  EXPECT_EQ(model::SpanId::from_u64(77), call.span_id);
  EXPECT_EQ(parent.trace_id, call.trace_id);
  EXPECT_EQ(parent.span_id, call.parent_span_id);
  EXPECT_EQ(1U, script.counters().parents_by_thread);
  EXPECT_EQ(1U, script.counters().injections);
  EXPECT_EQ(0U, script.counters().injections_contradicted);
  EXPECT_EQ(0U, script.counters().injections_unmatched);
}

TEST(Injected, ARootStaysOneWhateverElseIsKnown) {
  Script script;
  const Call server = script.serve(100);
  script.inject(script.next_connection(), injection_of(0, model::TraceId::from_u64(5, 6)));
  const Identity call = script.kept(script.call(100, Evidence::kThread));
  EXPECT_EQ(model::TraceId::from_u64(5, 6), call.trace_id);
  EXPECT_FALSE(call.parent_span_id.valid());
  script.kept(server);
}

TEST(Injected, AnUnsampledCallIsNotKept) {
  Script script;
  model::Injection injection = injection_of(0, model::TraceId::from_u64(5, 6));
  injection.sampled = false;
  script.inject(script.next_connection(), injection);
  EXPECT_FALSE(script.end(script.call(0, Evidence::kNone)));
  EXPECT_EQ(1U, script.counters().not_sampled);
}

TEST(Injected, AnotherReadingOfTheCallersContextIsCounted) {
  Script script;
  const Call server = script.serve(100, 7, {{"traceparent", traceparent()}});
  script.inject(script.next_connection(), injection_of(100, request_trace_id(1, 100)));
  const Identity call = script.kept(script.call(0, Evidence::kNone));
  EXPECT_EQ(request_trace_id(1, 100), call.trace_id);  // it is on its way
  EXPECT_EQ(1U, script.counters().injections_contradicted);
  script.kept(server);
}

TEST(Injected, OnlyTheRequestAtThatPlace) {
  Script script;
  model::Injection injection = injection_of(0, model::TraceId::from_u64(5, 6));
  injection.offset = 1000;
  script.inject(script.next_connection(), injection);
  EXPECT_NE(model::SpanId::from_u64(77), script.kept(script.call(0, Evidence::kNone)).span_id);
  EXPECT_EQ(0U, script.counters().injections_unmatched);
}

TEST(Injected, AreForgottenInTime) {
  Script script({}, {.seed = 1, .max_injections = 8});
  for (uint64_t connection = 1000; connection < 1020; ++connection) {
    script.inject(connection, injection_of(0, model::TraceId::from_u64(5, 6)));
  }
  EXPECT_EQ(12U, script.counters().injections_unmatched);
}

}  // namespace
}  // namespace zerospan::parents
