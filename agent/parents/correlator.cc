// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/parents/correlator.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "agent/core/mix.h"

namespace zerospan::parents {

namespace {

// Told apart from each other when mixed with the same numbers.
constexpr uint64_t kSpanIdSalt = 0x7370616e;
constexpr uint64_t kTraceIdSalt = 0x74726163;

// The fields that carry a trace and a span, in any format.
constexpr uint32_t kContext = model::header_bit(model::KnownHeader::kTraceparent) |
                              model::header_bit(model::KnownHeader::kB3) |
                              model::header_bit(model::KnownHeader::kXB3TraceId) |
                              model::header_bit(model::KnownHeader::kUberTraceId) |
                              model::header_bit(model::KnownHeader::kXAmznTraceId);

// With requests that follow each other, a connection and a process come and go all the time; what
// they were is kept for the next one, up to this many.
constexpr size_t kSpareConnections = 64;
constexpr size_t kIdleProcesses = 64;

// The context that a statement's comment carries, as the header fields that it would be.
model::HeaderBlock context_fields(const model::DbExchange& db) {
  model::HeaderBlock fields;
  fields.append_field("traceparent", db.traceparent);
  if (!db.tracestate.empty()) {
    fields.append_field("tracestate", db.tracestate);
  }
  return fields;
}

uint64_t non_zero(uint64_t value) {
  return value == 0 ? 1 : value;
}

}  // namespace

uint64_t stream_request_id(uint64_t seed, uint64_t connection_id, uint32_t stream_id) {
  return non_zero(mix64(mix64(seed, connection_id), stream_id));
}

size_t Correlator::StreamKeyHash::operator()(const StreamKey& key) const {
  return mix64(key.first ^ key.second);
}

model::TraceId request_trace_id(uint64_t seed, uint64_t request_id) {
  const uint64_t high = mix64(mix64(seed, kTraceIdSalt), request_id);
  return model::TraceId::from_u64(high, non_zero(mix64(high, kTraceIdSalt)));
}

Correlator::Correlator(CorrelatorOptions options, CorrelatorRules rules)
    : options_(options), rules_(std::move(rules)) {}

void Correlator::on_request(const model::Connection& connection,
                            const protocols::RequestStart& start) {
  if (start.role == model::Role::kServer) {
    start_server(connection, start);
  } else {
    start_client(connection, start);
  }
}

model::TraceId Correlator::new_trace_id(uint64_t connection_id, uint64_t sequence) const {
  const uint64_t high = mix64(mix64(options_.seed, connection_id), sequence);
  const uint64_t low = non_zero(mix64(high, kTraceIdSalt));
  return model::TraceId::from_u64(high, low);
}

Identity Correlator::remote_child(model::RemoteContext&& remote) const {
  Identity identity;
  identity.trace_id = remote.trace_id;
  identity.parent_span_id = remote.span_id;
  identity.parent_is_remote = true;
  identity.trace_state = std::move(remote.trace_state);
  identity.sampled = rules_.sampler.sample(identity.trace_id, remote.sampled);
  return identity;
}

bool Correlator::begin_trace(model::TraceId trace_id, const protocols::RequestStart& start,
                             Identity& identity) const {
  const bool health_check = start.http != nullptr && rules_.health_checks.match(*start.http);
  identity.trace_id = trace_id;
  identity.sampled = !health_check && rules_.sampler.sample(identity.trace_id, std::nullopt);
  return health_check;
}

Correlator::ConnectionState& Correlator::open_connection(uint64_t id) {
  if (spare_.empty()) {
    return connections_[id];
  }
  if (const auto known = connections_.find(id); known != connections_.end()) {
    return known->second;
  }
  Connections::node_type node = std::move(spare_.back());
  spare_.pop_back();
  node.key() = id;
  node.mapped().last_request_id = 0;
  return connections_.insert(std::move(node)).position->second;
}

void Correlator::start_server(const model::Connection& connection,
                              const protocols::RequestStart& start) {
  // The kernel's id of the request is the span's id, so that what the kernel stamps is the parent's
  // id itself. Requests that were read together share it; the first of them has it.
  auto own = requests_.end();
  bool owns_id = false;
  const bool is_stream = start.stream_id != 0 && start.request_id == 0;
  const uint64_t request_id = is_stream
                                  ? stream_request_id(options_.seed, connection.id, start.stream_id)
                                  : start.request_id;
  if (request_id != 0 && start.batch_index == 0) {
    std::tie(own, owns_id) = requests_.try_emplace(request_id);
  }

  Identity identity;
  bool health_check = false;
  std::optional<model::RemoteContext> remote;
  if (start.http != nullptr) {
    remote = rules_.propagators.extract(start.http->request_headers);
    identity.baggage = rules_.propagators.extract_baggage(start.http->request_headers);
  } else if (start.db != nullptr && !start.db->traceparent.empty()) {
    remote = rules_.propagators.extract(context_fields(*start.db));
  }
  if (remote) {
    model::Baggage baggage = std::move(identity.baggage);
    identity = remote_child(std::move(*remote));
    identity.baggage = std::move(baggage);
    ++counters_.remote_parents;
  } else {
    health_check = begin_trace(owns_id ? request_trace_id(options_.seed, request_id)
                                       : new_trace_id(connection.id, start.sequence),
                               start, identity);
  }
  identity.span_id = model::SpanId::from_u64(
      owns_id ? request_id
              : non_zero(mix64(mix64(options_.seed ^ kSpanIdSalt, connection.id), start.sequence)));

  ConnectionState& state = open_connection(connection.id);
  // Streams have ids of their own, whatever else is in progress.
  const bool overlapped = !is_stream && (!state.open.empty() || !owns_id);
  if (overlapped) {
    for (const uint64_t id : {state.last_request_id, request_id}) {
      if (const auto other = requests_.find(id); other != requests_.end()) {
        other->second.overlapped = true;
      }
    }
  }
  InProgress& in_progress = open_by_pid_[connection.pid];
  ++last_number_;
  if (++in_progress.count > 1) {
    in_progress.together = last_number_;
  }
  if (owns_id) {
    state.last_request_id = request_id;
    own->second =
        Request{.trace_id = identity.trace_id,
                .span_id = identity.span_id,
                .caller_span_id = identity.parent_span_id,
                .sampled = identity.sampled,
                .health_check = health_check,
                .overlapped = overlapped,
                .pid = connection.pid,
                .number = last_number_,
                .span_class = model::span_class(start.role, start.http, start.db, start.messaging),
                .trace_state = identity.trace_state};
  }
  state.open.push_back(
      {start.sequence, owns_id ? request_id : 0, health_check, std::move(identity)});
}

bool Correlator::alone(const Request& request) const {
  const auto count = open_by_pid_.find(request.pid);
  return request.open && count != open_by_pid_.end() && count->second.together < request.number;
}

Correlator::Request* Correlator::find_parent(const model::Connection& connection,
                                             const protocols::RequestStart& start,
                                             const std::optional<model::RemoteContext>& sent) {
  using model::Evidence;
  if (start.evidence == Evidence::kNone || start.request_id == 0) {
    ++counters_.roots_without_evidence;
    return nullptr;
  }
  const auto found = requests_.find(start.request_id);
  if (found == requests_.end()) {
    ++counters_.roots_request_unknown;
    return nullptr;
  }
  Request& request = found->second;
  const uint64_t asked_ns = start.asked_ns != 0 ? start.asked_ns : start.time_ns;
  if (!request.open && request.end_ns <= asked_ns) {
    ++counters_.roots_request_over;
    return nullptr;
  }
  // A child process (CGI) may call for the request that its parent process reads; nothing else
  // crosses processes.
  const bool same_process =
      request.pid == connection.pid || start.evidence == Evidence::kCreatingThread;
  bool certain = same_process && !request.overlapped;
  switch (start.evidence) {
    case Evidence::kThread:
    case Evidence::kTick:
    case Evidence::kTickResponse:
    case Evidence::kGoroutine:
      break;
    case Evidence::kTickSameConnection:  // a pool may hand the freed connection to whoever queued
                                         // for it
    case Evidence::kCreatingThread:      // a pool's thread goes on to serve others
      certain = certain && alone(request);
      break;
    case Evidence::kNone:
    case Evidence::kAmbiguous:
      certain = false;
      break;
  }
  // A program that forwards its caller's context as it came has said itself which request this call
  // belongs to.
  if (!certain && same_process && sent && sent->trace_id == request.trace_id &&
      sent->span_id == request.caller_span_id) {
    ++counters_.parents_by_header;
    return &request;
  }
  if (!certain) {
    ++counters_.roots_ambiguous;
    return nullptr;
  }
  if (sent && sent->trace_id != request.trace_id) {
    // The program itself says which trace this call belongs to.
    ++counters_.evidence_contradicted;
    return nullptr;
  }
  count_parent(start.evidence);
  return &request;
}

void Correlator::count_parent(model::Evidence evidence) {
  switch (evidence) {
    case model::Evidence::kThread:
      ++counters_.parents_by_thread;
      break;
    case model::Evidence::kCreatingThread:
      ++counters_.parents_by_creating_thread;
      break;
    case model::Evidence::kGoroutine:
      ++counters_.parents_by_goroutine;
      break;
    default:
      ++counters_.parents_by_tick;
      break;
  }
}

void Correlator::on_injection(uint64_t connection_id, const model::Injection& injection) {
  ++counters_.injections;
  injections_[connection_id].push_back(injection);
  injected_.emplace_back(connection_id, injection.offset);
  if (injected_.size() <= options_.max_injections) {
    return;
  }
  const auto [connection, offset] = injected_.front();
  injected_.pop_front();
  const auto oldest = injections_.find(connection);
  if (oldest != injections_.end() && oldest->second.front().offset == offset) {
    ++counters_.injections_unmatched;
    oldest->second.pop_front();
    if (oldest->second.empty()) {
      injections_.erase(oldest);
    }
  }
}

std::optional<model::Injection> Correlator::take_injection(const model::Connection& connection,
                                                           const protocols::RequestStart& start) {
  const auto found = start.http == nullptr || injections_.empty() ? injections_.end()
                                                                  : injections_.find(connection.id);
  if (found == injections_.end()) {
    return std::nullopt;
  }
  std::deque<model::Injection>& told = found->second;
  const uint64_t offset = start.stream_id != 0 ? start.stream_id : start.request_offset;
  std::optional<model::Injection> injection;
  while (!told.empty() && told.front().offset <= offset) {
    if (told.front().offset == offset) {
      injection = told.front();
    } else {
      ++counters_.injections_unmatched;
    }
    told.pop_front();
  }
  if (told.empty()) {
    injections_.erase(found);
  }
  return injection;
}

// The context is on its way, so it holds, whatever else is known.
bool Correlator::injected_identity(const protocols::RequestStart& start,
                                   const model::Injection& injection, Identity& identity) {
  identity.trace_id = model::TraceId::from_u64(injection.trace_id_high, injection.trace_id_low);
  identity.sampled = injection.sampled;
  identity.injected = true;
  bool health_check = false;
  if (injection.parent_id == 0) {
    ++(injection.evidence == model::Evidence::kNone ? counters_.roots_without_evidence
                                                    : counters_.roots_ambiguous);
    health_check = rules_.health_checks.match(*start.http);
  } else {
    identity.parent_span_id = model::SpanId::from_u64(injection.parent_id);
    count_parent(injection.evidence);
    const auto parent = requests_.find(injection.parent_id);
    if (parent != requests_.end()) {
      const Request& request = parent->second;
      health_check = request.health_check;
      identity.trace_state = request.trace_state;
      if (request.trace_id != identity.trace_id ||
          (request.sampled != injection.sampled && !health_check)) {
        ++counters_.injections_contradicted;
      }
    }
  }
  identity.sampled = identity.sampled && !health_check;
  return health_check;
}

void Correlator::on_stream(uint64_t connection_id, const model::StreamOrigin& origin) {
  const StreamKey key{connection_id, origin.stream_id};
  const auto [known, is_new] = origins_.insert_or_assign(key, origin);
  if (!is_new) {
    return;
  }
  told_.push_back(key);
  if (told_.size() > options_.max_streams) {
    origins_.erase(told_.front());
    told_.pop_front();
  }
}

void Correlator::take_origin(const model::Connection& connection, protocols::RequestStart& start) {
  const auto found = origins_.find({connection.id, start.stream_id});
  if (found == origins_.end()) {
    return;
  }
  if (start.evidence == model::Evidence::kNone) {
    start.request_id = found->second.request_id;
    start.evidence = found->second.evidence;
    start.asked_ns = found->second.time_ns;
  }
  origins_.erase(found);
}

// The context that a call carries is that of its program's span. Once one has been seen that is in
// the caller's trace but not the caller's own, the program does continue that trace: the caller's
// span is the closest one above that is known.
ServedParent Correlator::served_parent(Request& request,
                                       const std::optional<model::RemoteContext>& sent) const {
  ServedParent served;
  served.pid = request.pid;
  served.span_class = request.span_class;
  const bool called = request.caller_span_id.valid();
  if (called) {
    served.caller_trace_id = request.trace_id;
    served.caller_span_id = request.caller_span_id;
  }
  if (sent) {
    // find_parent() has seen that the trace is the request's.
    request.continued_by_program =
        request.continued_by_program || (called && sent->span_id != request.caller_span_id);
    served.trace_id = sent->trace_id;
    served.span_id = sent->span_id;
    served.is_remote = called && sent->span_id == request.caller_span_id;
    served.sampled = rules_.sampler.sample(sent->trace_id, sent->sampled);
    served.trace_state = sent->trace_state;
  } else if (request.continued_by_program) {
    served.trace_id = request.trace_id;
    served.span_id = request.caller_span_id;
    served.is_remote = true;
    served.sampled = request.sampled;
    served.trace_state = request.trace_state;
  } else {
    served.sampled = request.sampled;
  }
  return served;
}

void Correlator::start_client(const model::Connection& connection, protocols::RequestStart start) {
  if (start.stream_id != 0) {
    take_origin(connection, start);
  }
  Identity identity;
  bool health_check = false;
  std::optional<model::RemoteContext> sent;
  if (start.http != nullptr) {
    sent = rules_.propagators.extract(start.http->request_headers);
    identity.baggage = rules_.propagators.extract_baggage(start.http->request_headers);
  } else if (start.db != nullptr && !start.db->traceparent.empty()) {
    sent = rules_.propagators.extract(context_fields(*start.db));
  }
  const std::optional<model::Injection> injection = take_injection(connection, start);
  Request* parent = injection ? nullptr : find_parent(connection, start, sent);
  identity.sends_context = start.http != nullptr && start.http->request_headers.has_any(kContext) &&
                           !(sent && parent != nullptr && sent->span_id == parent->caller_span_id);
  if (injection) {
    health_check = injected_identity(start, *injection, identity);
  } else if (parent != nullptr) {
    if (parent->span_class != 0) {
      identity.served_parent = served_parent(*parent, sent);
    }
    identity.trace_id = parent->trace_id;
    identity.parent_span_id = parent->span_id;
    identity.sampled = parent->sampled;
    identity.trace_state = parent->trace_state;
    health_check = parent->health_check;
  } else if (sent) {
    model::Baggage baggage = std::move(identity.baggage);
    const bool sends_context = identity.sends_context;
    identity = remote_child(std::move(*sent));
    identity.baggage = std::move(baggage);
    identity.sends_context = sends_context;
    ++counters_.parents_by_header;
  } else {
    health_check = begin_trace(new_trace_id(connection.id, start.sequence), start, identity);
  }
  identity.span_id = model::SpanId::from_u64(
      injection
          ? injection->span_id
          : non_zero(mix64(mix64(options_.seed ^ kSpanIdSalt, connection.id), start.sequence)));
  open_connection(connection.id)
      .open.push_back({start.sequence, 0, health_check, std::move(identity)});
}

std::optional<Identity> Correlator::on_exchange(const model::Connection& connection,
                                                const model::Exchange& exchange) {
  const auto state = connections_.find(connection.id);
  if (state == connections_.end()) {
    return std::nullopt;
  }
  std::vector<OpenExchange>& all = state->second.open;
  const auto found = std::find_if(all.begin(), all.end(), [&](const OpenExchange& candidate) {
    return candidate.sequence == exchange.sequence;
  });
  if (found == all.end()) {
    return std::nullopt;
  }
  OpenExchange open = std::move(*found);
  all.erase(found);
  if (all.empty()) {
    if (spare_.size() < kSpareConnections) {
      spare_.push_back(connections_.extract(state));
    } else {
      connections_.erase(state);
    }
  }
  if (exchange.role == model::Role::kServer) {
    end_request(connection, exchange, open.request_id);
  }
  if (open.identity.injected) {
    if (exchange.response_start_ns != 0) {
      ++counters_.injections_answered;
    } else if (exchange.outcome != model::Outcome::kComplete) {
      ++counters_.injections_broken;
    }
  }
  if (!open.identity.sampled) {
    ++(open.health_check ? counters_.health_checks : counters_.not_sampled);
    return std::nullopt;
  }
  return std::move(open.identity);
}

void Correlator::end_request(const model::Connection& connection, const model::Exchange& exchange,
                             uint64_t request_id) {
  if (const auto count = open_by_pid_.find(connection.pid); count != open_by_pid_.end() &&
                                                            --count->second.count == 0 &&
                                                            open_by_pid_.size() > kIdleProcesses) {
    open_by_pid_.erase(count);
  }
  const auto request = requests_.find(request_id);
  if (request_id == 0 || request == requests_.end()) {
    return;
  }
  request->second.open = false;
  request->second.end_ns = exchange.response_end_ns;
  ended_.push_back(request_id);
  forget_old();
}

void Correlator::forget_old() {
  while (ended_.size() > options_.max_requests) {
    requests_.erase(ended_.front());
    ended_.pop_front();
  }
}

}  // namespace zerospan::parents
