// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// A request and its response, paired: what a protocol parser gives to the stages after it. Plain
// values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "agent/model/connection.h"

namespace zerospan::model {

// Why an exchange's span cannot be complete. Bits; a span with any of them carries
// zerospan.incomplete.
enum IncompleteReason : uint32_t {
  kIncompleteNone = 0,
  kGap = 1U << 0U,                 // records were lost inside the exchange
  kHeadTruncated = 1U << 1U,       // a message head was longer than what is captured
  kRequestTimeUnknown = 1U << 2U,  // the request was sent before we watched
  kBodyEndUnknown =
      1U << 3U,  // the message's end could not be seen; the time is that of its last known byte
  kFieldsUnknown = 1U << 4U,     // header fields refer to what was sent before we watched (HPACK)
  kStatementUnknown = 1U << 5U,  // a statement that was prepared before we watched, or compressed
};

// As zerospan.incomplete has them.
[[nodiscard]] std::vector<std::string_view> incomplete_names(uint32_t reasons);

// How an exchange ended.
enum class Outcome : uint8_t {
  kComplete = 0,
  kReset = 1,  // the connection, or the HTTP/2 stream, was reset before the response's last byte
  kClosedEarly = 2,  // the peer of the responding side, or the responding side, closed before the
                     // response's last byte
  kNoResponse = 3,   // closed in order with no byte of a response
};

// The field names that later stages ask for, recognised once. RFC 9110 and 9112 for the first ones,
// the propagators' specifications for the rest.
enum class KnownHeader : uint8_t {
  kHost,
  kUserAgent,
  kContentLength,
  kTransferEncoding,
  kForwarded,
  kXForwardedFor,
  kXForwardedHost,
  kXForwardedProto,
  kTraceparent,
  kTracestate,
  kBaggage,
  kB3,
  kXB3TraceId,
  kXB3SpanId,
  kXB3Sampled,
  kXB3Flags,
  kUberTraceId,
  kXAmznTraceId,
  kContentType,
  kConnectProtocolVersion,
  kAuthorization,
  kXElasticProduct,
  kXElasticClientMeta,
  kXClickhouseServerDisplayName,
  kXClickhouseQueryId,
  kXClickhouseUser,
  kXClickhouseKey,
  kXClickhouseDatabase,
  kOther,
};

// By a name's length: which letters (bit 1: a) the known names of that length begin with. Sorts out
// nearly all others.
inline constexpr size_t kKnownHeaderLengths = 33;  // of "x-clickhouse-server-display-name", and 0
extern const std::array<uint32_t, kKnownHeaderLengths> kKnownFirstLetters;

// `name` has a length that some known name has. Names are compared without regard to case (RFC 9110
// section 5.1).
[[nodiscard]] KnownHeader recognise_likely_header(std::string_view name);

[[nodiscard]] inline KnownHeader recognise_header(std::string_view name) {
  if (name.empty() || name.size() >= kKnownFirstLetters.size() ||
      (kKnownFirstLetters[name.size()] >> (static_cast<uint8_t>(name.front()) & 31U) & 1U) == 0) {
    return KnownHeader::kOther;
  }
  return recognise_likely_header(name);
}

[[nodiscard]] constexpr uint32_t header_bit(KnownHeader header) {
  return uint32_t{1} << static_cast<uint32_t>(header);
}

struct HeaderView {
  std::string_view name;   // as on the wire; names are compared without regard to case
  std::string_view value;  // leading and trailing white space removed
};

// The headers of one message: the raw head in one buffer, and where each field lies in it. Obsolete
// line folding (RFC 9112 section 5.2) is shown with the fold as it was. Of HTTP/2 the buffer holds
// the decoded fields; pseudo-header fields are not among them, and :authority is the field "host"
// (RFC 9113 section 8.3.1). Bounded by the capture cap. Move-only by habit, copyable.
class HeaderBlock {
 public:
  // Where a field lies in the raw head.
  struct Field {
    uint32_t name_at, name_length, value_at, value_length;
    KnownHeader known;
  };

