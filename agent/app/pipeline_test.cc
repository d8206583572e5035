// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/app/pipeline.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/kernel/test_records.h"

namespace zerospan::app {
namespace {

namespace records = kernel::testing;

constexpr uint32_t kProxy = 100;
constexpr uint64_t kServerConnection = 1;
constexpr uint64_t kClientConnection = 2;
constexpr uint64_t kAnchorUnixNs = 1'700'000'000'000'000'000;

constexpr std::string_view kRequest = "GET /items/1?q=2 HTTP/1.1\r\nHost: proxy.test\r\n\r\n";
constexpr std::string_view kCall = "GET /backend HTTP/1.1\r\nHost: backend.test:9000\r\n\r\n";
constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
constexpr std::string_view kFailure =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";

std::optional<model::AttributeView> find(const model::Span& span, std::string_view key) {
  for (const model::Attribute& attribute : span.attributes) {
    if (attribute.key == key) {
      return attribute.value;
    }
  }
  return std::nullopt;
}
std::string text(const model::Span& span, std::string_view key) {
  const auto value = find(span, key);
  return value && std::holds_alternative<std::string_view>(*value)
             ? std::string(std::get<std::string_view>(*value))
             : "(none)";
}
int64_t number(const model::Span& span, std::string_view key) {
  const auto value = find(span, key);
  return value && std::holds_alternative<int64_t>(*value) ? std::get<int64_t>(*value) : -1;
}

class PipelineTest : public ::testing::Test {
 protected:
  void make(const std::function<void(PipelineOptions&)>& change = [](PipelineOptions&) {}) {
    PipelineOptions options;
    change(options);
    auto made = Pipeline::make(options, [this](uint32_t pid) {
      const auto found = resources_.find(pid);
      return found == resources_.end() ? Process() : Process(found->second, sdk_, sdk_known_);
    });
    ASSERT_TRUE(made) << made.error().message;
    pipeline_ = std::move(*made);
    pipeline_->set_clock({0, kAnchorUnixNs});
  }
  void know(uint32_t pid) {
    auto resource = std::make_shared<model::Resource>();
    resource->id = pid;
    resources_[pid] = std::move(resource);
  }
  void record(const records::Record& bytes) {
    ++pushed_;
    pipeline_->on_record(bytes);
  }
  void open(uint64_t id, zs_role role, uint32_t pid = kProxy) {
    record(records::to_bytes(records::connection_record(id, pid, role)));
    streams_.erase(id);
    streams_.emplace(id, records::Stream(id));
  }
  records::Stream& stream(uint64_t id) { return streams_.at(id); }

  // A thread reads a request, calls a back end, and answers: 1 ms to 4 ms.
  void proxy(zs_evidence evidence = ZS_EVIDENCE_THREAD, uint64_t request_id = 42) {
    open(kServerConnection, ZS_ROLE_SERVER);
    record(stream(kServerConnection).receive(kRequest, {1'000'000, 7, request_id}));
    open(kClientConnection, ZS_ROLE_CLIENT);
    record(stream(kClientConnection).send(kCall, {2'000'000, 7, request_id, evidence}));
    record(stream(kClientConnection).receive(kFailure, {3'000'000, 7}));
    record(stream(kServerConnection).send(kAnswer, {4'000'000, 7, request_id, ZS_EVIDENCE_THREAD}));
  }
  void serve_one(uint64_t connection, uint32_t pid, uint64_t time_ns) {
    open(connection, ZS_ROLE_SERVER, pid);
    record(stream(connection).receive(kRequest, {time_ns, pid, 1000 + connection}));
    record(stream(connection)
               .send(kAnswer, {time_ns + 1000, pid, 1000 + connection, ZS_EVIDENCE_THREAD}));
  }

