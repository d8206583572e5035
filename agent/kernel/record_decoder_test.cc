// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/kernel/record_decoder.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>

#include "agent/kernel/test_records.h"

namespace zerospan::kernel {
namespace {

// Copies what it is given: the views die with the record.
struct Heard : ConnectionEvents {
  void on_connection(const model::Connection& connection, uint64_t socket_key) override {
    ++count;
    opened = connection;
    socket = socket_key;
  }
  void on_chunk(uint64_t connection_id, const model::Chunk& chunk_of) override {
    ++count;
    id = connection_id;
    chunk = chunk_of;
    peer = chunk_of.peer == nullptr ? std::nullopt : std::optional(*chunk_of.peer);
    head = chunk_of.head;
    tail = chunk_of.tail;
  }
  void on_stream(uint64_t connection_id, const model::StreamOrigin& origin) override {
    ++count;
    id = connection_id;
    stream = origin;
  }
  void on_close(uint64_t connection_id, const model::Closed& closed_how) override {
    ++count;
    id = connection_id;
    closed = closed_how;
  }

  void on_route(uint64_t connection_id, const model::ToldRoute& told) override {
    ++count;
    id = connection_id;
    routed = told.request_id;
    router = told.router;
    route = told.text;
  }

  int count = 0;
  void on_injection(uint64_t connection_id, const model::Injection& injection) override {
    ++count;
    id = connection_id;
    injected = injection;
  }
  std::optional<model::Injection> injected;
  uint64_t routed = 0;
  model::Router router = model::Router::kPattern;
  std::string route;
  uint64_t id = 0;
  uint64_t socket = 0;
  std::optional<model::Connection> opened;
  std::optional<model::Chunk> chunk;
  std::optional<model::Endpoint> peer;
  std::optional<model::Closed> closed;
  std::optional<model::StreamOrigin> stream;
  std::string head, tail;
};

zs_connection_record ipv6_record(const char* local, const char* peer) {
  zs_connection_record record = testing::connection_record(5, 77, ZS_ROLE_CLIENT);
  record.family = AF_INET6;
  EXPECT_EQ(inet_pton(AF_INET6, local, record.local_address), 1);
  EXPECT_EQ(inet_pton(AF_INET6, peer, record.peer_address), 1);
  return record;
}

zs_connection_record unix_record(std::string_view path) {
  zs_connection_record record = testing::connection_record(5, 77, ZS_ROLE_SERVER);
  record.family = AF_UNIX;
  record.local_port = 0;
  record.peer_port = 0;
  std::memcpy(record.unix_path, path.data(), path.size());
  return record;
}

model::Connection decoded(const zs_connection_record& record) {
  Heard heard;
  EXPECT_EQ(decode_record(testing::to_bytes(record), heard), DecodeStatus::kOk);
  EXPECT_EQ(heard.count, 1);
  return heard.opened.value_or(model::Connection{});
}

TEST(RecordDecoder, ConnectionOverIpv4) {
  zs_connection_record record = testing::connection_record(5, 77, ZS_ROLE_SERVER);
  record.time_ns = 123;
  Heard heard;
  ASSERT_EQ(decode_record(testing::to_bytes(record), heard), DecodeStatus::kOk);
  ASSERT_TRUE(heard.opened);
  EXPECT_EQ(heard.socket, record.socket);
  EXPECT_EQ(heard.opened->id, 5U);
  EXPECT_EQ(heard.opened->pid, 77U);
  EXPECT_EQ(heard.opened->time_ns, 123U);
  EXPECT_EQ(heard.opened->transport, model::Transport::kTcp);
  EXPECT_FALSE(heard.opened->ipv6);
  EXPECT_TRUE(heard.opened->seen_from_start);
  EXPECT_EQ(heard.opened->role, model::Role::kServer);
  EXPECT_EQ(heard.opened->local.address, "127.0.0.1");
  EXPECT_EQ(heard.opened->local.port, 8080);
  EXPECT_EQ(heard.opened->peer.address, "10.0.0.2");
  EXPECT_EQ(heard.opened->peer.port, 40000);
}

TEST(RecordDecoder, ConnectionThatWasJoined) {
  zs_connection_record record = testing::connection_record(5, 77, ZS_ROLE_UNKNOWN);
  record.seen_from_start = 0;
  const model::Connection connection = decoded(record);
  EXPECT_FALSE(connection.seen_from_start);
  EXPECT_EQ(connection.role, model::Role::kUnknown);
}

TEST(RecordDecoder, ConnectionOverIpv6) {
  const model::Connection connection = decoded(ipv6_record("2001:db8:0:0:1:0:0:1", "::1"));
  EXPECT_TRUE(connection.ipv6);
  EXPECT_EQ(connection.local.address, "2001:db8::1:0:0:1");  // RFC 5952
  EXPECT_EQ(connection.peer.address, "::1");
}

TEST(RecordDecoder, MappedAddressesAreShownAsIpv4) {
  const model::Connection connection = decoded(ipv6_record("::ffff:192.0.2.1", "::ffff:10.1.2.3"));
  EXPECT_EQ(connection.local.address, "192.0.2.1");
  EXPECT_EQ(connection.peer.address, "10.1.2.3");
}

TEST(RecordDecoder, ConnectionOverUnixSocket) {
  const model::Connection connection = decoded(unix_record("/run/app.sock"));
  EXPECT_EQ(connection.transport, model::Transport::kUnix);
  EXPECT_EQ(connection.local.address, "/run/app.sock");
  EXPECT_EQ(connection.peer.address, "/run/app.sock");
  EXPECT_EQ(connection.local.port, 0);
}

TEST(RecordDecoder, UnixPathThatFillsItsField) {
  const std::string path(ZS_UNIX_PATH_BYTES, 'p');
  EXPECT_EQ(decoded(unix_record(path)).local.address, path);
}

TEST(RecordDecoder, AbstractUnixSocket) {
  using namespace std::string_view_literals;
  EXPECT_EQ(decoded(unix_record("\0name"sv)).local.address, "@name");
  const std::string full(ZS_UNIX_PATH_BYTES - 1, 'n');
  EXPECT_EQ(decoded(unix_record('\0' + full)).local.address, '@' + full);
}

TEST(RecordDecoder, UnnamedUnixSocket) {
  EXPECT_EQ(decoded(unix_record("")).local.address, "");
}

TEST(RecordDecoder, Data) {
  zs_data_record record = testing::data_record(9, ZS_SEND, 5000, 100);
  record.departed_ns = 4000;
  record.offset = 1U << 20U;
  record.request_id = 42;
  record.thread_id = 7;
  record.evidence = ZS_EVIDENCE_TICK_RESPONSE;
  record.head_bytes = 4;
  record.tail_bytes = 3;
  Heard heard;
  ASSERT_EQ(decode_record(testing::to_bytes(record, "head", "end"), heard), DecodeStatus::kOk);
  ASSERT_TRUE(heard.chunk);
  EXPECT_EQ(heard.id, 9U);
  EXPECT_EQ(heard.chunk->direction, model::Direction::kSend);
  EXPECT_EQ(heard.chunk->time_ns, 5000U);
  EXPECT_EQ(heard.chunk->departed_ns, 4000U);
  EXPECT_EQ(heard.chunk->offset, 1U << 20U);
  EXPECT_EQ(heard.chunk->length, 100U);
  EXPECT_EQ(heard.head, "head");
  EXPECT_EQ(heard.tail, "end");
  EXPECT_EQ(heard.chunk->request_id, 42U);
  EXPECT_EQ(heard.chunk->thread_id, 7U);
  EXPECT_EQ(heard.chunk->evidence, model::Evidence::kTickResponse);
}

TEST(RecordDecoder, Datagram) {
  zs_data_record record = testing::data_record(9, ZS_SEND, 5000, 4);
  record.head_bytes = 4;
  const testing::Record data = testing::to_bytes(record, "what");
  Heard heard;
  ASSERT_EQ(decode_record(data, heard), DecodeStatus::kOk);
  EXPECT_FALSE(heard.peer);
  const testing::Record whole = testing::datagram_record(data);
  ASSERT_EQ(decode_record(whole, heard), DecodeStatus::kOk);
  EXPECT_EQ(heard.id, 9U);
  EXPECT_EQ(heard.head, "what");
  ASSERT_TRUE(heard.peer);
  EXPECT_EQ(heard.peer->address, "10.0.0.2");
  EXPECT_EQ(heard.peer->port, 53);
  EXPECT_EQ(record_time_ns(whole), 5000U);
  // Nothing but a data record may be inside.
  testing::Record other = whole;
  const __u16 type = ZS_RECORD_CLOSE;
  std::memcpy(other.data() + sizeof(zs_datagram_record) + offsetof(zs_record_header, type), &type,
              sizeof(type));
  EXPECT_EQ(decode_record(other, heard), DecodeStatus::kMalformed);
  const __u16 family = AF_UNIX;
  other = whole;
  std::memcpy(other.data() + offsetof(zs_datagram_record, peer_family), &family, sizeof(family));
  EXPECT_EQ(decode_record(other, heard), DecodeStatus::kMalformed);
  EXPECT_EQ(heard.count, 2);
}

TEST(RecordDecoder, SocketOfDatagrams) {
  zs_connection_record record = testing::connection_record(5, 77, ZS_ROLE_SERVER);
  EXPECT_FALSE(decoded(record).is_dns);
  record.is_dns = 1;
  EXPECT_TRUE(decoded(record).is_dns);
  EXPECT_EQ(decoded(record).transport, model::Transport::kTcp);
  record.datagrams = 1;
  EXPECT_EQ(decoded(record).transport, model::Transport::kUdp);
  EXPECT_EQ(decoded(record).peer.address, "10.0.0.2");
  // Connected to nobody, and bound to no address.
  record.peer_port = 0;
  std::memset(record.local_address, 0, sizeof(record.local_address));
  EXPECT_EQ(decoded(record).peer.address, "");
  EXPECT_EQ(decoded(record).local.address, "");
  EXPECT_EQ(decoded(record).local.port, 8080);
}

TEST(RecordDecoder, DataOfLengthOnly) {
  Heard heard;
  const auto bytes = testing::to_bytes(testing::data_record(9, ZS_RECEIVE, 1, UINT32_MAX));
  ASSERT_EQ(decode_record(bytes, heard), DecodeStatus::kOk);
  EXPECT_EQ(heard.chunk->length, UINT32_MAX);
  EXPECT_EQ(heard.head, "");
  EXPECT_EQ(heard.tail, "");
}

TEST(RecordDecoder, DataOfTheLargestCapture) {
  const std::string head(ZS_HEAD_BYTES_MAX, 'h');
  const std::string tail(ZS_TAIL_BYTES_MAX, 't');
  zs_data_record record = testing::data_record(9, ZS_RECEIVE, 1, head.size() + tail.size());
  record.head_bytes = ZS_HEAD_BYTES_MAX;
  record.tail_bytes = ZS_TAIL_BYTES_MAX;
  Heard heard;
  ASSERT_EQ(decode_record(testing::to_bytes(record, head, tail), heard), DecodeStatus::kOk);
  EXPECT_EQ(heard.head, head);
  EXPECT_EQ(heard.tail, tail);
}

TEST(RecordDecoder, EveryEvidenceAndRoleHasItsNumber) {
  static_assert(static_cast<int>(model::Evidence::kNone) == ZS_EVIDENCE_NONE);
  static_assert(static_cast<int>(model::Evidence::kThread) == ZS_EVIDENCE_THREAD);
  static_assert(static_cast<int>(model::Evidence::kTick) == ZS_EVIDENCE_TICK);
  static_assert(static_cast<int>(model::Evidence::kTickResponse) == ZS_EVIDENCE_TICK_RESPONSE);
  static_assert(static_cast<int>(model::Evidence::kTickSameConnection) ==
                ZS_EVIDENCE_TICK_SAME_CONNECTION);
  static_assert(static_cast<int>(model::Evidence::kCreatingThread) == ZS_EVIDENCE_CREATING_THREAD);
  static_assert(static_cast<int>(model::Evidence::kAmbiguous) == ZS_EVIDENCE_AMBIGUOUS);
  static_assert(static_cast<int>(model::Evidence::kGoroutine) == ZS_EVIDENCE_GOROUTINE);
  static_assert(static_cast<int>(model::Role::kUnknown) == ZS_ROLE_UNKNOWN);
  static_assert(static_cast<int>(model::Role::kServer) == ZS_ROLE_SERVER);
  static_assert(static_cast<int>(model::Role::kClient) == ZS_ROLE_CLIENT);
  static_assert(static_cast<int>(model::Direction::kReceive) == ZS_RECEIVE);
  static_assert(static_cast<int>(model::Direction::kSend) == ZS_SEND);
  static_assert(static_cast<int>(model::CloseKind::kSendClosed) == ZS_CLOSE_SEND);
  static_assert(static_cast<int>(model::CloseKind::kReceiveClosed) == ZS_CLOSE_RECEIVE);
  static_assert(static_cast<int>(model::CloseKind::kClosed) == ZS_CLOSE_ALL);
  static_assert(static_cast<int>(model::CloseKind::kReset) == ZS_CLOSE_RESET);
}

TEST(RecordDecoder, Close) {
  for (const zs_close_kind kind : {ZS_CLOSE_SEND, ZS_CLOSE_RECEIVE, ZS_CLOSE_ALL, ZS_CLOSE_RESET}) {
    Heard heard;
    ASSERT_EQ(decode_record(testing::to_bytes(testing::close_record(3, kind, 99)), heard),
              DecodeStatus::kOk);
    ASSERT_TRUE(heard.closed);
    EXPECT_EQ(heard.id, 3U);
    EXPECT_EQ(heard.closed->kind, static_cast<model::CloseKind>(kind));
    EXPECT_EQ(heard.closed->time_ns, 99U);
  }
}

TEST(RecordDecoder, Stream) {
  Heard heard;
  const auto record = testing::stream_record(3, 7, 11, ZS_EVIDENCE_GOROUTINE, 99);
  ASSERT_EQ(decode_record(testing::to_bytes(record), heard), DecodeStatus::kOk);
  ASSERT_TRUE(heard.stream);
  EXPECT_EQ(heard.id, 3U);
  EXPECT_EQ(heard.stream->stream_id, 7U);
  EXPECT_EQ(heard.stream->request_id, 11U);
  EXPECT_EQ(heard.stream->evidence, model::Evidence::kGoroutine);
  EXPECT_EQ(record_time_ns(testing::to_bytes(record)), 99U);
}

zs_injected_record injected_record() {
  zs_injected_record record{};
  record.header = {.length = sizeof(record), .type = ZS_RECORD_INJECTED, .reserved = 0};
  record.connection_id = 5;
  record.time_ns = 123;
  record.offset = 1000;
  record.trace_id[0] = 1;
  record.trace_id[1] = 2;
  record.span_id = 3;
  record.parent_id = 4;
  record.sampled = 1;
  record.evidence = ZS_EVIDENCE_GOROUTINE;
  return record;
}

std::vector<testing::Record> one_of_each() {
  zs_data_record data = testing::data_record(9, ZS_SEND, 5000, 10);
  data.head_bytes = 4;
  data.tail_bytes = 3;
  return {testing::to_bytes(testing::connection_record(1, 2, ZS_ROLE_SERVER)),
          testing::to_bytes(data, "head", "end"),
          testing::datagram_record(testing::to_bytes(data, "head", "end")),
          testing::to_bytes(testing::close_record(1, ZS_CLOSE_ALL, 1)),
          testing::to_bytes(testing::stream_record(1, 3, 5, ZS_EVIDENCE_NONE, 1)),
          testing::to_bytes(injected_record())};
}

void set_length(testing::Record& record) {
  const auto length = static_cast<__u32>(record.size());
  if (record.size() >= sizeof(length)) {
    std::memcpy(record.data(), &length, sizeof(length));
  }
}

TEST(RecordDecoder, EveryTruncationIsMalformed) {
  for (const testing::Record& whole : one_of_each()) {
    for (size_t size = 0; size < whole.size(); ++size) {
      Heard heard;
      // An allocation of just that size, so that a sanitizer sees a read behind its end.
      testing::Record cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
      EXPECT_EQ(decode_record(cut, heard), DecodeStatus::kMalformed) << size;
      set_length(cut);
      EXPECT_EQ(decode_record(cut, heard), DecodeStatus::kMalformed) << size;
      EXPECT_EQ(heard.count, 0);
    }
  }
}

TEST(RecordDecoder, BytesBehindTheEndAreMalformed) {
  for (testing::Record record : one_of_each()) {
    Heard heard;
    record.push_back(std::byte{0});
    EXPECT_EQ(decode_record(record, heard), DecodeStatus::kMalformed);
    set_length(record);
    EXPECT_EQ(decode_record(record, heard), DecodeStatus::kMalformed);
    EXPECT_EQ(heard.count, 0);
  }
}

TEST(RecordDecoder, UnknownTypes) {
  for (const __u16 type : {__u16{0}, __u16{ZS_RECORD_PROCESS}, __u16{9}, __u16{0xffff}}) {
    zs_close_record record = testing::close_record(1, ZS_CLOSE_ALL, 1);
    record.header.type = type;
    Heard heard;
    EXPECT_EQ(decode_record(testing::to_bytes(record), heard), DecodeStatus::kUnknownType);
    EXPECT_EQ(heard.count, 0);
  }
}

template <typename T>
void expect_malformed(T record, const std::function<void(T&)>& damage,
                      std::string_view payload = {}) {
  damage(record);
  Heard heard;
  EXPECT_EQ(decode_record(testing::to_bytes(record, payload), heard), DecodeStatus::kMalformed);
  EXPECT_EQ(heard.count, 0);
}

TEST(RecordDecoder, ValuesThatTheAbiDoesNotHave) {
  const zs_connection_record connection = testing::connection_record(1, 2, ZS_ROLE_SERVER);
  expect_malformed<zs_connection_record>(connection, [](auto& r) { r.role = ZS_ROLE_CLIENT + 1; });
  expect_malformed<zs_connection_record>(connection, [](auto& r) { r.family = AF_NETLINK; });
  expect_malformed<zs_close_record>(testing::close_record(1, ZS_CLOSE_ALL, 1),
                                    [](auto& r) { r.kind = ZS_CLOSE_RESET + 1; });
  expect_malformed<zs_stream_record>(testing::stream_record(1, 3, 5, ZS_EVIDENCE_NONE, 1),
                                     [](auto& r) { r.evidence = ZS_EVIDENCE_GOROUTINE + 1; });
  const zs_data_record data = testing::data_record(1, ZS_SEND, 1, 100);
  expect_malformed<zs_data_record>(data, [](auto& r) { r.direction = ZS_SEND + 1; });
  expect_malformed<zs_data_record>(data, [](auto& r) { r.evidence = ZS_EVIDENCE_GOROUTINE + 1; });
}

TEST(RecordDecoder, LengthsThatDisagree) {
  const std::string payload(100, 'x');
  const zs_data_record data = testing::data_record(1, ZS_SEND, 1, 100);
  // More captured than there was.
  expect_malformed<zs_data_record>(
      data, [](auto& r) { r.byte_count = 99, r.head_bytes = 100; }, payload);
  expect_malformed<zs_data_record>(
      data, [](auto& r) { r.byte_count = 99, r.head_bytes = 50, r.tail_bytes = 50; }, payload);
  // Other than what follows.
  expect_malformed<zs_data_record>(
      data, [](auto& r) { r.head_bytes = 99; }, payload);
  expect_malformed<zs_data_record>(
      data, [](auto& r) { r.head_bytes = 101, r.byte_count = 200; }, payload);
  // A sum that wraps in 32 bits.
  expect_malformed<zs_data_record>(
      data, [](auto& r) { r.head_bytes = UINT32_MAX, r.tail_bytes = 101; }, payload);
  // More than the kernel side may capture.
  const std::string large(ZS_HEAD_BYTES_MAX + 1, 'x');
  expect_malformed<zs_data_record>(
      data,
      [](auto& r) { r.head_bytes = ZS_HEAD_BYTES_MAX + 1, r.byte_count = ZS_HEAD_BYTES_MAX + 1; },
      large);
  const std::string long_tail(ZS_TAIL_BYTES_MAX + 1, 'x');
  expect_malformed<zs_data_record>(
      data,
      [](auto& r) { r.tail_bytes = ZS_TAIL_BYTES_MAX + 1, r.byte_count = ZS_TAIL_BYTES_MAX + 1; },
      long_tail);
}

TEST(RecordDecoder, TimeOfARecord) {
  zs_connection_record connection = testing::connection_record(1, 2, ZS_ROLE_SERVER);
  connection.time_ns = 11;
  EXPECT_EQ(record_time_ns(testing::to_bytes(connection)), 11U);
  EXPECT_EQ(record_time_ns(testing::to_bytes(testing::data_record(1, ZS_SEND, 12, 0))), 12U);
  EXPECT_EQ(record_time_ns(testing::to_bytes(testing::close_record(1, ZS_CLOSE_ALL, 13))), 13U);
  EXPECT_EQ(record_time_ns({}), 0U);
  const testing::Record short_record(sizeof(zs_record_header) + 2 * sizeof(uint64_t) - 1,
                                     std::byte{0xff});
  EXPECT_EQ(record_time_ns(short_record), 0U);
}

TEST(RecordDecoder, RecordsNeedNotBeAligned) {
  for (const testing::Record& record : one_of_each()) {
    testing::Record shifted(1);
    shifted.insert(shifted.end(), record.begin(), record.end());
    Heard heard;
    EXPECT_EQ(decode_record(std::span(shifted).subspan(1), heard), DecodeStatus::kOk);
  }
}

TEST(DecodeRecord, ARoute) {
  zs_route_record record{};
  record.header = {.length = sizeof(record), .type = ZS_RECORD_ROUTE, .reserved = 0};
  record.connection_id = 5;
  record.time_ns = 17;
  record.request_id = 99;
  record.route_bytes = 6;
  record.router = ZS_ROUTER_FIBER;
  std::memcpy(record.route, "GET /adrift", 11);
  Heard events;
  EXPECT_EQ(decode_record(testing::to_bytes(record), events), DecodeStatus::kOk);
  EXPECT_EQ(events.id, 5U);
  EXPECT_EQ(events.routed, 99U);
  EXPECT_EQ(events.router, model::Router::kFiber);
  EXPECT_EQ(events.route, "GET /a");
  EXPECT_EQ(record_time_ns(testing::to_bytes(record)), 17U);
  record.route_bytes = ZS_ROUTE_BYTES_MAX + 1;
  EXPECT_EQ(decode_record(testing::to_bytes(record), events), DecodeStatus::kMalformed);
  record.route_bytes = 0;
  record.router = ZS_ROUTER_COUNT;
  EXPECT_EQ(decode_record(testing::to_bytes(record), events), DecodeStatus::kMalformed);
  record.router = ZS_ROUTER_PATTERN;
  record.header.length -= 1;
  auto bytes = testing::to_bytes(record);
  bytes.pop_back();
  EXPECT_EQ(decode_record(bytes, events), DecodeStatus::kMalformed);
  EXPECT_EQ(events.count, 1);
}

TEST(RecordDecoder, Injection) {
  const zs_injected_record record = injected_record();
  Heard events;
  ASSERT_EQ(decode_record(testing::to_bytes(record), events), DecodeStatus::kOk);
  ASSERT_TRUE(events.injected);
  EXPECT_EQ(events.id, 5U);
  EXPECT_EQ(events.injected->offset, 1000U);
  EXPECT_EQ(events.injected->trace_id_high, 1U);
  EXPECT_EQ(events.injected->trace_id_low, 2U);
  EXPECT_EQ(events.injected->span_id, 3U);
  EXPECT_EQ(events.injected->parent_id, 4U);
  EXPECT_TRUE(events.injected->sampled);
  EXPECT_EQ(events.injected->evidence, model::Evidence::kGoroutine);
  EXPECT_EQ(record_time_ns(testing::to_bytes(record)), 123U);

  const auto refused = [&](auto change) {
    zs_injected_record other = record;
    change(other);
    Heard none;
    return decode_record(testing::to_bytes(other), none) == DecodeStatus::kMalformed &&
           !none.injected;
  };
  EXPECT_TRUE(refused([](auto& other) { other.sampled = 2; }));
  EXPECT_TRUE(refused([](auto& other) { other.evidence = ZS_EVIDENCE_GOROUTINE + 1; }));
  EXPECT_TRUE(refused([](auto& other) { other.span_id = 0; }));
  EXPECT_TRUE(refused([](auto& other) { other.trace_id[0] = other.trace_id[1] = 0; }));
}

}  // namespace
}  // namespace zerospan::kernel
