// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Frames and segments of Cassandra's native protocol, versions 3 to 5, and what requests and
// answers say of interest (https://github.com/apache/cassandra/tree/trunk/doc,
// native_protocol_v3.spec to native_protocol_v5.spec). Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/model/exchange.h"

namespace zerospan::protocols::cassandra {

inline constexpr size_t kHeaderBytes = 9;
inline constexpr size_t kSegmentBytes = 6;
inline constexpr size_t kTrailerBytes = 4;

enum class Opcode : uint8_t {
  kError = 0,
  kStartup = 1,
  kReady = 2,
  kAuthenticate = 3,
  kOptions = 5,
  kSupported = 6,
  kQuery = 7,
  kResult = 8,
  kPrepare = 9,
  kExecute = 10,
  kRegister = 11,
  kEvent = 12,
  kBatch = 13,
  kAuthChallenge = 14,
  kAuthResponse = 15,
  kAuthSuccess = 16,
};

struct Header {
  uint8_t version = 0;
  bool response = false;
  bool compressed = false;
  bool traced = false;   // an answer's body begins with an id,
  bool payload = false;  // a body with values for whoever knows them,
  bool warned = false;   // an answer's with warnings
  int16_t stream = 0;
  Opcode opcode = Opcode::kError;
  uint32_t length = 0;  // of the body, in bytes
};

// `bytes` has kHeaderBytes. Nullopt: no frame has such a header.
[[nodiscard]] std::optional<Header> read_header(std::string_view bytes);

// Behind this frame, in its direction, comes what is in segments.
[[nodiscard]] bool begins_segments(const Header& header);

// How much of a body is looked at; the kernel's walk captures as much (bpf/lib/frame_cassandra.h).
[[nodiscard]] size_t kept_bytes(const Header& header);

struct Segment {
  uint32_t payload = 0;  // bytes
  bool self_contained = false;
};

// `bytes` has kSegmentBytes. Nullopt: its checksum is another one.
[[nodiscard]] std::optional<Segment> read_segment(std::string_view bytes);

// What an operation begins with: a frame, by itself or in a segment. Nullopt: neither, or what is
// there is too short to tell.
struct Begin {
  bool response = false;
  bool segmented = false;
  int16_t stream = 0;
};
[[nodiscard]] std::optional<Begin> begins_with(std::string_view bytes);

// One of a BATCH's, or the only one.
struct Query {
  std::string text;
  std::string prepared_id;  // empty: it is `text`
};

struct Request {
  std::vector<Query> queries;  // those that were captured
  uint32_t batch_size = 0;     // of a BATCH, as it says
  bool cut = false;            // not all queries are there, or the last one's text is its beginning
  std::string consistency;     // by the semantic conventions' names; empty: not captured
  std::optional<uint32_t> page_size;
  std::optional<std::string> keyspace;  // of this request alone; empty: not captured
  bool compression = false;             // STARTUP: what follows may be compressed
};

// `body` is the beginning of the request's body; empty if it is compressed.
[[nodiscard]] Request read_request(const Header& header, std::string_view body);

struct Answer {
  bool failed = false;
  bool told = false;       // what kind of answer it is was captured
  std::string error_code;  // in decimal digits; empty: not captured
  std::optional<uint64_t> rows;
  std::optional<std::string> keyspace;  // the connection's from now on
  std::string prepared_id;
};

[[nodiscard]] Answer read_answer(const Header& header, std::string_view body);

}  // namespace zerospan::protocols::cassandra