  std::unique_ptr<Pipeline> pipeline_;
  std::map<uint32_t, std::shared_ptr<const model::Resource>> resources_;
  std::map<uint64_t, records::Stream> streams_;
  model::OwnSdk sdk_;
  bool sdk_known_ = true;
  uint64_t pushed_ = 0;
};

TEST_F(PipelineTest, AProxysSpans) {
  know(kProxy);
  make();
  proxy();
  const std::vector<model::Span> spans = pipeline_->take_spans(0);
  ASSERT_EQ(spans.size(), 2U);
  const model::Span& client = spans[0];
  const model::Span& server = spans[1];

  EXPECT_EQ(server.kind, model::SpanKind::kServer);
  EXPECT_EQ(server.name, "GET");
  EXPECT_FALSE(server.parent_span_id.valid());
  EXPECT_EQ(server.span_id, model::SpanId::from_u64(42));
  EXPECT_EQ(server.start_unix_ns, kAnchorUnixNs + 1'000'000);
  EXPECT_EQ(server.end_unix_ns, kAnchorUnixNs + 4'000'000);
  EXPECT_EQ(server.status, model::StatusCode::kUnset);
  EXPECT_EQ(text(server, "http.request.method"), "GET");
  EXPECT_EQ(text(server, "url.path"), "/items/1");
  EXPECT_EQ(text(server, "url.query"), "q=2");
  EXPECT_EQ(number(server, "http.response.status_code"), 200);
  EXPECT_EQ(text(server, "network.peer.address"), "10.0.0.2");
  EXPECT_EQ(server.resource, resources_.at(kProxy));

  EXPECT_EQ(client.kind, model::SpanKind::kClient);
  EXPECT_EQ(client.trace_id, server.trace_id);
  EXPECT_EQ(client.parent_span_id, server.span_id);
  EXPECT_FALSE(client.parent_is_remote);
  EXPECT_EQ(client.start_unix_ns, kAnchorUnixNs + 2'000'000);
  EXPECT_EQ(client.end_unix_ns, kAnchorUnixNs + 3'000'000);
  EXPECT_EQ(client.status, model::StatusCode::kError);
  EXPECT_EQ(text(client, "server.address"), "backend.test");
  EXPECT_EQ(number(client, "server.port"), 9000);
  EXPECT_EQ(number(client, "http.response.status_code"), 503);
  EXPECT_EQ(text(client, "error.type"), "503");
  EXPECT_FALSE(find(client, "zerospan.incomplete"));

  const PipelineCounters counters = pipeline_->counters();
  EXPECT_EQ(counters.records_decoded, pushed_);
  EXPECT_EQ(counters.records_malformed, 0U);
  EXPECT_EQ(counters.chunks, 4U);
  EXPECT_EQ(counters.exchanges, 2U);
  EXPECT_EQ(counters.exchanges_incomplete, 0U);
  EXPECT_EQ(counters.spans_made, 2U);
  EXPECT_EQ(counters.parents.parents_by_thread, 1U);
  EXPECT_EQ(counters.connections, 2U);
  EXPECT_EQ(pipeline_->last_record_ns(), 4'000'000U);
  EXPECT_TRUE(pipeline_->take_spans(0).empty());
}

TEST_F(PipelineTest, DoubtfulEvidenceMakesTwoRoots) {
  for (const zs_evidence evidence : {ZS_EVIDENCE_NONE, ZS_EVIDENCE_AMBIGUOUS}) {
    know(kProxy);
    make();
    proxy(evidence);
    const std::vector<model::Span> spans = pipeline_->take_spans(0);
    ASSERT_EQ(spans.size(), 2U);
    EXPECT_FALSE(spans[0].parent_span_id.valid());
    EXPECT_FALSE(spans[1].parent_span_id.valid());
    EXPECT_NE(spans[0].trace_id, spans[1].trace_id);
  }
}

TEST_F(PipelineTest, TheAnswerThatIsRecordedBeforeItsRequest) {
  know(kProxy);
  make();
  open(kClientConnection, ZS_ROLE_CLIENT);
  record(stream(kClientConnection).receive(kAnswer, {3'000'000, 7}));
  zs_data_record late = records::data_record(kClientConnection, ZS_SEND, 3'500'000, kCall.size());
  late.departed_ns = 2'000'000;
  late.head_bytes = static_cast<__u32>(kCall.size());
  record(records::to_bytes(late, kCall));
  const std::vector<model::Span> spans = pipeline_->take_spans(0);
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0].start_unix_ns, kAnchorUnixNs + 2'000'000);
  EXPECT_EQ(spans[0].end_unix_ns, kAnchorUnixNs + 3'000'000);
}

