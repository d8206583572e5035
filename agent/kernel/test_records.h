// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Builds ring records as the kernel side writes them, for the tests, the fuzz targets and the
// benchmark.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "bpf/abi/abi.h"

namespace zerospan::kernel::testing {

using Record = std::vector<std::byte>;

// The record with what follows its struct, and with its length set.
template <typename T>
Record to_bytes(T record, std::string_view head = {}, std::string_view tail = {}) {
  record.header.length = static_cast<__u32>(sizeof(record) + head.size() + tail.size());
  Record bytes(record.header.length);
  std::memcpy(bytes.data(), &record, sizeof(record));
  if (!head.empty()) {
    std::memcpy(bytes.data() + sizeof(record), head.data(), head.size());
  }
  if (!tail.empty()) {
    std::memcpy(bytes.data() + sizeof(record) + head.size(), tail.data(), tail.size());
  }
  return bytes;
}

// 127.0.0.1:8080 here, 10.0.0.2:40000 there.
inline zs_connection_record connection_record(uint64_t id, uint32_t pid, zs_role role) {
  zs_connection_record record{};
  record.header.type = ZS_RECORD_CONNECTION;
  record.connection_id = id;
  record.time_ns = 1;
  record.tgid = pid;
  record.family = AF_INET;
  record.role = static_cast<__u8>(role);
  record.seen_from_start = 1;
  record.local_port = 8080;
  record.peer_port = 40000;
  record.socket = 0xffff'8880'0000'0000ULL + id;
  constexpr std::array<__u8, 4> kLocal = {127, 0, 0, 1};
  constexpr std::array<__u8, 4> kPeer = {10, 0, 0, 2};
  std::memcpy(record.local_address, kLocal.data(), kLocal.size());
  std::memcpy(record.peer_address, kPeer.data(), kPeer.size());
  return record;
}

inline zs_data_record data_record(uint64_t id, zs_direction direction, uint64_t time_ns,
                                  size_t byte_count) {
  zs_data_record record{};
  record.header.type = ZS_RECORD_DATA;
  record.connection_id = id;
  record.time_ns = time_ns;
  record.departed_ns = time_ns;
  record.byte_count = static_cast<__u32>(byte_count);
  record.direction = static_cast<__u8>(direction);
  return record;
}

// `data` as it was sent to 10.0.0.2:53 from a socket that is connected to nobody.
inline Record datagram_record(const Record& data) {
  zs_datagram_record record{};
  record.header.type = ZS_RECORD_DATAGRAM;
  std::memcpy(&record.connection_id, data.data() + sizeof(record.header),
              sizeof(record.connection_id) + sizeof(record.time_ns));
  constexpr std::array<__u8, 4> kPeer = {10, 0, 0, 2};
  std::memcpy(record.peer_address, kPeer.data(), kPeer.size());
  record.peer_port = 53;
  record.peer_family = AF_INET;
  return to_bytes(record, {reinterpret_cast<const char*>(data.data()), data.size()});
}

inline zs_close_record close_record(uint64_t id, zs_close_kind kind, uint64_t time_ns) {
  zs_close_record record{};
  record.header.type = ZS_RECORD_CLOSE;
  record.connection_id = id;
  record.time_ns = time_ns;
  record.kind = static_cast<__u8>(kind);
  return record;
}

inline zs_stream_record stream_record(uint64_t id, uint32_t stream_id, uint64_t request_id,
                                      zs_evidence evidence, uint64_t time_ns) {
  zs_stream_record record{};
  record.header.type = ZS_RECORD_STREAM;
  record.connection_id = id;
  record.time_ns = time_ns;
  record.request_id = request_id;
  record.stream_id = stream_id;
  record.evidence = static_cast<__u8>(evidence);
  return record;
}

// Who made an operation, as the kernel side stamps it.
struct Stamp {
  uint64_t time_ns = 0;
  uint32_t thread_id = 0;
  uint64_t request_id = 0;
  zs_evidence evidence = ZS_EVIDENCE_NONE;
};

// The operations of one connection, with their offsets kept.
class Stream {
 public:
  explicit Stream(uint64_t id) : id_(id) {}

  Record receive(std::string_view bytes, const Stamp& stamp) {
    return operation(ZS_RECEIVE, bytes, bytes.size(), stamp);
  }
  Record send(std::string_view bytes, const Stamp& stamp) {
    return operation(ZS_SEND, bytes, bytes.size(), stamp);
  }
  // `captured` is the start of an operation of `byte_count` bytes.
  Record operation(zs_direction direction, std::string_view captured, size_t byte_count,
                   const Stamp& stamp) {
    zs_data_record record = data_record(id_, direction, stamp.time_ns, byte_count);
    record.offset = offsets_.at(direction);
    record.thread_id = stamp.thread_id;
    record.request_id = stamp.request_id;
    record.evidence = static_cast<__u8>(stamp.evidence);
    record.head_bytes = static_cast<__u32>(captured.size());
    offsets_.at(direction) += byte_count;
    return to_bytes(record, captured);
  }

 private:
  uint64_t id_;
  std::array<uint64_t, 2> offsets_{};
};

}  // namespace zerospan::kernel::testing