  // Fields are added in wire order, by where they lie in the head as captured; that may be put in
  // after them, but before anything is asked.
  void assign_raw(std::string_view raw) { raw_.assign(raw); }
  void reserve_fields(size_t count) { fields_.reserve(count); }
  void add_field(const Field& field) {
    fields_.push_back(field);
    known_ |= header_bit(field.known);
  }
  [[nodiscard]] Field& last_field() { return fields_.back(); }
  // A field that is not in the buffer yet.
  void append_field(std::string_view name, std::string_view value) {
    const auto at = static_cast<uint32_t>(raw_.size());
    const auto name_length = static_cast<uint32_t>(name.size());
    raw_.append(name).append(value);
    add_field({at, name_length, at + name_length, static_cast<uint32_t>(value.size()),
               recognise_header(name)});
  }
  void clear() {
    raw_.clear();
    fields_.clear();
    known_ = 0;
  }
  [[nodiscard]] size_t size() const { return fields_.size(); }
  [[nodiscard]] HeaderView operator[](size_t index) const {
    const Field& f = fields_[index];
    return {std::string_view(raw_).substr(f.name_at, f.name_length),
            std::string_view(raw_).substr(f.value_at, f.value_length)};
  }
  [[nodiscard]] KnownHeader known(size_t index) const { return fields_[index].known; }
  // Is any of these header_bit()s among the fields?
  [[nodiscard]] bool has_any(uint32_t bits) const { return (known_ & bits) != 0; }
  // The first field of that name (ASCII case-insensitive); empty view with data() == nullptr if
  // there is none.
  [[nodiscard]] std::string_view find(std::string_view name) const;
  [[nodiscard]] std::string_view raw() const { return raw_; }