// A server's answer is recorded when its call ends. The kernel side takes the next request for one
// that was read together with the one before: calls cannot be told apart, and are roots.
TEST_F(PipelineTest, TheNextRequestThatIsRecordedBeforeTheAnswer) {
  know(kProxy);
  make();
  open(kServerConnection, ZS_ROLE_SERVER);
  open(kClientConnection, ZS_ROLE_CLIENT);
  record(stream(kServerConnection).receive(kRequest, {1'000'000, 7, 42}));
  record(stream(kServerConnection).receive(kRequest, {3'000'000, 7, 42}));
  record(stream(kServerConnection).send(kAnswer, {3'500'000, 8}));
  record(stream(kClientConnection).send(kCall, {4'000'000, 7, 42, ZS_EVIDENCE_THREAD}));
  record(stream(kClientConnection).receive(kFailure, {5'000'000, 7}));
  record(stream(kServerConnection).send(kAnswer, {6'000'000, 8}));
  const std::vector<model::Span> spans = pipeline_->take_spans(0);
  ASSERT_EQ(spans.size(), 3U);
  EXPECT_EQ(spans[0].start_unix_ns, kAnchorUnixNs + 1'000'000);
  EXPECT_EQ(spans[0].end_unix_ns, kAnchorUnixNs + 3'500'000);
  EXPECT_EQ(number(spans[1], "http.response.status_code"), 503);
  EXPECT_FALSE(spans[1].parent_span_id.valid());
  EXPECT_EQ(spans[2].start_unix_ns, kAnchorUnixNs + 3'000'000);
  EXPECT_EQ(spans[2].end_unix_ns, kAnchorUnixNs + 6'000'000);
}

TEST_F(PipelineTest, TheSameRecordsGiveTheSameSpans) {
  know(kProxy);
  std::vector<std::vector<model::Span>> runs;
  for (int i = 0; i < 2; ++i) {
    make([](PipelineOptions& options) { options.correlator.seed = 5; });
    proxy();
    runs.push_back(pipeline_->take_spans(0));
  }
  ASSERT_EQ(runs[0].size(), runs[1].size());
  for (size_t i = 0; i < runs[0].size(); ++i) {
    EXPECT_EQ(runs[0][i].trace_id, runs[1][i].trace_id);
    EXPECT_EQ(runs[0][i].span_id, runs[1][i].span_id);
    EXPECT_EQ(runs[0][i].parent_span_id, runs[1][i].parent_span_id);
  }
}

TEST_F(PipelineTest, MalformedRecordsAreCountedAndDoNoHarm) {
  know(kProxy);
  make();
  record({});
  record(records::Record(3, std::byte{0xff}));
  zs_close_record unknown = records::close_record(1, ZS_CLOSE_ALL, 1);
  unknown.header.type = 99;
  record(records::to_bytes(unknown));
  proxy();
  EXPECT_EQ(pipeline_->take_spans(0).size(), 2U);
  EXPECT_EQ(pipeline_->counters().records_decoded, pushed_);
  EXPECT_EQ(pipeline_->counters().records_malformed, 3U);
}

TEST_F(PipelineTest, ASpanWaitsForItsProcess) {
  make();
  proxy();
  EXPECT_TRUE(pipeline_->take_spans(4'000'001).empty());
  EXPECT_EQ(pipeline_->counters().spans_made, 0U);
  know(kProxy);
  const std::vector<model::Span> spans = pipeline_->take_spans(4'000'002);
  ASSERT_EQ(spans.size(), 2U);
  EXPECT_EQ(pipeline_->counters().spans_made, 2U);
  EXPECT_EQ(spans[0].kind, model::SpanKind::kClient);  // as they came
  EXPECT_EQ(spans[0].resource, resources_.at(kProxy));
  EXPECT_EQ(spans[1].resource, resources_.at(kProxy));
}

TEST_F(PipelineTest, ASpanDoesNotWaitForever) {
  make([](PipelineOptions& options) { options.max_wait_ns = 1000; });
  proxy();
  const auto dropped_by = [this](uint64_t now_ns) {
    EXPECT_TRUE(pipeline_->take_spans(now_ns).empty());
    return pipeline_->counters().spans_dropped_not_selected;
  };
  EXPECT_EQ(dropped_by(3'001'000), 0U);
  EXPECT_EQ(dropped_by(3'001'001), 1U);  // the call's, which was complete at 3 ms
  EXPECT_EQ(dropped_by(4'001'000), 1U);
  EXPECT_EQ(dropped_by(4'001'001), 2U);
  know(kProxy);
  EXPECT_TRUE(pipeline_->take_spans(4'001'002).empty());
}

