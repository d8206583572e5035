// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/cassandra/messages.h"

#include <algorithm>
#include <array>

#include "agent/protocols/byte_reader.h"

namespace zerospan::protocols::cassandra {
namespace {

constexpr uint8_t kResponseBit = 0x80;
constexpr uint8_t kFlagsEnd = 0x20;
constexpr uint8_t kDatastaxVersion = 0x41;  // and the next: by which its clients ask at first
constexpr uint32_t kLargest = uint32_t{1} << 28U;
constexpr size_t kStatementKept = 4096;
constexpr size_t kAnswerKept = 1024;
constexpr size_t kExecuteKept = 256;
constexpr size_t kStartupKept = 512;
constexpr uint64_t kMostOptions = 64;
constexpr uint64_t kNull = 0x80000000;  // a length with this bit: there is no value
constexpr int kMostDepth = 16;          // of types in types

enum RequestFlag : uint64_t {
  kValues = 0x01,
  kPageSize = 0x04,
  kPagingState = 0x08,
  kSerialConsistency = 0x10,
  kTimestamp = 0x20,
  kNames = 0x40,
  kKeyspace = 0x80,
};

enum RowsFlag : uint64_t {
  kGlobalTable = 0x1,
  kMorePages = 0x2,
  kNoMetadata = 0x4,
  kMetadataChanged = 0x8,
};

enum ResultKind : uint64_t {
  kVoid = 1,
  kRows = 2,
  kSetKeyspace = 3,
  kPrepared = 4,
  kSchemaChange = 5,
};

bool is_from_server(Opcode opcode) {
  switch (opcode) {
    case Opcode::kError:
    case Opcode::kReady:
    case Opcode::kAuthenticate:
    case Opcode::kSupported:
    case Opcode::kResult:
    case Opcode::kEvent:
    case Opcode::kAuthChallenge:
    case Opcode::kAuthSuccess:
      return true;
    default:
      return false;
  }
}

bool is_handshake(Opcode opcode) {
  switch (opcode) {
    case Opcode::kQuery:
    case Opcode::kPrepare:
    case Opcode::kExecute:
    case Opcode::kBatch:
    case Opcode::kResult:
      return false;
    default:
      return true;
  }
}

// [string], [short bytes]
std::string_view read_short(ByteReader& reader) {
  return reader.read_bytes(reader.read(2));
}

// [bytes], [value]
std::string_view read_value(ByteReader& reader) {
  const uint64_t size = reader.read(4);
  return (size & kNull) != 0 ? std::string_view() : reader.read_bytes(size);
}

// [long string], of which the end may be missing.
std::string read_text(ByteReader& reader, bool& cut) {
  const uint64_t size = reader.read(4);
  cut = cut || !reader.ok() || size > reader.left();
  return std::string(reader.read_bytes(std::min<uint64_t>(size, reader.left())));
}

void skip_payload(const Header& header, ByteReader& reader) {
  if (!header.payload) {
    return;
  }
  for (uint64_t count = reader.read(2); count > 0 && reader.ok(); --count) {
    read_short(reader);
    read_value(reader);
  }
}

std::string consistency_of(uint64_t code) {
  constexpr std::array<std::string_view, 11> kNames_ = {
      "any",          "one",         "two",    "three",        "quorum",   "all",
      "local_quorum", "each_quorum", "serial", "local_serial", "local_one"};
  return std::string(code < kNames_.size() ? kNames_[code] : std::string_view());
}

void skip_values(ByteReader& reader, bool named) {
  for (uint64_t count = reader.read(2); count > 0 && reader.ok(); --count) {
    if (named) {
      read_short(reader);
    }
    read_value(reader);
  }
}

// What QUERY and EXECUTE have behind the statement.
void read_parameters(const Header& header, ByteReader& reader, Request& request) {
  const uint64_t consistency = reader.read(2);
  const uint64_t flags = reader.read(header.version >= 5 ? 4 : 1);
  if (!reader.ok()) {
    if (header.version >= 5) {
      request.keyspace = "";
    }
    return;
  }
  request.consistency = consistency_of(consistency);
  if ((flags & kValues) != 0) {
    skip_values(reader, (flags & kNames) != 0);
  }
  if ((flags & kPageSize) != 0) {
    const uint64_t size = reader.read(4);
    if (reader.ok() && (size & kNull) == 0) {
      request.page_size = static_cast<uint32_t>(size);
    }
  }
  if (header.version >= 5 && (flags & kKeyspace) != 0) {
    if ((flags & kPagingState) != 0) {
      read_value(reader);
    }
    reader.read((flags & kSerialConsistency) != 0 ? 2 : 0);
    reader.read((flags & kTimestamp) != 0 ? 8 : 0);
    request.keyspace = read_short(reader);
  }
}

void read_batch(const Header& header, ByteReader& reader, Request& request) {
  reader.read(1);  // logged, unlogged, counter
  const uint64_t count = reader.read(2);
  request.batch_size = static_cast<uint32_t>(count);
  for (uint64_t i = 0; i < count; ++i) {
    Query query;
    const bool prepared = reader.read(1) != 0;
    if (prepared) {
      query.prepared_id = read_short(reader);
      request.cut = request.cut || query.prepared_id.empty();
    } else {
      query.text = read_text(reader, request.cut);
    }
    if (!query.text.empty() || !query.prepared_id.empty()) {
      request.queries.push_back(std::move(query));
    }
    if (request.cut) {
      break;
    }
    skip_values(reader, false);  // names are not sent, whatever the flags say
  }
  const uint64_t consistency = reader.read(2);
  const uint64_t flags = reader.read(header.version >= 5 ? 4 : 1);
  if (!reader.ok()) {
    if (header.version >= 5) {
      request.keyspace = "";
    }
    return;
  }
  request.consistency = consistency_of(consistency);
  if (header.version >= 5 && (flags & kKeyspace) != 0) {
    reader.read((flags & kSerialConsistency) != 0 ? 2 : 0);
    reader.read((flags & kTimestamp) != 0 ? 8 : 0);
    request.keyspace = read_short(reader);
  }
}

// [option], a type.
void skip_type(ByteReader& reader, int depth) {
  if (depth == 0) {
    reader.read_bytes(UINT64_MAX);
    return;
  }
  switch (reader.read(2)) {
    case 0x0000:  // custom
      read_short(reader);
      return;
    case 0x0020:  // list
    case 0x0022:  // set
      skip_type(reader, depth - 1);
      return;
    case 0x0021:  // map
      skip_type(reader, depth - 1);
      skip_type(reader, depth - 1);
      return;
    case 0x0030:  // user-defined
      read_short(reader);
      read_short(reader);
      for (uint64_t count = reader.read(2); count > 0 && reader.ok(); --count) {
        read_short(reader);
        skip_type(reader, depth - 1);
      }
      return;
    case 0x0031:  // tuple
      for (uint64_t count = reader.read(2); count > 0 && reader.ok(); --count) {
        skip_type(reader, depth - 1);
      }
      return;
    default:
      return;
  }
}

// Rows, up to how many there are.
std::optional<uint64_t> read_rows(const Header& header, ByteReader& reader) {
  const uint64_t flags = reader.read(4);
  const uint64_t columns = reader.read(4);
  if ((flags & kMorePages) != 0) {
    read_value(reader);
  }
  if (header.version >= 5 && (flags & kMetadataChanged) != 0) {
    read_short(reader);
  }
  if ((flags & kNoMetadata) == 0) {
    const bool global = (flags & kGlobalTable) != 0;
    if (global) {
      read_short(reader);
      read_short(reader);
    }
    for (uint64_t i = 0; i < columns && reader.ok(); ++i) {
      if (!global) {
        read_short(reader);
        read_short(reader);
      }
      read_short(reader);
      skip_type(reader, kMostDepth);
    }
  }
  const uint64_t rows = reader.read(4);
  return reader.ok() && (rows & kNull) == 0 ? std::optional(rows) : std::nullopt;
}

// Does the beginning of a body fit to its header? `body` may be short: then as far as it goes.
bool is_likely_body(const Header& header, std::string_view body) {
  ByteReader reader(body);
  const auto text_fits = [&](uint64_t at_least_behind) {
    const uint64_t size = reader.read(4);
    return reader.ok() && size + 4 + at_least_behind <= header.length;
  };
  if (header.compressed) {
    return false;
  }
  if (header.payload || header.warned || header.traced) {
    return header.length >= 2;
  }
  switch (header.opcode) {
    case Opcode::kOptions:
    case Opcode::kReady:
      return header.length == 0;
    case Opcode::kStartup: {
      const uint64_t count = reader.read(2);
      const uint64_t size = reader.read(2);
      return reader.ok() && count != 0 && count < kMostOptions && size != 0 &&
             size + 4 <= header.length;
    }
    case Opcode::kQuery:
      return text_fits(2);
    case Opcode::kPrepare:
      return text_fits(0);
    case Opcode::kExecute: {
      const uint64_t size = reader.read(2);
      return reader.ok() && size != 0 && size + 4 <= header.length;
    }
    case Opcode::kBatch: {
      const uint64_t type = reader.read(1);
      return reader.ok() && type <= 2 && header.length >= 5;
    }
    case Opcode::kResult: {
      const uint64_t kind = reader.read(4);
      return reader.ok() && kind >= kVoid && kind <= kSchemaChange;
    }
    case Opcode::kError: {
      const uint64_t code = reader.read(4);
      return reader.ok() && code < 0x10000 && header.length >= 6;
    }
    case Opcode::kSupported:
    case Opcode::kAuthenticate:
    case Opcode::kRegister:
    case Opcode::kEvent:
      return header.length >= 2;
    default:
      return header.length >= 4;  // a token
  }
}

}  // namespace

std::optional<Header> read_header(std::string_view bytes) {
  ByteReader reader(bytes);
  const uint64_t first = reader.read(1);
  const uint64_t flags = reader.read(1);
  Header header;
  header.response = (first & kResponseBit) != 0;
  header.version = static_cast<uint8_t>(first & ~uint64_t{kResponseBit});
  header.compressed = (flags & 0x01U) != 0;
  header.traced = header.response && (flags & 0x02U) != 0;
  header.payload = (flags & 0x04U) != 0;
  header.warned = header.response && (flags & 0x08U) != 0;
  header.stream = static_cast<int16_t>(reader.read(2));
  const uint64_t opcode = reader.read(1);
  header.opcode = static_cast<Opcode>(opcode);
  header.length = static_cast<uint32_t>(reader.read(4));
  const bool datastax =
      header.version == kDatastaxVersion || header.version == kDatastaxVersion + 1;
  if (!reader.ok() || !(datastax || (header.version >= 3 && header.version <= 5)) ||
      flags >= kFlagsEnd || opcode > static_cast<uint8_t>(Opcode::kAuthSuccess) || opcode == 4 ||
      is_from_server(header.opcode) != header.response || header.length > kLargest ||
      (datastax && !is_handshake(header.opcode))) {
    return std::nullopt;
  }
  return header;
}

bool begins_segments(const Header& header) {
  return header.version == 5 &&
         (header.opcode == Opcode::kStartup || header.opcode == Opcode::kReady ||
          header.opcode == Opcode::kAuthenticate);
}

size_t kept_bytes(const Header& header) {
  if (header.compressed) {
    return 0;
  }
  switch (header.opcode) {
    case Opcode::kQuery:
    case Opcode::kPrepare:
    case Opcode::kBatch:
      return kStatementKept;
    case Opcode::kExecute:
      return kExecuteKept;
    case Opcode::kStartup:
      return kStartupKept;
    case Opcode::kError:
    case Opcode::kResult:
      return kAnswerKept;
    default:
      return 0;
  }
}

// native_protocol_v5.spec section 2.2: little-endian, with a CRC-24 behind the first three bytes.
std::optional<Segment> read_segment(std::string_view bytes) {
  if (bytes.size() < kSegmentBytes) {
    return std::nullopt;
  }
  const auto word = [&](size_t at) {
    return uint32_t{static_cast<uint8_t>(bytes[at])} |
           uint32_t{static_cast<uint8_t>(bytes[at + 1])} << 8U |
           uint32_t{static_cast<uint8_t>(bytes[at + 2])} << 16U;
  };
  constexpr uint32_t kPolynomial = 0x1974f0b;
  uint32_t crc = 0x875060;
  for (size_t i = 0; i < 3; ++i) {
    crc ^= uint32_t{static_cast<uint8_t>(bytes[i])} << 16U;
    for (int bit = 0; bit < 8; ++bit) {
      crc <<= 1U;
      crc ^= (crc & 0x1000000U) != 0 ? kPolynomial : 0;
    }
  }
  const uint32_t fields = word(0);
  if (crc != word(3) || fields >> 18U != 0 || (fields & 0x1ffffU) == 0) {
    return std::nullopt;
  }
  return Segment{fields & 0x1ffffU, (fields & 0x20000U) != 0};
}

std::optional<Begin> begins_with(std::string_view bytes) {
  if (const auto header = read_header(bytes.substr(0, kHeaderBytes))) {
    if (is_likely_body(*header, bytes.substr(kHeaderBytes))) {
      return Begin{header->response, false, header->stream};
    }
    return std::nullopt;
  }
  const auto segment = read_segment(bytes);
  if (!segment || !segment->self_contained) {
    return std::nullopt;
  }
  const std::string_view frame = bytes.substr(kSegmentBytes);
  const auto header = read_header(frame.substr(0, kHeaderBytes));
  if (!header || header->version != 5 || header->length + kHeaderBytes > segment->payload) {
    return std::nullopt;
  }
  return Begin{header->response, true, header->stream};
}

Request read_request(const Header& header, std::string_view body) {
  Request request;
  ByteReader reader(body);
  skip_payload(header, reader);
  switch (header.opcode) {
    case Opcode::kQuery:
      request.queries.push_back({read_text(reader, request.cut), {}});
      read_parameters(header, reader, request);
      break;
    case Opcode::kPrepare:
      request.queries.push_back({read_text(reader, request.cut), {}});
      break;
    case Opcode::kExecute:
      request.queries.push_back({{}, std::string(read_short(reader))});
      if (header.version >= 5) {
        read_short(reader);  // of the metadata
      }
      read_parameters(header, reader, request);
      break;
    case Opcode::kBatch:
      read_batch(header, reader, request);
      break;
    case Opcode::kStartup:
      for (uint64_t count = reader.read(2); count > 0 && reader.ok(); --count) {
        const std::string_view key = read_short(reader);
        const std::string_view value = read_short(reader);
        request.compression = request.compression || (key == "COMPRESSION" && !value.empty());
      }
      break;
    default:
      break;
  }
  return request;
}

Answer read_answer(const Header& header, std::string_view body) {
  Answer answer;
  answer.failed = header.opcode == Opcode::kError;
  ByteReader reader(body);
  reader.read_bytes(header.traced ? 16 : 0);
  if (header.warned) {
    for (uint64_t count = reader.read(2); count > 0 && reader.ok(); --count) {
      read_short(reader);
    }
  }
  skip_payload(header, reader);
  if (header.opcode != Opcode::kError && header.opcode != Opcode::kResult) {
    answer.told = true;
    return answer;
  }
  const uint64_t code = reader.read(4);
  answer.told = reader.ok();
  if (answer.failed) {
    answer.error_code = answer.told ? std::to_string(code) : "";
  } else if (code == kRows) {
    answer.rows = read_rows(header, reader);
  } else if (code == kSetKeyspace) {
    answer.keyspace = read_short(reader);
  } else if (code == kPrepared) {
    answer.prepared_id = read_short(reader);
  }
  return answer;
}

}  // namespace zerospan::protocols::cassandra
