// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/http2/testing.h"

#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

namespace zerospan::protocols::http2 {
namespace {

model::Connection make_connection(model::Role role, bool seen_from_start) {
  model::Connection connection;
  connection.id = 1;
  connection.role = role;
  connection.seen_from_start = seen_from_start;
  return connection;
}

uint8_t* octets(const std::string& text) {
  // The encoder's interface lacks the const.
  return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(text.data()));
}

std::string u32(uint32_t value) {
  return {static_cast<char>(value >> 24U), static_cast<char>(value >> 16U),
          static_cast<char>(value >> 8U), static_cast<char>(value)};
}

}  // namespace

Encoder::Encoder(size_t table_bytes) {
  nghttp2_hd_deflate_new(&deflater_, table_bytes);
}

Encoder::~Encoder() {
  nghttp2_hd_deflate_del(deflater_);
}

std::string Encoder::encode(const Fields& fields) {
  std::vector<nghttp2_nv> list;
  list.reserve(fields.size());
  for (const auto& [name, value] : fields) {
    list.push_back({octets(name), octets(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
  }
  std::string block(nghttp2_hd_deflate_bound(deflater_, list.data(), list.size()), '\0');
  const ssize_t size =
      nghttp2_hd_deflate_hd(deflater_, octets(block), block.size(), list.data(), list.size());
  EXPECT_GE(size, 0);
  block.resize(static_cast<size_t>(size));
  return block;
}

void Encoder::resize(size_t table_bytes) {
  nghttp2_hd_deflate_change_table_size(deflater_, table_bytes);
}

std::string frame(FrameType type, uint8_t flags, uint32_t stream, std::string_view payload) {
  std::string bytes = u32(static_cast<uint32_t>(payload.size())).substr(1);
  bytes.push_back(static_cast<char>(type));
  bytes.push_back(static_cast<char>(flags));
  return bytes.append(u32(stream)).append(payload);
}

std::string join(std::initializer_list<std::string> frames) {
  std::string bytes;
  for (const std::string& one : frames) {
    bytes += one;
  }
  return bytes;
}

std::string grpc_message(size_t length, bool compressed) {
  return std::string(1, compressed ? '\1' : '\0') + u32(static_cast<uint32_t>(length)) +
         std::string(length, 'm');
}

Script::Script() = default;

std::string Script::preface() {
  return std::string(kPreface) + settings({{3, 100}, {4, 65535}});
}

std::string Script::settings(const std::vector<std::pair<uint16_t, uint32_t>>& values) {
  std::string payload;
  for (const auto& [id, value] : values) {
    payload += u32(id).substr(2) + u32(value);
  }
  return frame(FrameType::kSettings, 0, 0, payload);
}

std::string Script::headers(From from, uint32_t stream, const Fields& fields, bool end) {
  return frame(FrameType::kHeaders, end ? kEndHeaders | kEndStream : kEndHeaders, stream,
               encoder(from).encode(fields));
}

std::string Script::request(uint32_t stream, std::string_view id, bool end, const Fields& more) {
  Fields fields = {{":method", end ? "GET" : "POST"}, {":scheme", "http"},
                   {":authority", "shop.test:8080"},  {":path", "/" + std::string(id)},
                   {"user-agent", "test/1"},          {"x-id", std::string(id)}};
  fields.insert(fields.end(), more.begin(), more.end());
  return headers(From::kRequester, stream, fields, end);
}

std::string Script::response(uint32_t stream, std::string_view id, bool end,
                             std::string_view status, const Fields& more) {
  Fields fields = {{":status", std::string(status)}, {"server", "test"}, {"x-id", std::string(id)}};
  fields.insert(fields.end(), more.begin(), more.end());
  return headers(From::kResponder, stream, fields, end);
}

std::string Script::data(uint32_t stream, std::string_view bytes, bool end, size_t padding) {
  const auto flags = static_cast<uint8_t>((end ? kEndStream : 0) | (padding != 0 ? kPadded : 0));
  std::string payload;
  if (padding != 0) {
    payload.push_back(static_cast<char>(padding));
  }
  payload.append(bytes).append(padding, '\0');
  return frame(FrameType::kData, flags, stream, payload);
}

std::string Script::reset(uint32_t stream, uint32_t code) {
  return frame(FrameType::kRstStream, 0, stream, u32(code));
}

std::string Script::goaway(uint32_t last_stream, uint32_t code) {
  return frame(FrameType::kGoaway, 0, 0, u32(last_stream) + u32(code) + "bye");
}

std::string Script::split_headers(From from, uint32_t stream, const Fields& fields, bool end,
                                  size_t part) {
  const std::string block = encoder(from).encode(fields);
  std::string payload =
      std::string(1, '\7') + u32(0) + "\x10" + block.substr(0, part) + std::string(7, '\0');
  const bool one = block.size() <= part;
  auto flags = static_cast<uint8_t>(kPadded | kPriorityFields | (end ? kEndStream : 0));
  std::string bytes = frame(FrameType::kHeaders,
                            static_cast<uint8_t>(flags | (one ? kEndHeaders : 0)), stream, payload);
  for (size_t at = part; at < block.size(); at += part) {
    flags = at + part >= block.size() ? kEndHeaders : 0;
    bytes += frame(FrameType::kContinuation, flags, stream, block.substr(at, part));
  }
  return bytes;
}

std::string Script::push_promise(uint32_t stream, uint32_t promised, const Fields& fields) {
  return frame(FrameType::kPushPromise, kEndHeaders, stream,
               u32(promised) + encoder(From::kResponder).encode(fields));
}

void Script::say(From from, std::string bytes, uint64_t request_id) {
  says_.push_back({from, std::move(bytes), request_id});
}

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
  gaps.push_back(counters.gaps);
}

Player::Player(model::Role role, bool seen_from_start, const Options& options)
    : connection(make_connection(role, seen_from_start), options, &counters), role_(role) {}

model::Direction Player::direction(From from) const {
  return (role_ == model::Role::kServer) == (from == From::kRequester) ? model::Direction::kReceive
                                                                       : model::Direction::kSend;
}

Verdict Player::play(model::Chunk chunk, From from) {
  now += 1000;
  chunk.direction = direction(from);
  chunk.time_ns = now;
  chunk.departed_ns = chunk.direction == model::Direction::kSend ? now - 100 : now;
  chunk.thread_id = 7;
  uint64_t& offset = offsets_[static_cast<size_t>(from)];
  chunk.offset = offset;
  chunk.opposite_offset = offsets_[from == From::kRequester ? 1 : 0];
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

Verdict Player::say_cut(From from, std::string_view bytes, size_t head) {
  model::Chunk chunk;
  chunk.length = static_cast<uint32_t>(bytes.size());
  chunk.head = bytes.substr(0, head);
  return play(chunk, from);
}

void Player::lose(From from, uint64_t length) {
  now += 1000;
  offsets_[static_cast<size_t>(from)] += length;
}

Verdict Player::close(model::CloseKind kind) {
  now += 1000;
  model::Closed closed{kind, now};
  const bool server = role_ == model::Role::kServer;
  closed.receive_offset = offsets_[server ? 0 : 1];
  closed.send_offset = offsets_[server ? 1 : 0];
  return connection.on_close(closed, sink);
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

const model::Exchange& Player::of(std::string_view id) const {
  static const model::Exchange kNone;
  for (const model::Exchange& exchange : sink.exchanges) {
    if (http(exchange).target == "/" + std::string(id)) {
      return exchange;
    }
  }
  ADD_FAILURE() << "no exchange of " << id;
  return kNone;
}

std::string describe(const model::Exchange& exchange) {
  const model::HttpExchange& http = Player::http(exchange);
  std::string text = exchange.role == model::Role::kServer ? "server " : "client ";
  text += http.scheme + " " + http.method + " " + http.target + " -> " +
          std::to_string(http.status) + " sizes " + std::to_string(http.request_body_size) +
          (http.request_body_size_exact ? " " : "~ ") + std::to_string(http.response_body_size) +
          (http.response_body_size_exact ? "" : "~") + " outcome " +
          std::to_string(static_cast<int>(exchange.outcome)) + " incomplete " +
          std::to_string(exchange.incomplete) + " id " + std::to_string(exchange.request_id) +
          " answered " + std::to_string(static_cast<int>(exchange.response_start_ns != 0));
  if (http.reset) {
    text += " reset " + std::to_string(http.reset->code) +
            (http.reset->by_requester ? " by requester" : " by responder");
  }
  if (http.grpc) {
    const auto messages = [](const model::GrpcMessages& of) {
      return std::to_string(of.count) + (of.exact ? "" : "~") + (of.compressed ? "z" : "");
    };
    text += " grpc " + (http.grpc->status ? std::to_string(*http.grpc->status) : "-") + " '" +
            http.grpc->message + "' " + messages(http.grpc->requests) + " " +
            messages(http.grpc->responses) + " timeout " +
            std::to_string(http.grpc->timeout_ns.value_or(0));
  }
  for (const model::HeaderBlock* block : {&http.request_headers, &http.response_headers}) {
    text += " |";
    for (size_t i = 0; i < block->size(); ++i) {
      text += " " + std::string((*block)[i].name) + "=" + std::string((*block)[i].value);
    }
  }
  return text;
}

}  // namespace zerospan::protocols::http2