TEST_F(PipelineTest, OnlySoManySpansWait) {
  make([](PipelineOptions& options) { options.max_waiting_spans = 3; });
  know(200);
  for (uint64_t connection = 1; connection <= 5; ++connection) {
    serve_one(connection, kProxy, connection * 10'000);
  }
  serve_one(6, 200, 100'000);  // known: nothing to wait for
  EXPECT_EQ(pipeline_->counters().spans_dropped_waiting_full, 2U);
  know(kProxy);
  EXPECT_EQ(pipeline_->take_spans(0).size(), 4U);
  const PipelineCounters counters = pipeline_->counters();
  EXPECT_EQ(counters.spans_made, 6U);
}

TEST_F(PipelineTest, SpansOfUnknownProcessesAreDroppedAtTheEnd) {
  make();
  know(200);
  serve_one(1, kProxy, 10'000);
  serve_one(2, 200, 20'000);
  pipeline_->finish(30'000);
  EXPECT_EQ(pipeline_->take_spans(30'000).size(), 1U);
  EXPECT_EQ(pipeline_->counters().spans_dropped_not_selected, 1U);
}

TEST_F(PipelineTest, FinishGivesOutWhatIsOpenFlagged) {
  know(kProxy);
  make();
  open(kServerConnection, ZS_ROLE_SERVER);
  record(stream(kServerConnection).receive(kRequest, {1'000'000, 7, 42}));
  EXPECT_TRUE(pipeline_->take_spans(0).empty());
  pipeline_->finish(9'000'000);
  const std::vector<model::Span> spans = pipeline_->take_spans(0);
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_TRUE(find(spans[0], "zerospan.incomplete"));
  EXPECT_EQ(pipeline_->counters().exchanges_incomplete, 1U);
  EXPECT_EQ(pipeline_->counters().connections, 0U);
}

TEST_F(PipelineTest, AGapIsTold) {
  know(kProxy);
  make();
  open(kServerConnection, ZS_ROLE_SERVER);
  record(stream(kServerConnection).receive(kRequest, {1'000'000, 7, 42}));
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
  record(stream(kServerConnection)
             .operation(ZS_SEND, head, head.size(), {2'000'000, 7, 42, ZS_EVIDENCE_THREAD}));
  static_cast<void>(stream(kServerConnection)
                        .operation(ZS_SEND, "", 50'000, {2'500'000, 7}));  // its record is lost
  record(stream(kServerConnection)
             .operation(ZS_SEND, "", 50'000, {3'000'000, 7, 42, ZS_EVIDENCE_THREAD}));
  const std::vector<model::Span> spans = pipeline_->take_spans(0);
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_TRUE(find(spans[0], "zerospan.incomplete"));
  EXPECT_EQ(spans[0].end_unix_ns, kAnchorUnixNs + 3'000'000);
  ASSERT_EQ(pipeline_->remarks().size(), 1U);
  const std::string& remark = pipeline_->remarks()[0].text;
  EXPECT_NE(remark.find(" has an incomplete exchange (GET /"), std::string::npos) << remark;
  EXPECT_NE(remark.find("): gap"), std::string::npos) << remark;
  uint64_t gaps = 0;
  for (const protocols::ParserCounters& parser : pipeline_->counters().parsers) {
    gaps += parser.gaps;
  }
  EXPECT_EQ(gaps, 1U);
}

TEST_F(PipelineTest, ATraceThatIsNotSampledMakesNoSpan) {
  know(kProxy);
  make([](PipelineOptions& options) { options.sampler.kind = sampling::Kind::kAlwaysOff; });
  proxy();
  EXPECT_TRUE(pipeline_->take_spans(0).empty());
  const PipelineCounters counters = pipeline_->counters();
  EXPECT_EQ(counters.exchanges, 2U);
  EXPECT_EQ(counters.spans_made, 0U);
  EXPECT_EQ(counters.parents.not_sampled, 2U);
}

TEST_F(PipelineTest, AHealthCheckMakesNoSpanAndIsCounted) {
  know(kProxy);
  make();
  open(kServerConnection, ZS_ROLE_SERVER);
  record(stream(kServerConnection).receive("GET /healthz HTTP/1.1\r\n\r\n", {1'000'000, 7, 42}));
  record(stream(kServerConnection).send(kAnswer, {2'000'000, 7, 42, ZS_EVIDENCE_THREAD}));
  EXPECT_TRUE(pipeline_->take_spans(0).empty());
  PipelineCounters counters = pipeline_->counters();
  EXPECT_EQ(counters.exchanges, 1U);
  EXPECT_EQ(counters.spans_made, 0U);
  EXPECT_EQ(counters.parents.health_checks, 1U);

  PipelineOptions options;
  options.health_checks.drop = false;
  options.spans.route_templates = {"/{check}"};
  auto rules = PipelineRules::make(options);
  ASSERT_TRUE(rules) << rules.error().message;
  pipeline_->set_rules(std::move(*rules));
  record(stream(kServerConnection).receive("GET /healthz HTTP/1.1\r\n\r\n", {3'000'000, 7, 43}));
  record(stream(kServerConnection).send(kAnswer, {4'000'000, 7, 43, ZS_EVIDENCE_THREAD}));
  const std::vector<model::Span> spans = pipeline_->take_spans(0);
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(text(spans[0], "http.route"), "/{check}");
}

TEST_F(PipelineTest, AnIncomingContextReachesTheSpans) {
  know(kProxy);
  make();
  open(kServerConnection, ZS_ROLE_SERVER);
  record(stream(kServerConnection)
             .receive("GET / HTTP/1.1\r\ntraceparent: "
                      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n",
                      {1'000'000, 7, 42}));
  record(stream(kServerConnection).send(kAnswer, {2'000'000, 7, 42, ZS_EVIDENCE_THREAD}));
  const std::vector<model::Span> spans = pipeline_->take_spans(0);
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(to_hex(spans[0].trace_id), "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(to_hex(spans[0].parent_span_id), "b7ad6b7169203331");
  EXPECT_TRUE(spans[0].parent_is_remote);
}

TEST_F(PipelineTest, AConnectionOfNobodysProtocolIsMuted) {
  know(kProxy);
  make();
  open(kServerConnection, ZS_ROLE_SERVER);
  record(stream(kServerConnection).receive("\x16\x03\x01 not HTTP", {1'000'000, 7, 42}));
  const std::vector<conn::Mute> mutes = pipeline_->take_mutes();
  ASSERT_EQ(mutes.size(), 1U);
  EXPECT_EQ(mutes[0].connection_id, kServerConnection);
  EXPECT_EQ(mutes[0].socket,
            records::connection_record(kServerConnection, kProxy, ZS_ROLE_SERVER).socket);
  EXPECT_EQ(pipeline_->counters().table.unrecognised, 1U);
}

TEST_F(PipelineTest, BadOptionsAreRefused) {
  PipelineOptions options;
  options.sampler.kind = sampling::Kind::kTraceIdRatio;
  options.sampler.ratio = 2.0;
  EXPECT_FALSE(Pipeline::make(options, [](uint32_t) { return Process(); }));
}

TEST_F(PipelineTest, ARouteIsBelievedIfItFits) {
  know(kProxy);
  make();
  uint64_t connection = kServerConnection;
  constexpr auto kPattern = model::Router::kPattern;
  for (const bool fits : {true, false}) {
    connection += 10;
    open(connection, ZS_ROLE_SERVER);
    record(stream(connection).receive(kRequest, {1'000'000, 7, connection}));
    pipeline_->on_route(connection, {connection + 1, kPattern, "/"});  // of another request
    pipeline_->on_route(connection, {connection, kPattern, fits ? "GET example.com/" : "/nowhere"});
    record(stream(connection).send(kAnswer, {4'000'000, 7, connection, ZS_EVIDENCE_THREAD}));
    const std::vector<model::Span> spans = pipeline_->take_spans(0);
    ASSERT_EQ(spans.size(), 1U);
    EXPECT_EQ(text(spans[0], "http.route"), fits ? "/" : "(none)");
    EXPECT_EQ(pipeline_->counters().routes_refused, fits ? 0U : 1U);
  }
}

TEST_F(PipelineTest, TheLastRouteHoldsAndAnEmptyOneTakesItBack) {
  know(kProxy);
  make();
  uint64_t connection = kServerConnection;
  constexpr auto kPattern = model::Router::kPattern;
  for (const std::string last : {"/", ""}) {
    connection += 10;
    open(connection, ZS_ROLE_SERVER);
    record(stream(connection).receive(kRequest, {1'000'000, 7, connection}));
    pipeline_->on_route(connection, {connection, kPattern, "/{all...}"});
    for (uint64_t other = 1; other < 100; ++other) {  // streams
      pipeline_->on_route(connection, {connection + other, kPattern, "/other"});
    }
    pipeline_->on_route(connection, {connection, kPattern, last});
    record(stream(connection).send(kAnswer, {4'000'000, 7, connection, ZS_EVIDENCE_THREAD}));
    const std::vector<model::Span> spans = pipeline_->take_spans(0);
    ASSERT_EQ(spans.size(), 1U);
    EXPECT_EQ(text(spans[0], "http.route"), last.empty() ? "(none)" : last);
    EXPECT_EQ(pipeline_->counters().routes_refused, 0U);
  }
}

TEST_F(PipelineTest, WhatTheProgramsSdkMakesIsLeftToIt) {
  know(kProxy);
  sdk_ = {.makes = kHttpServer | kHttpClient, .sends_context = false};
  make();
  proxy();
  EXPECT_TRUE(pipeline_->take_spans(0).empty());
  const PipelineCounters counters = pipeline_->counters();
  EXPECT_EQ(counters.exchanges, 2U);
  EXPECT_EQ(counters.spans_left_to_sdk, 2U);
  EXPECT_EQ(counters.spans_made, 0U);
}

TEST_F(PipelineTest, TheOperatorMayWantAllSpans) {
  know(kProxy);
  sdk_ = {.makes = kHttpServer | kHttpClient, .sends_context = false};
  sdk_known_ = false;
  make([](PipelineOptions& options) { options.withhold_for_sdk = false; });
  proxy();
  EXPECT_EQ(pipeline_->take_spans(0).size(), 2U);
  EXPECT_EQ(pipeline_->counters().spans_left_to_sdk, 0U);
}

TEST_F(PipelineTest, ACallWithoutContextIsNotTheSdks) {
  know(kProxy);
  sdk_ = {.makes = kHttpServer | kHttpClient, .sends_context = true};
  make();
  proxy();
  const std::vector<model::Span> spans = pipeline_->take_spans(0);
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0].kind, model::SpanKind::kClient);
  // The server's span is not ours, so it cannot be the parent, and nothing else is known.
  EXPECT_FALSE(spans[0].parent_span_id.valid());
  EXPECT_TRUE(spans[0].trace_id.valid());
  EXPECT_TRUE(spans[0].links.empty());
  EXPECT_EQ(pipeline_->counters().parents_left_to_sdk, 1U);
  EXPECT_EQ(pipeline_->counters().spans_left_to_sdk, 1U);
}

TEST_F(PipelineTest, TheOtherKindKeepsItsParent) {
  know(kProxy);
  sdk_ = {.makes = kRpcServer | kPostgresql, .sends_context = true};
  make();
  proxy();
  const std::vector<model::Span> spans = pipeline_->take_spans(0);
  ASSERT_EQ(spans.size(), 2U);
  EXPECT_TRUE(spans[0].parent_span_id == spans[1].span_id ||
              spans[1].parent_span_id == spans[0].span_id);
}

TEST_F(PipelineTest, SpansWaitUntilTheSdkIsKnown) {
  know(kProxy);
  sdk_known_ = false;
  make();
  proxy();
  EXPECT_TRUE(pipeline_->take_spans(0).empty());
  sdk_ = {.makes = kHttpServer, .sends_context = true};
  sdk_known_ = true;
  const std::vector<model::Span> spans = pipeline_->take_spans(0);
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_FALSE(spans[0].parent_span_id.valid());
  const PipelineCounters counters = pipeline_->counters();
  EXPECT_EQ(counters.exchanges, counters.spans_made + counters.spans_left_to_sdk);
}

TEST_F(PipelineTest, SpansDoNotWaitForEver) {
  know(kProxy);
  sdk_known_ = false;
  make();
  proxy();
  EXPECT_TRUE(pipeline_->take_spans(4'000'000).empty());
  EXPECT_EQ(pipeline_->take_spans(2'000'000'000).size(), 2U);
  EXPECT_EQ(pipeline_->counters().spans_made, 2U);
}

}  // namespace
}  // namespace zerospan::app
