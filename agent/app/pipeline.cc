// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/app/pipeline.h"

#include <algorithm>
#include <utility>

#include "agent/spans/go_pattern.h"

namespace zerospan::app {

namespace {

constexpr size_t kMaxRemarks = 8;
constexpr size_t kMaxRoutesOfConnection = 256;

std::string describe_incomplete(const model::Exchange& exchange) {
  std::string text = "has an incomplete exchange";
  if (const auto* const http = std::get_if<model::HttpExchange>(&exchange.payload)) {
    constexpr size_t kMostOfTarget = 100;
    const std::string_view path = std::string_view(http->target).substr(0, http->target.find('?'));
    text.append(" (").append(http->method).append(" ").append(path.substr(0, kMostOfTarget)) += ')';
  }
  char separator = ':';
  for (const std::string_view name : model::incomplete_names(exchange.incomplete)) {
    text.append(1, separator).append(1, ' ').append(name);
    separator = ',';
  }
  return text;
}

}  // namespace

Result<PipelineRules> PipelineRules::make(const PipelineOptions& options) {
  Result<spans::SpanBuilder> builder = spans::SpanBuilder::make(options.spans);
  if (!builder) {
    return tl::unexpected(builder.error());
  }
  Result<sampling::Sampler> sampler = sampling::Sampler::make(options.sampler);
  if (!sampler) {
    return tl::unexpected(sampler.error());
  }
  return PipelineRules{std::move(*builder),
                       {propagation::Propagators(options.propagators), std::move(*sampler),
                        sampling::HealthChecks(options.health_checks)},
                       options.withhold_for_sdk};
}

Result<std::unique_ptr<Pipeline>> Pipeline::make(const PipelineOptions& options,
                                                 ProcessLookup lookup) {
  Result<PipelineRules> rules = PipelineRules::make(options);
  if (!rules) {
    return tl::unexpected(rules.error());
  }
  return std::unique_ptr<Pipeline>(new Pipeline(options, std::move(lookup), std::move(*rules)));
}

Pipeline::Pipeline(const PipelineOptions& options, ProcessLookup lookup, PipelineRules&& rules)
    : options_(options),
      lookup_(std::move(lookup)),
      builder_(std::move(rules.builder)),
      correlator_(options.correlator, std::move(rules.correlator)),
      table_(options.table, *this) {}

void Pipeline::set_rules(PipelineRules&& rules) {
  builder_ = std::move(rules.builder);
  correlator_.set_rules(std::move(rules.correlator));
  options_.withhold_for_sdk = rules.withhold_for_sdk;
}

void Pipeline::on_record(std::span<const std::byte> record) {
  ++counters_.records_decoded;
  if (const uint64_t time_ns = kernel::record_time_ns(record); time_ns != 0) {
    last_record_ns_ = time_ns;
    table_.forget_quiet(time_ns);
  }
  if (kernel::decode_record(record, *this) != kernel::DecodeStatus::kOk) {
    ++counters_.records_malformed;
  }
}

void Pipeline::on_connection(const model::Connection& connection, uint64_t socket) {
  if (!options_.peers || connection.role == model::Role::kServer || connection.peer.port == 0) {
    table_.on_connection(connection, socket);
    return;
  }
  model::Connection named = connection;
  named.peer_name = options_.peers(connection.peer.address, connection.peer.port);
  table_.on_connection(named, socket);
}

void Pipeline::on_chunk(uint64_t connection_id, const model::Chunk& chunk) {
  ++counters_.chunks;
  table_.on_chunk(connection_id, chunk);
}

void Pipeline::on_stream(uint64_t connection_id, const model::StreamOrigin& origin) {
  correlator_.on_stream(connection_id, origin);
}

void Pipeline::on_injection(uint64_t connection_id, const model::Injection& injection) {
  correlator_.on_injection(connection_id, injection);
}

void Pipeline::on_close(uint64_t connection_id, const model::Closed& closed) {
  table_.on_close(connection_id, closed);
  routes_.erase(connection_id);
}

void Pipeline::on_route(uint64_t connection_id, const model::ToldRoute& route) {
  if (routes_.size() >= options_.table.max_connections && !routes_.contains(connection_id)) {
    return;
  }
  std::vector<Route>& told = routes_[connection_id];
  std::erase_if(told, [&](const Route& one) { return one.request_id == route.request_id; });
  if (told.size() >= kMaxRoutesOfConnection) {
    told.erase(told.begin());
  }
  told.push_back({route.request_id, route.router, std::string(route.text)});
}

// The text comes from the program's memory, from where a request was: it is believed if it is a
// route of the path that was asked for.
void Pipeline::take_route(const model::Connection& connection, model::SpanId span_id,
                          model::Exchange& exchange) {
  auto* http = std::get_if<model::HttpExchange>(&exchange.payload);
  if (http == nullptr || exchange.role != model::Role::kServer) {
    return;
  }
  http->route.clear();  // parsers use their exchanges again
  const auto told = routes_.empty() ? routes_.end() : routes_.find(connection.id);
  if (told == routes_.end()) {
    return;
  }
  const auto route =
      std::find_if(told->second.begin(), told->second.end(), [&](const Route& candidate) {
        return candidate.request_id == span_id.to_u64();  // the request's id is the span's
      });
  if (route == told->second.end()) {
    return;
  }
  // Echo names the path's route also where it has none for the method.
  if (!route->text.empty() && (route->router != model::Router::kEcho || http->status != 405)) {
    http->route = spans::route_of_pattern(route->router, route->text, http->target);
    counters_.routes_refused += http->route.empty() ? 1 : 0;
  }
  told->second.erase(route);
  if (told->second.empty()) {
    routes_.erase(told);
  }
}

void Pipeline::on_request(const model::Connection& connection,
                          const protocols::RequestStart& start) {
  correlator_.on_request(connection, start);
}

void Pipeline::on_exchange(const model::Connection& connection, model::Exchange&& exchange) {
  ++counters_.exchanges;
  if (exchange.incomplete != model::kIncompleteNone) {
    ++counters_.exchanges_incomplete;
    on_given_up(connection, describe_incomplete(exchange));
  }
  std::optional<parents::Identity> identity = correlator_.on_exchange(connection, exchange);
  if (!identity) {
    return;
  }
  take_route(connection, identity->span_id, exchange);
  Process process = find_process(connection.pid);
  Origin origin{.pid = connection.pid,
                .span_class = model::span_class(exchange),
                .surely_without_context =
                    !identity->sends_context &&
                    (exchange.incomplete &
                     (model::kGap | model::kHeadTruncated | model::kFieldsUnknown)) == 0,
                .served_parent = std::move(identity->served_parent),
                .own_trace_id = {}};
  if (left_to_sdk(process.sdk, origin)) {
    ++counters_.spans_left_to_sdk;
    return;
  }
  if (origin.served_parent) {
    origin.own_trace_id = correlator_.new_trace_id(connection.id, exchange.sequence);
  }
  const bool known = process.resource != nullptr && process.sdk_known && !process.awaited;
  model::Span* span = nullptr;
  if (known) {
    span = &spans_.emplace_back();
  } else if (waiting_.size() < options_.max_waiting_spans) {
    span = &waiting_.emplace_back(Waiting{{}, {}, last_record_ns_}).span;
  } else {
    ++counters_.spans_made;
    ++counters_.spans_dropped_waiting_full;
    return;
  }
  const model::Baggage baggage = std::move(identity->baggage);
  builder_.build(exchange, connection,
                 spans::SpanIdentity{identity->trace_id, identity->span_id,
                                     identity->parent_span_id, identity->parent_is_remote,
                                     identity->sampled, std::move(identity->trace_state)},
                 clock_, process.resource, baggage, *span);
  if (!known) {
    waiting_.back().origin = std::move(origin);
  } else if (!settle(process, std::move(origin), *span)) {
    spans_.pop_back();
  }
}

Process Pipeline::find_process(uint32_t pid) const {
  Process process = lookup_(pid);
  if (!options_.withhold_for_sdk) {
    process.sdk = {};
    process.sdk_known = true;
  }
  return process;
}

bool Pipeline::left_to_sdk(const model::OwnSdk& sdk, const Origin& origin) {
  if ((sdk.makes & origin.span_class) == 0) {
    return false;
  }
  constexpr SpanClasses kWithContext = kHttpClient | kRpcClient;
  return !sdk.sends_context || (origin.span_class & kWithContext) == 0 ||
         !origin.surely_without_context;
}

bool Pipeline::settle(const Process& process, Origin&& origin, model::Span& span) {
  if (left_to_sdk(process.sdk, origin)) {
    ++counters_.spans_left_to_sdk;
    return false;
  }
  if (origin.served_parent) {
    parents::ServedParent& served = *origin.served_parent;
    const model::OwnSdk sdk = served.pid == origin.pid ? process.sdk : find_process(served.pid).sdk;
    if ((sdk.makes & served.span_class) != 0) {
      if (!served.sampled) {
        ++not_sampled_by_sdk_;
        return false;
      }
      ++counters_.parents_left_to_sdk;
      span.trace_id = served.trace_id.valid() ? served.trace_id : origin.own_trace_id;
      span.parent_span_id = served.span_id;
      span.parent_is_remote = served.is_remote;
      span.trace_state = std::move(served.trace_state);
      if (!served.trace_id.valid() && served.caller_span_id.valid()) {
        span.links.push_back({served.caller_trace_id, served.caller_span_id, {}, {}});
      }
    }
  }
  ++counters_.spans_made;
  return true;
}

void Pipeline::on_given_up(const model::Connection& connection, std::string&& why) {
  if (remarks_.size() == kMaxRemarks) {
    remarks_.pop_front();
  }
  const model::Endpoint& peer = connection.peer;
  const std::string with =
      peer.address.empty() ? "a Unix socket" : peer.address + ":" + std::to_string(peer.port);
  remarks_.push_back({last_record_ns_, "connection with " + with + " " + std::move(why)});
}

void Pipeline::release_waiting(uint64_t now_ns, bool last) {
  // In arrival order, so that a span never overtakes an older one of its process.
  std::deque<Waiting> still_waiting;
  for (Waiting& waiting : waiting_) {
    Process process = find_process(waiting.origin.pid);
    const bool over =
        last || (!process.awaited && now_ns > waiting.since_ns + options_.max_wait_ns);
    if (process.resource != nullptr && ((process.sdk_known && !process.awaited) || over)) {
      waiting.span.resource = process.resource;
      if (settle(process, std::move(waiting.origin), waiting.span)) {
        spans_.push_back(std::move(waiting.span));
      }
    } else if (over) {
      ++counters_.spans_made;
      ++counters_.spans_dropped_not_selected;
    } else {
      still_waiting.push_back(std::move(waiting));
    }
  }
  waiting_ = std::move(still_waiting);
}

std::vector<model::Span> Pipeline::take_spans(uint64_t now_ns) {
  if (!waiting_.empty()) {
    release_waiting(now_ns, false);
  }
  std::vector<model::Span> taken;
  taken.reserve(spans_.size());  // of the next batch, which will be about as large
  return std::exchange(spans_, std::move(taken));
}

void Pipeline::finish(uint64_t time_ns) {
  table_.finish(time_ns);
  release_waiting(time_ns, true);
}

PipelineCounters Pipeline::counters() const {
  PipelineCounters counters = counters_;
  counters.table = table_.counters();
  counters.parents = correlator_.counters();
  counters.parents.not_sampled += not_sampled_by_sdk_;
  counters.parsers = table_.parser_counters();
  counters.connections = table_.size();
  return counters;
}

}  // namespace zerospan::app
