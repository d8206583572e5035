// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Scripted conversations for the parser's tests, with header blocks made by nghttp2's encoder, and
// a player of their operations in either role.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/protocols/http2/connection.h"

struct nghttp2_hd_deflater;

namespace zerospan::protocols::http2 {

using Fields = std::vector<std::pair<std::string, std::string>>;

// nghttp2's HPACK encoder.
class Encoder {
 public:
  explicit Encoder(size_t table_bytes = 4096);
  ~Encoder();
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  [[nodiscard]] std::string encode(const Fields& fields);
  // The next block says so.
  void resize(size_t table_bytes);

 private:
  nghttp2_hd_deflater* deflater_ = nullptr;
};

[[nodiscard]] std::string frame(FrameType type, uint8_t flags, uint32_t stream,
                                std::string_view payload);
// A gRPC message of that length behind its prefix.
[[nodiscard]] std::string grpc_message(size_t length, bool compressed = false);

// Frames one after the other. Braces, because the order in which blocks are encoded matters.
[[nodiscard]] std::string join(std::initializer_list<std::string> frames);

enum class From : uint8_t { kRequester, kResponder };

// One operation of a conversation.
struct Say {
  From from = From::kRequester;
  std::string bytes;
  uint64_t request_id = 0;
};
using Conversation = std::vector<Say>;

// Writes a conversation: each call gives the bytes of frames, and say() makes operations of them.
class Script {
 public:
  Script();

  [[nodiscard]] std::string preface();  // with SETTINGS
  [[nodiscard]] std::string settings(const std::vector<std::pair<uint16_t, uint32_t>>& values = {});
  // HEADERS of a request for "/<id>" with an "x-id" field; `more` in addition.
  [[nodiscard]] std::string request(uint32_t stream, std::string_view id, bool end,
                                    const Fields& more = {});
  // HEADERS of a response with an "x-id" field.
  [[nodiscard]] std::string response(uint32_t stream, std::string_view id, bool end,
                                     std::string_view status = "200", const Fields& more = {});
  [[nodiscard]] std::string headers(From from, uint32_t stream, const Fields& fields, bool end);
  [[nodiscard]] static std::string data(uint32_t stream, std::string_view bytes, bool end,
                                        size_t padding = 0);
  [[nodiscard]] static std::string reset(uint32_t stream, uint32_t code);
  [[nodiscard]] static std::string goaway(uint32_t last_stream, uint32_t code);
  // A block in HEADERS and CONTINUATION of `part` bytes, with padding and priority.
  [[nodiscard]] std::string split_headers(From from, uint32_t stream, const Fields& fields,
                                          bool end, size_t part);
  [[nodiscard]] std::string push_promise(uint32_t stream, uint32_t promised, const Fields& fields);

  void say(From from, std::string bytes, uint64_t request_id = 0);
  [[nodiscard]] const Conversation& says() const { return says_; }
  [[nodiscard]] Encoder& encoder(From from) {
    return from == From::kRequester ? requester_ : responder_;
  }

 private:
  Encoder requester_;
  Encoder responder_;
  Conversation says_;
};

// Keeps all exchanges, and checks the order of the sink's calls.
class Recorder : public ExchangeSink {
 public:
  void on_request(const RequestStart& start) override;
  void on_exchange(model::Exchange&& exchange) override;

  explicit Recorder(const ParserCounters& parser_counters) : counters(parser_counters) {}

  const ParserCounters& counters;
  std::vector<model::Exchange> exchanges;
  std::vector<uint64_t> gaps;       // ParserCounters::gaps when the exchange was told
  std::vector<std::string> starts;  // "method target" in the order of on_request
  std::map<uint64_t, int> open;     // on_request without on_exchange, by sequence
  std::vector<std::string> violations;
};

// Plays operations at 1000 ns, 2000 ns, ...; a send departed 100 ns before its end.
class Player {
 public:
  explicit Player(model::Role role, bool seen_from_start = true, const Options& options = {});

  Verdict say(From from, std::string_view bytes, uint64_t request_id = 0);
  // Only the first bytes captured.
  Verdict say_cut(From from, std::string_view bytes, size_t head);
  // A record that was lost: the next one of that side has a jump.
  void lose(From from, uint64_t length);
  Verdict close(model::CloseKind kind);
  void finish();
  Verdict play(model::Chunk chunk, From from);

  [[nodiscard]] model::Direction direction(From from) const;
  // The only exchange, or a test failure.
  [[nodiscard]] const model::Exchange& only() const;
  [[nodiscard]] static const model::HttpExchange& http(const model::Exchange& exchange) {
    return std::get<model::HttpExchange>(exchange.payload);
  }
  // The exchange whose target is "/<id>", or a test failure.
  [[nodiscard]] const model::Exchange& of(std::string_view id) const;

  uint64_t now = 0;
  ParserCounters counters;
  Recorder sink{counters};
  Connection connection;

 private:
  model::Role role_;
  uint64_t offsets_[2] = {0, 0};
};

// All of an exchange but its times, one line; two are equal if their descriptions are.
[[nodiscard]] std::string describe(const model::Exchange& exchange);

struct NamedConversation {
  std::string name;
  Conversation says;
  bool reset = false;  // else closed in order
};
// The corpus of the property tests, with ids in targets and in "x-id" fields.
[[nodiscard]] const std::vector<NamedConversation>& conversations();

}  // namespace zerospan::protocols::http2
