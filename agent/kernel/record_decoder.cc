// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/kernel/record_decoder.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <optional>
#include <string>

#include "bpf/abi/abi.h"

namespace zerospan::kernel {

namespace {

// The record as its struct, if all of it is there. Copied out: records in a file need not be
// aligned.
template <typename Record>
std::optional<Record> read_as(std::span<const std::byte> bytes) {
  Record record;
  if (bytes.size() < sizeof(record)) {
    return std::nullopt;
  }
  std::memcpy(&record, bytes.data(), sizeof(record));
  return record;
}

std::string ip_address(bool ipv6, const __u8 (&bytes)[16]) {
  static constexpr std::array<__u8, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (!ipv6) {
    inet_ntop(AF_INET, bytes, text.data(), text.size());
  } else if (std::memcmp(bytes, kMappedPrefix.data(), kMappedPrefix.size()) == 0) {
    inet_ntop(AF_INET, bytes + kMappedPrefix.size(), text.data(), text.size());
  } else {
    inet_ntop(AF_INET6, bytes, text.data(), text.size());
  }
  return text.data();
}

bool is_unspecified(const __u8 (&bytes)[16]) {
  return std::all_of(std::begin(bytes), std::end(bytes), [](__u8 byte) { return byte == 0; });
}

DecodeStatus decode_connection(std::span<const std::byte> bytes, ConnectionEvents& events) {
  const auto record = read_as<zs_connection_record>(bytes);
  if (!record || bytes.size() != sizeof(*record) || record->role > ZS_ROLE_CLIENT) {
    return DecodeStatus::kMalformed;
  }
  model::Connection connection;
  connection.id = record->connection_id;
  connection.pid = record->tgid;
  connection.time_ns = record->time_ns;
  connection.role = static_cast<model::Role>(record->role);
  connection.seen_from_start = record->seen_from_start != 0;
  switch (record->family) {
    case AF_UNIX: {
      connection.transport = model::Transport::kUnix;
      const char* path = reinterpret_cast<const char*>(record->unix_path);
      // A name in the abstract namespace starts with a zero byte, shown as '@' like in
      // /proc/net/unix.
      const bool abstract = path[0] == '\0' && path[1] != '\0';
      connection.local.address =
          abstract ? "@" + std::string(path + 1, strnlen(path + 1, ZS_UNIX_PATH_BYTES - 1))
                   : std::string(path, strnlen(path, ZS_UNIX_PATH_BYTES));
      connection.peer.address = connection.local.address;
      break;
    }
    case AF_INET:
    case AF_INET6:
      connection.ipv6 = record->family == AF_INET6;
      connection.local = {ip_address(connection.ipv6, record->local_address), record->local_port};
      connection.is_dns = record->is_dns != 0;
      if (record->datagrams != 0) {
        connection.transport = model::Transport::kUdp;
      }
      connection.peer = {ip_address(connection.ipv6, record->peer_address), record->peer_port};
      // A UDP socket may be bound to no address, and connected to nobody.
      if (record->datagrams != 0 && record->peer_port == 0) {
        connection.peer = {};
      }
      if (record->datagrams != 0 && is_unspecified(record->local_address)) {
        connection.local.address.clear();
      }
      break;
    default:
      return DecodeStatus::kMalformed;
  }
  events.on_connection(connection, record->socket);
  return DecodeStatus::kOk;
}

// `peer`: to whom a datagram was sent.
DecodeStatus decode_data(std::span<const std::byte> bytes, ConnectionEvents& events,
                         const model::Endpoint* peer = nullptr) {
  const auto record = read_as<zs_data_record>(bytes);
  if (!record || record->direction > ZS_SEND || record->evidence > ZS_EVIDENCE_GOROUTINE ||
      record->head_bytes > ZS_HEAD_BYTES_MAX || record->tail_bytes > ZS_TAIL_BYTES_MAX ||
      uint64_t{record->head_bytes} + record->tail_bytes > record->byte_count ||
      bytes.size() != sizeof(*record) + record->head_bytes + record->tail_bytes) {
    return DecodeStatus::kMalformed;
  }
  const char* payload = reinterpret_cast<const char*>(bytes.data()) + sizeof(*record);
  model::Chunk chunk;
  chunk.direction = static_cast<model::Direction>(record->direction);
  chunk.offset = record->offset;
  chunk.opposite_offset = record->opposite_offset;
  chunk.length = record->byte_count;
  chunk.head = {payload, record->head_bytes};
  chunk.tail = {payload + record->head_bytes, record->tail_bytes};
  chunk.time_ns = record->time_ns;
  chunk.departed_ns = record->departed_ns;
  chunk.thread_id = record->thread_id;
  chunk.request_id = record->request_id;
  chunk.evidence = static_cast<model::Evidence>(record->evidence);
  chunk.peer = peer;
  events.on_chunk(record->connection_id, chunk);
  return DecodeStatus::kOk;
}

DecodeStatus decode_datagram(std::span<const std::byte> bytes, ConnectionEvents& events) {
  const auto record = read_as<zs_datagram_record>(bytes);
  if (!record || (record->peer_family != AF_INET && record->peer_family != AF_INET6)) {
    return DecodeStatus::kMalformed;
  }
  const std::span<const std::byte> data = bytes.subspan(sizeof(*record));
  const auto header = read_as<zs_record_header>(data);
  if (!header || header->type != ZS_RECORD_DATA || header->length != data.size()) {
    return DecodeStatus::kMalformed;
  }
  const model::Endpoint peer = {ip_address(record->peer_family == AF_INET6, record->peer_address),
                                record->peer_port};
  return decode_data(data, events, &peer);
}

DecodeStatus decode_stream(std::span<const std::byte> bytes, ConnectionEvents& events) {
  const auto record = read_as<zs_stream_record>(bytes);
  if (!record || bytes.size() != sizeof(*record) || record->evidence > ZS_EVIDENCE_GOROUTINE) {
    return DecodeStatus::kMalformed;
  }
  events.on_stream(record->connection_id,
                   {record->stream_id, record->request_id,
                    static_cast<model::Evidence>(record->evidence), record->time_ns});
  return DecodeStatus::kOk;
}

DecodeStatus decode_injected(std::span<const std::byte> bytes, ConnectionEvents& events) {
  const auto record = read_as<zs_injected_record>(bytes);
  if (!record || bytes.size() != sizeof(*record) || record->evidence > ZS_EVIDENCE_GOROUTINE ||
      record->sampled > 1 || record->span_id == 0 ||
      (record->trace_id[0] | record->trace_id[1]) == 0) {
    return DecodeStatus::kMalformed;
  }
  events.on_injection(
      record->connection_id,
      {record->offset, record->trace_id[0], record->trace_id[1], record->span_id, record->parent_id,
       record->sampled != 0, static_cast<model::Evidence>(record->evidence)});
  return DecodeStatus::kOk;
}

DecodeStatus decode_close(std::span<const std::byte> bytes, ConnectionEvents& events) {
  const auto record = read_as<zs_close_record>(bytes);
  if (!record || bytes.size() != sizeof(*record) || record->kind > ZS_CLOSE_RESET) {
    return DecodeStatus::kMalformed;
  }
  events.on_close(record->connection_id,
                  {static_cast<model::CloseKind>(record->kind), record->time_ns,
                   record->offset[ZS_RECEIVE], record->offset[ZS_SEND]});
  return DecodeStatus::kOk;
}

DecodeStatus decode_route(std::span<const std::byte> bytes, ConnectionEvents& events) {
  const auto record = read_as<zs_route_record>(bytes);
  if (!record || bytes.size() != sizeof(*record) || record->route_bytes > ZS_ROUTE_BYTES_MAX ||
      record->router >= ZS_ROUTER_COUNT) {
    return DecodeStatus::kMalformed;
  }
  events.on_route(record->connection_id,
                  {record->request_id,
                   static_cast<model::Router>(record->router),
                   {reinterpret_cast<const char*>(record->route), record->route_bytes}});
  return DecodeStatus::kOk;
}

}  // namespace

DecodeStatus decode_record(std::span<const std::byte> record, ConnectionEvents& events) {
  const auto header = read_as<zs_record_header>(record);
  if (!header || header->length != record.size()) {
    return DecodeStatus::kMalformed;
  }
  switch (header->type) {
    case ZS_RECORD_CONNECTION:
      return decode_connection(record, events);
    case ZS_RECORD_DATA:
      return decode_data(record, events);
    case ZS_RECORD_CLOSE:
      return decode_close(record, events);
    case ZS_RECORD_STREAM:
      return decode_stream(record, events);
    case ZS_RECORD_DATAGRAM:
      return decode_datagram(record, events);
    case ZS_RECORD_INJECTED:
      return decode_injected(record, events);
    case ZS_RECORD_ROUTE:
      return decode_route(record, events);
    default:
      return DecodeStatus::kUnknownType;
  }
}

uint64_t record_time_ns(std::span<const std::byte> record) {
  // All records with a time have it behind the header and an eight-byte id.
  constexpr size_t kTimeAt = sizeof(zs_record_header) + sizeof(uint64_t);
  static_assert(offsetof(zs_connection_record, time_ns) == kTimeAt);
  static_assert(offsetof(zs_data_record, time_ns) == kTimeAt);
  static_assert(offsetof(zs_close_record, time_ns) == kTimeAt);
  static_assert(offsetof(zs_stream_record, time_ns) == kTimeAt);
  static_assert(offsetof(zs_injected_record, time_ns) == kTimeAt);
  static_assert(offsetof(zs_route_record, time_ns) == kTimeAt);
  static_assert(offsetof(zs_datagram_record, time_ns) == kTimeAt);
  uint64_t time_ns = 0;
  if (record.size() >= kTimeAt + sizeof(time_ns)) {
    std::memcpy(&time_ns, record.data() + kTimeAt, sizeof(time_ns));
  }
  return time_ns;
}

}  // namespace zerospan::kernel