 private:
  std::string raw_;
  std::vector<Field> fields_;
  uint32_t known_ = 0;  // header_bit() of each field's name
};

// Whether a body of that content type may say what is called, as GraphQL's and JSON-RPC's do.
[[nodiscard]] bool is_type_of_call(std::string_view content_type);

// The length-prefixed messages of one direction of a gRPC call.
struct GrpcMessages {
  uint64_t count = 0;       // that began
  bool exact = true;        // false: some may have been missed
  bool compressed = false;  // one at least was
};

// What gRPC adds to the HTTP/2 exchange that carries a call
// (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
struct GrpcCall {
  std::optional<uint32_t> status;      // grpc-status as the server sent it
  std::string message;                 // grpc-message, percent-decoded; bounded
  std::optional<uint64_t> timeout_ns;  // grpc-timeout: how long the client will wait
  GrpcMessages requests;
  GrpcMessages responses;
};

// RST_STREAM, or a GOAWAY that says that the stream will not be served.
struct StreamReset {
  uint32_t code = 0;          // RFC 9113 section 7; UINT32_MAX: not captured
  bool by_requester = false;  // else by the responding side
};

// HTTP semantics (RFC 9110) of one exchange over HTTP/1.x (RFC 9112) or HTTP/2 (RFC 9113).
struct HttpExchange {
  std::string method;  // as on the wire; empty: not known (HTTP/2)
  std::string target;  // request-target as on the wire: origin, absolute, authority or asterisk
                       // form; HTTP/2: :path, for CONNECT :authority. Empty: not known
  std::string scheme;  // HTTP/2: :scheme; empty: not said
  uint8_t version_major = 1;
  uint8_t version_minor = 1;  // 0 for HTTP/2
  uint16_t status = 0;        // 0: no response head was seen
  HeaderBlock request_headers;
  HeaderBlock response_headers;
  // Body bytes without the head and without chunked framing where known; see *_exact. 0 also where
  // the request's end is not known (kBodyEndUnknown).
  uint64_t request_body_size = 0;
  uint64_t response_body_size = 0;
  bool request_body_size_exact =
      true;  // false: chunked framing that was not captured is counted in, or bytes were lost
  bool response_body_size_exact = true;
  // The bodies' first bytes, without chunked framing, of the few messages of which the parser keeps
  // them (protocols/http1); nothing behind a byte that was not captured. HTTP/1 only.
  std::string request_body_start;
  std::string response_body_start;
  std::string route;      // as the server's own router has it; empty: not known
  bool upgraded = false;  // 101, or a 2xx answer to CONNECT: the connection is opaque from here on
  std::optional<StreamReset> reset;  // HTTP/2, with Outcome::kReset
  std::optional<GrpcCall> grpc;      // HTTP/2: the exchange is a gRPC call
};

enum class DbSystem : uint8_t {
  kPostgresql,
  kMysql,
  kMariadb,
  kRedis,
  kMemcached,
  kMongodb,
  kCassandra
};

// A statement or command, and what the data store answered.
struct DbExchange {
  DbSystem system = DbSystem::kPostgresql;
  // SQL as on the wire, as far as it was captured. Not known: it was prepared before we watched.
  // Of Redis and Memcached the command's arguments, packed (agent/commands/arguments.h), of MongoDB
  // the sections of its message (agent/bson/command.h).
  std::string statement;
  bool statement_known = false;
  bool statement_cut = false;      // `statement` is only its beginning
  bool backslash_escapes = false;  // in plain strings, as the connection has it
  std::string statement_id;        // of a prepared statement, its name; empty: it has none
  std::string database;
  std::string operation;   // MongoDB: the command's name; Cassandra: the request's kind, if it has
                           // no text that is known; empty: not known
  std::string collection;  // the same
  // The context in the statement's own comment (sqlcommenter); empty: none.
  std::string traceparent;
  std::string tracestate;
  bool failed = false;
  bool skipped = false;    // failed, because one before it did: the server did not run it
  std::string error_code;  // SQLSTATE, MySQL's error number, Redis's prefix, MongoDB's or
                           // Cassandra's code; empty: not seen
  std::optional<uint64_t> returned_rows;
  uint32_t batch_size = 0;            // commands that this one ran; 0: itself only
  std::string consistency;            // Cassandra, as the conventions name it; empty: not known
  std::optional<uint32_t> page_size;  // Cassandra: rows that the client wants at once
};

enum class MessagingSystem : uint8_t { kKafka, kRabbitmq, kMqtt, kNats };

// What is done with messages, as the conventions tell it apart.
enum class MessagingOperation : uint8_t { kOther, kSend, kReceive, kSettle };

// A call to a message broker.
struct MessagingExchange {
  MessagingSystem system = MessagingSystem::kKafka;
  MessagingOperation type = MessagingOperation::kOther;
  std::string operation;       // as the protocol names it; empty: not known
  std::string destination;     // empty: none, several, or not known
  bool temporary = false;      // the destination is for one caller, with a name made up for it
  std::string destination_id;  // Kafka: of a topic whose name is not known, its id
  std::optional<int32_t> partition;
  std::optional<int64_t> offset;  // of the only message
  std::optional<uint64_t> message_count;
  std::string routing_key;               // AMQP
  std::optional<uint64_t> delivery_tag;  // AMQP
  std::optional<uint64_t> body_size;     // of the only message
  std::string message_id;                // as its sender has named it
  std::string conversation_id;
  std::string consumer_group;
  std::string client_id;
  // The contexts (traceparent) that the messages carry, as far as they were captured; bounded.
  std::vector<std::string> creation_contexts;
  std::string error_code;  // empty: none
};

// A question to a name server, and its answer (RFC 1035 section 4.1).
struct DnsExchange {
  std::string name;  // without the last dot, but for the root's; other bytes than letters, digits
                     // and the like as in a zone file (section 5.1)
  uint16_t type = 0;
  std::optional<uint16_t> response_code;  // not known: there was no answer
  bool truncated = false;                 // the answer did not fit: the client asks again over TCP
  std::vector<std::string> answers;       // addresses, as far as they were captured
  // UDP: the other end, where the connection has none. Empty: not known.
  Endpoint peer;
};

struct Exchange {
  uint64_t sequence =
      0;  // of this exchange on its connection, from 0; with Connection::id it names the exchange
  Role role = Role::kServer;
  uint64_t request_start_ns =
      0;  // CLOCK_MONOTONIC, first byte of the request (client: when it could first leave)
  uint64_t request_end_ns = 0;     // last byte of the request
  uint64_t response_start_ns = 0;  // first byte of the response (not of a 1xx one); 0: none
  uint64_t response_end_ns = 0;    // last byte of the response, or when it was cut
  uint64_t request_id = 0;         // Chunk::request_id of the chunk with the request's first byte
  Evidence evidence = Evidence::kNone;
  uint64_t request_offset = 0;  // HTTP/1: of the request's first byte in its direction's stream
  uint32_t batch_index =
      0;  // position among pipelined requests that share request_id on a server connection, from 0
  uint32_t thread_id = 0;  // the thread that handled the request's first byte
  Outcome outcome = Outcome::kComplete;
  uint32_t incomplete = kIncompleteNone;  // IncompleteReason bits
  std::variant<HttpExchange, DbExchange, MessagingExchange, DnsExchange> payload;
};

}  // namespace zerospan::model
