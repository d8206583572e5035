// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/http1/testing.h"

#include <gtest/gtest.h>

namespace zerospan::protocols::http1 {
namespace {

model::Connection make_connection(model::Role role, bool seen_from_start) {
  model::Connection connection;
  connection.id = 1;
  connection.role = role;
  connection.seen_from_start = seen_from_start;
  return connection;
}

}  // namespace

void Recorder::on_request(const RequestStart& start) {
  if (start.sequence != starts.size()) {
    violations.push_back("on_request out of sequence");
  }
  starts.push_back(start.http->method + " " + start.http->target);
  if (++open[start.sequence] != 1) {
    violations.push_back("on_request twice");
  }
}

void Recorder::on_exchange(model::Exchange&& exchange) {
  if (open.erase(exchange.sequence) != 1) {
    violations.push_back("on_exchange without on_request, or twice");
  }
  exchanges.push_back(std::move(exchange));
}

Player::Player(model::Role role, bool seen_from_start, Options options)
    : connection(make_connection(role, seen_from_start), options, &counters), role_(role) {}

model::Direction Player::direction(From from) const {
  return (role_ == model::Role::kServer) == (from == From::kRequester) ? model::Direction::kReceive
                                                                       : model::Direction::kSend;
}

Verdict Player::play(model::Chunk chunk, From from) {
  now += 1000;
  chunk.direction = direction(from);
  chunk.time_ns = now;
  if (chunk.departed_ns == 0) {
    chunk.departed_ns = chunk.direction == model::Direction::kSend ? now - 100 : now;
  }
  chunk.thread_id = 7;
  uint64_t& offset = offsets_[static_cast<size_t>(from)];
  chunk.offset = offset;
  chunk.opposite_offset = offsets_[1 - static_cast<size_t>(from)];
  offset += chunk.length;
  return connection.on_chunk(chunk, sink);
}

Verdict Player::say(From from, std::string_view bytes, uint64_t request_id) {
  model::Chunk chunk;
  chunk.length = static_cast<uint32_t>(bytes.size());
  chunk.head = bytes;
  chunk.request_id = request_id;
  return play(chunk, from);
}

Verdict Player::say_cut(From from, std::string_view bytes, size_t head, size_t tail) {
  model::Chunk chunk;
  chunk.length = static_cast<uint32_t>(bytes.size());
  chunk.head = bytes.substr(0, head);
  chunk.tail = bytes.substr(bytes.size() - std::min(tail, bytes.size() - chunk.head.size()));
  return play(chunk, from);
}

void Player::lose(From from, uint64_t length) {
  now += 1000;
  offsets_[static_cast<size_t>(from)] += length;
}

Verdict Player::say_late(From from, std::string_view bytes, uint64_t departed_ns) {
  model::Chunk chunk;
  chunk.length = static_cast<uint32_t>(bytes.size());
  chunk.head = bytes;
  chunk.departed_ns = departed_ns;
  return play(chunk, from);
}

Verdict Player::close(model::CloseKind kind) {
  now += 1000;
  const bool server = role_ == model::Role::kServer;
  return connection.on_close(
      model::Closed{kind, now, offsets_[server ? 0 : 1], offsets_[server ? 1 : 0]}, sink);
}

void Player::finish() {
  now += 1000;
  connection.finish(now, sink);
}

const model::Exchange& Player::only() const {
  static const model::Exchange kNone;
  EXPECT_EQ(sink.exchanges.size(), 1U);
  EXPECT_TRUE(sink.violations.empty());
  return sink.exchanges.empty() ? kNone : sink.exchanges.front();
}

std::string describe(const model::Exchange& exchange) {
  const model::HttpExchange& http = Player::http(exchange);
  std::string text = std::to_string(exchange.sequence) +
                     (exchange.role == model::Role::kServer ? " server " : " client ");
  text += http.method + " " + http.target + " 1." + std::to_string(http.version_minor) + " -> " +
          std::to_string(http.status) + " sizes " + std::to_string(http.request_body_size) +
          (http.request_body_size_exact ? " " : "~ ") + std::to_string(http.response_body_size) +
          (http.response_body_size_exact ? "" : "~") + (http.upgraded ? " upgraded" : "") +
          " outcome " + std::to_string(static_cast<int>(exchange.outcome)) + " incomplete " +
          std::to_string(exchange.incomplete) + " id " + std::to_string(exchange.request_id) +
          " batch " + std::to_string(exchange.batch_index) + " answered " +
          std::to_string(static_cast<int>(exchange.response_start_ns != 0));
  text += " starts <" + http.request_body_start + "> <" + http.response_body_start + ">";
  for (const model::HeaderBlock* block : {&http.request_headers, &http.response_headers}) {
    text += " |";
    for (size_t i = 0; i < block->size(); ++i) {
      text += " " + std::string((*block)[i].name) + "=" + std::string((*block)[i].value);
    }
  }
  return text;
}

std::string get(std::string_view id, std::string_view fields) {
  return "GET /" + std::string(id) + " HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n";
}

std::string ok(std::string_view id, size_t length) {
  return "HTTP/1.1 200 OK\r\nx-id: " + std::string(id) +
         "\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n" + std::string(length, 'b');
}

const std::vector<NamedConversation>& conversations() {
  constexpr From kQ = From::kRequester;
  constexpr From kR = From::kResponder;
  static const std::vector<NamedConversation> kAll = {
      {"keep-alive",
       {{kQ, get("1"), 1},
        {kR, ok("1", 5)},
        {kQ, get("2"), 2},
        {kR, ok("2", 0)},
        {kQ, "POST /3 HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody", 3},
        {kR, ok("3", 40)}}},
      {"pipelined in one operation",
       {{kQ, get("1") + get("2") + get("3"), 9},
        {kR, ok("1", 3) + ok("2", 4)},
        {kR, ok("3", 5)},
        {kQ, get("4"), 10},
        {kR, ok("4", 1)}}},
      {"pipelined in operations",
       {{kQ, get("1"), 1},
        {kQ, get("2"), 2},
        {kQ, get("3"), 3},
        {kR, ok("1", 3)},
        {kR, ok("2", 4)},
        {kR, ok("3", 5)},
        {kQ, get("4"), 4},
        {kR, ok("4", 1)}}},
      {"pipelined and interleaved",
       {{kQ, get("1"), 1},
        {kQ, get("2"), 2},
        {kR, ok("1", 3)},
        {kQ, get("3"), 3},
        {kR, ok("2", 4)},
        {kQ, get("4"), 4},
        {kR, ok("3", 5)},
        {kR, ok("4", 5)}},
       false,
       true},
      {"no body",
       {{kQ, "HEAD /1 HTTP/1.1\r\n\r\n", 1},
        {kR, "HTTP/1.1 200 OK\r\nx-id: 1\r\nContent-Length: 400\r\n\r\n"},
        {kQ, get("2"), 2},
        {kR, "HTTP/1.1 204 No Content\r\nx-id: 2\r\n\r\n"},
        {kQ, get("3"), 3},
        {kR, "HTTP/1.1 304 Not Modified\r\nx-id: 3\r\nContent-Length: 9\r\n\r\n"},
        {kQ, get("4"), 4},
        {kR, ok("4", 2)}}},
      {"interim",
       {{kQ, "PUT /1 HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n", 1},
        {kR, "HTTP/1.1 100 Continue\r\n\r\n"},
        {kQ, "abcdef", 1},
        {kR, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"},
        {kR, "HTTP/1.1 201 Created\r\nx-id: 1\r\nContent-Length: 0\r\n\r\n"},
        {kQ, get("2"), 2},
        {kR, ok("2", 2)}}},
      {"chunked",
       {{kQ,
         "POST /1 HTTP/1.1\r\nTransfer-Encoding: gzip, Chunked\r\nContent-Length: 3\r\n\r\n"
         "4;a=\"b\"\r\nabcd\r\n00A\r\n0123456789\r\n0\r\n\r\n",
         1},
        {kR, "HTTP/1.1 200 OK\r\nx-id: 1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"},
        {kR, "1f\r\n0123456789012345678901234567890\r\n"},
        {kR, "0\r\nTrailer: x\r\nAnother: y\r\n\r\n"},
        {kQ, get("2"), 2},
        {kR, "HTTP/1.1 200 OK\nx-id: 2\nTransfer-Encoding: chunked\n\n2\nab\n0\n\n"},
        {kQ, get("3"), 3},
        {kR, ok("3", 2)}}},
      {"calls whose bodies' first bytes are kept",
       {{kQ,
         "POST /1 HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: "
         "43\r\n\r\n{\"jsonrpc\":\"2.0\",\"method\":\"sum\",\"id\":\"one\"}",
         1},
        {kR,
         "HTTP/1.1 200 OK\r\nx-id: 1\r\nContent-Type: application/json; charset=utf-8\r\n"
         "transfer-encoding: chunked\r\n\r\n12\r\n{\"jsonrpc\":\"2.0\",\"\r\n"
         "15\r\nresult\":3,\"id\":\"one\"}\r\n0\r\n\r\n"},
        {kQ,
         "POST /2 HTTP/1.1\r\ncontent-type: Application/GraphQL\r\nTransfer-Encoding: "
         "chunked\r\n\r\n3\r\nque\r\n9\r\nry { a { \r\n4\r\nb }}\r\n0\r\n\r\n",
         2},
        {kR, ok("2", 7)},
        {kQ,
         "POST /3 HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2000\r\n\r\n" +
             std::string(2000, 'j'),
         3},
        {kR, ok("3", 0)},
        {kQ,
         "POST /4 HTTP/1.1\r\nx-clickhouse-key: k\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nSELECT "
         "1\r\n0\r\n\r\n",
         4},
        {kR,
         "HTTP/1.1 404 No\r\nx-id: 4\r\nX-ClickHouse-Server-Display-Name: a\r\n"
         "transfer-encoding: chunked\r\n\r\n5\r\nCode:\r\n4\r\n 60,\r\n0\r\n\r\n"}}},
      {"until close",
       {{kQ, "GET /1 HTTP/1.0\r\n\r\n", 1},
        {kR, "HTTP/1.0 200 OK\r\nx-id: 1\r\n\r\nsome"},
        {kR, " more\r\n\r\nHTTP/1.1 200 OK\r\n\r\nand"}}},
      {"odd but allowed",
       {{kQ, "\r\n\r\nGET /1 HTTP/1.1\nA:b\nFolded: one\r\n  two\r\nEmpty:\r\n\tlate\n: none\n\n",
         1},
        {kR, "HTTP/1.1 200\r\nx-id: 1\r\nContent-Length: 2, 2\r\nContent-Length: 2\r\n\r\nab"},
        {kQ, "OPTIONS * HTTP/1.1\r\nid: 2\r\n\r\n", 2},
        {kR, ok("*", 2)},
        {kQ, "GET http://h:8/3?q=1 HTTP/1.1\r\n\r\n\r\n", 3},
        {kR, ok("http://h:8/3?q=1", 2)},
        {kQ, "BREW-2 /4 HTTP/1.1\r\n\r\n", 4},
        {kR, ok("4", 2)}}},
      {"upgrade",
       {{kQ, get("1"), 1},
        {kR, ok("1", 2)},
        {kQ, get("2", "Upgrade: websocket\r\nConnection: Upgrade\r\n"), 2},
        {kR, "HTTP/1.1 101 Switching Protocols\r\nx-id: 2\r\nUpgrade: websocket\r\n\r\n"},
        {kR, "\x81\x02hi"},
        {kQ, "\x81\x85mask12345"}}},
      {"connect",
       {{kQ, "CONNECT 1:443 HTTP/1.1\r\nHost: h\r\n\r\n", 1},
        {kR,
         "HTTP/1.1 407 Proxy Authentication Required\r\nx-id: 1:443\r\nContent-Length: "
         "3\r\n\r\nno\n"},
        {kQ, "CONNECT 2:443 HTTP/1.1\r\nProxy-Authorization: x\r\n\r\n", 2},
        {kR, "HTTP/1.1 200 Connection established\r\nx-id: 2:443\r\n\r\n"},
        {kQ, "\x16\x03\x01"},
        {kR, "\x16\x03\x03"}}},
      {"cut response",
       {{kQ, get("1"), 1}, {kR, ok("1", 2)}, {kQ, get("2"), 2}, {kR, ok("2", 50).substr(0, 70)}}},
      {"no response", {{kQ, get("1"), 1}, {kR, ok("1", 2)}, {kQ, get("2"), 2}}},
      {"reset", {{kQ, get("1"), 1}, {kR, ok("1", 50).substr(0, 60)}}, true},
      {"early answer",
       {{kQ, "POST /1 HTTP/1.1\r\nContent-Length: 20\r\n\r\n0123", 1},
        {kR, "HTTP/1.1 413 Too Large\r\nx-id: 1\r\nContent-Length: 0\r\n\r\n"},
        {kQ, "0123456789", 1},
        {kQ, "012345", 1},
        {kQ, get("2"), 2},
        {kR, ok("2", 2)}}},
      {"body and next head in one operation",
       {{kQ, "POST /1 HTTP/1.1\r\nContent-Length: 5\r\n\r\n01", 1},
        {kQ, "234" + get("2"), 1},
        {kR, ok("1", 2)},
        {kR, ok("2", 2)}}},
  };
  return kAll;
}

}  // namespace zerospan::protocols::http1
