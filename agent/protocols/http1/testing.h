// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Scripted conversations for the parser's tests: what the two sides said, cut into operations and
// played to a Connection in either role.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/protocols/http1/connection.h"

namespace zerospan::protocols::http1 {

enum class From : uint8_t { kRequester, kResponder };

// One operation of a conversation.
struct Say {
  From from = From::kRequester;
  std::string bytes;
  uint64_t request_id = 0;
};
using Conversation = std::vector<Say>;

// Keeps all exchanges, and checks the order of the sink's calls.
class Recorder : public ExchangeSink {
 public:
  void on_request(const RequestStart& start) override;
  void on_exchange(model::Exchange&& exchange) override;

  std::vector<model::Exchange> exchanges;
  std::vector<std::string> starts;  // "method target" in the order of on_request
  std::map<uint64_t, int> open;     // on_request without on_exchange, by sequence
  std::vector<std::string> violations;
};

// Plays operations at 1000 ns, 2000 ns, ...; a send departed 100 ns before its end.
class Player {
 public:
  explicit Player(model::Role role, bool seen_from_start = true, Options options = {});

  // Everything captured.
  Verdict say(From from, std::string_view bytes, uint64_t request_id = 0);
  // Only the first and the last bytes captured.
  Verdict say_cut(From from, std::string_view bytes, size_t head, size_t tail);
  // A record that was lost: the next one of that side has a jump.
  void lose(From from, uint64_t length);
  // As say(), but it departed before all that was played since `departed_ns`.
  Verdict say_late(From from, std::string_view bytes, uint64_t departed_ns);
  Verdict close(model::CloseKind kind);
  void finish();

  [[nodiscard]] model::Direction direction(From from) const;
  // The only exchange, or a test failure.
  [[nodiscard]] const model::Exchange& only() const;
  [[nodiscard]] static const model::HttpExchange& http(const model::Exchange& exchange) {
    return std::get<model::HttpExchange>(exchange.payload);
  }

  uint64_t now = 0;
  ParserCounters counters;
  Recorder sink;
  Connection connection;

 private:
  Verdict play(model::Chunk chunk, From from);

  model::Role role_;
  uint64_t offsets_[2] = {0, 0};
};

// All of an exchange but its times, one line; two are equal if their descriptions are.
[[nodiscard]] std::string describe(const model::Exchange& exchange);

[[nodiscard]] std::string get(std::string_view id, std::string_view fields = "");
// A response with an "x-id" field and a body of that length.
[[nodiscard]] std::string ok(std::string_view id, size_t length);

// The corpus of the property tests: every framing, each with ids in targets and in "x-id" fields.
struct NamedConversation {
  std::string name;
  Conversation says;
  bool reset = false;  // else closed in order
  // The requester sends on before it has read all answers, and not in batches. If that cannot be
  // seen before several operations are lost, it is past the parser's guarantee (README.md).
  bool interleaved = false;
};
[[nodiscard]] const std::vector<NamedConversation>& conversations();

}  // namespace zerospan::protocols::http1
