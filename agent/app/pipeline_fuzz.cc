// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Arbitrary records through one shard: connections, operations of both directions with gaps and
// late sends, closes, and cut records. Whatever the traffic, every exchange is told once, counters
// add up, and no span is its own parent.
//
// Input: one byte of settings, then steps of a control byte, a byte that picks the connection, a
// size byte and that many bytes of payload.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <set>
#include <string_view>
#include <vector>

#include "agent/app/pipeline.h"
#include "agent/kernel/test_records.h"

namespace {

using namespace zerospan;  // NOLINT(google-build-using-namespace)
namespace records = kernel::testing;

void require(bool holds, const char* what) {
  if (!holds) {
    std::fprintf(stderr, "broken: %s\n", what);
    std::abort();
  }
}

class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(reinterpret_cast<const char*>(data), size) {}
  [[nodiscard]] bool empty() const { return data_.empty(); }
  uint8_t byte() {
    if (data_.empty()) {
      return 0;
    }
    const auto value = static_cast<uint8_t>(data_.front());
    data_.remove_prefix(1);
    return value;
  }
  std::string_view bytes(size_t count) {
    const std::string_view taken = data_.substr(0, count);
    data_.remove_prefix(taken.size());
    return taken;
  }

 private:
  std::string_view data_;
};

void check(const std::vector<model::Span>& spans, std::set<model::SpanId>& ids) {
  for (const model::Span& span : spans) {
    require(span.trace_id.valid() && span.span_id.valid(), "valid ids");
    require(span.span_id != span.parent_span_id, "no span is its own parent");
    require(ids.insert(span.span_id).second, "an id is given once");
    require(span.resource != nullptr, "a span has its process's resource");
    require(!span.name.empty(), "a span has a name");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  const uint8_t settings = input.byte();
  app::PipelineOptions options;
  options.table.max_connections = 1 + settings % 8;
  options.correlator.max_requests = settings % 16;
  options.correlator.max_streams = settings % 16;
  options.max_waiting_spans = 4;
  options.max_wait_ns = 50;
  const auto resource = std::make_shared<const model::Resource>();
  auto pipeline = app::Pipeline::make(options, [&](uint32_t pid) {
    const model::OwnSdk sdk{.makes = static_cast<SpanClasses>(pid % 3 == 0 ? pid : 0),
                            .sends_context = pid % 2 == 0};
    return app::Process(pid % 4 == 0 ? nullptr : resource, sdk, pid % 5 != 0);
  });
  require(pipeline.has_value(), "good options");

  std::vector<records::Stream> streams;
  std::set<model::SpanId> ids;
  uint64_t pushed = 0;
  uint64_t malformed = 0;
  uint64_t time_ns = 1000;
  uint64_t last_request_id = 0;
  const auto push = [&](const records::Record& record) {
    ++pushed;
    (*pipeline)->on_record(record);
  };
  while (!input.empty()) {
    const uint8_t control = input.byte();
    const uint8_t pick = input.byte();
    const std::string_view payload = input.bytes(input.byte());
    time_ns += 10;
    if (streams.empty() || control % 16 == 0) {
      const uint64_t id = streams.size() + 1;
      zs_connection_record record =
          records::connection_record(id, 1 + pick % 5, static_cast<zs_role>((control >> 4U) % 3));
      record.seen_from_start = control >> 7U;
      streams.emplace_back(id);
      push(records::to_bytes(record));
      continue;
    }
    const size_t at = pick % streams.size();
    switch (control % 16) {
      case 1:
        push(records::to_bytes(records::close_record(
            at + 1, static_cast<zs_close_kind>((control >> 4U) % 4), time_ns)));
        break;
      case 2: {  // its record is lost
        static_cast<void>(streams[at].operation(ZS_RECEIVE, "", payload.size() + 1, {}));
        break;
      }
      case 3: {  // only its start was captured
        push(streams[at].operation(
            static_cast<zs_direction>((control >> 4U) % 2), payload, payload.size() + pick,
            {.time_ns = time_ns, .thread_id = 1, .request_id = last_request_id}));
        break;
      }
      case 4: {
        records::Record record = streams[at].receive(payload, {.time_ns = time_ns});
        record.pop_back();
        ++malformed;
        push(record);
        break;
      }
      case 6:
        push(records::to_bytes(records::stream_record(
            at + 1, pick, last_request_id - control / 64,
            static_cast<zs_evidence>((control >> 4U) % (ZS_EVIDENCE_GOROUTINE + 1)), time_ns)));
        break;
      case 5:
        if (pick >= 0xf0) {
          (*pipeline)->give_up({1U + pick % 5});
        } else if (pick >= 0xe0) {
          options.health_checks.drop = pick % 2 == 0;
          options.sampler.kind =
              pick % 4 < 2 ? sampling::Kind::kAlwaysOn : sampling::Kind::kParentBasedAlwaysOff;
          auto rules = app::PipelineRules::make(options);
          require(rules.has_value(), "good rules");
          (*pipeline)->set_rules(std::move(*rules));
        }
        check((*pipeline)->take_spans(time_ns), ids);
        break;
      default: {
        const bool send = (control & 1U) != 0;
        // A fresh id as the kernel gives one to a server's request; or that of some request before.
        const uint64_t request_id =
            (control >> 4U) % 4 == 0 ? ++last_request_id : last_request_id - pick % 4;
        const records::Stamp stamp = {
            .time_ns = time_ns,
            .thread_id = 1,
            .request_id = request_id,
            .evidence = static_cast<zs_evidence>(pick % (ZS_EVIDENCE_GOROUTINE + 1))};
        push(send ? streams[at].send(payload, stamp) : streams[at].receive(payload, stamp));
        break;
      }
    }
  }
  (*pipeline)->finish(time_ns + 10);
  check((*pipeline)->take_spans(UINT64_MAX), ids);
  const app::PipelineCounters counters = (*pipeline)->counters();
  require(counters.records_decoded == pushed, "every record is counted");
  require(counters.records_malformed == malformed, "malformed records are counted");
  require(counters.connections == 0, "no connection is left");
  require(counters.table.closed + counters.table.evicted <= counters.table.opened,
          "connections end once");
  require(counters.exchanges == counters.spans_made + counters.parents.not_sampled +
                                    counters.parents.health_checks + counters.spans_left_to_sdk,
          "every exchange is a span");
  require(counters.spans_made == ids.size() + counters.spans_dropped_not_selected +
                                     counters.spans_dropped_waiting_full,
          "every span is given out or counted as dropped");
  return 0;
}
