// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Plays arbitrary bytes to a connection as operations of both directions, with cuts, gaps, closes
// and late sends. Input: one byte of settings, then operations of a control byte, a size byte and
// that many bytes. A text corpus works too: its bytes become whatever operations they spell.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string_view>

#include "agent/protocols/http1/connection.h"
#include "agent/protocols/http1/detect.h"

namespace {

using namespace zerospan;             // NOLINT(google-build-using-namespace)
using namespace zerospan::protocols;  // NOLINT(google-build-using-namespace)

void require(bool holds, const char* what) {
  if (!holds) {
    std::fprintf(stderr, "broken: %s\n", what);
    std::abort();
  }
}

class Checker : public ExchangeSink {
 public:
  void on_request(const RequestStart& start) override {
    require(start.sequence == next_++, "on_request in sequence");
    require(start.http != nullptr && !start.http->method.empty(), "a request has a method");
    open_.insert(start.sequence);
  }
  void on_exchange(model::Exchange&& exchange) override {
    require(open_.erase(exchange.sequence) == 1, "on_exchange once, after on_request");
    const auto& http = std::get<model::HttpExchange>(exchange.payload);
    require(exchange.outcome != model::Outcome::kNoResponse || http.status == 0,
            "no response has no status");
    require(http.request_body_start.size() <= http1::Body::kMostKept &&
                http.response_body_start.size() <= http1::Body::kMostKept,
            "bounded beginnings");
    for (const model::HeaderBlock* block : {&http.request_headers, &http.response_headers}) {
      for (size_t i = 0; i < block->size(); ++i) {
        total_ += (*block)[i].name.size() + (*block)[i].value.size();
      }
    }
    if (exchange.sequence % 2 == 0) {
      const model::Exchange taken = std::move(exchange);
      total_ += taken.sequence;
    }
  }
  [[nodiscard]] bool all_closed() const { return open_.empty(); }

 private:
  uint64_t next_ = 0;
  uint64_t total_ = 0;
  std::set<uint64_t> open_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  if (input.empty()) {
    return 0;
  }
  const auto settings = static_cast<uint8_t>(input.front());
  input.remove_prefix(1);
  http1::Options options;
  options.max_head_bytes = (settings & 1) != 0 ? 256 : 16 * 1024;
  options.max_outstanding = (settings & 2) != 0 ? 4 : 256;
  options.max_memory_bytes = (settings & 4) != 0 ? 4096 : 256 * 1024;
  model::Connection facts;
  facts.seen_from_start = (settings & 8) == 0;
  facts.role = static_cast<model::Role>((settings >> 4) % 3);

  ParserCounters counters;
  Checker sink;
  http1::Connection connection(facts, options, &counters);
  uint64_t offsets[2] = {0, 0};
  // How far a stream had come, as the other's records tell: nothing, the truth, or a lie.
  const auto told = [&](size_t side) {
    return (settings & 0x40) != 0 ? offsets[side] : (settings & 0x80) != 0 ? uint64_t{settings} : 0;
  };
  uint64_t now = 1;
  bool opaque = false;
  while (input.size() >= 2) {
    const auto control = static_cast<uint8_t>(input[0]);
    const auto length = static_cast<uint8_t>(input[1]);
    input.remove_prefix(2);
    const std::string_view bytes = input.substr(0, length);
    input.remove_prefix(bytes.size());
    const size_t side = control & 1;
    now += 10;
    if ((control & 0xf0) == 0xf0) {
      opaque |= connection.on_close(model::Closed{static_cast<model::CloseKind>(control & 3), now,
                                                  told(0), told(1)},
                                    sink) == Verdict::kOpaque;
      continue;
    }
    if ((control & 0x0e) == 0x0e) {
      offsets[side] += length;  // lost
      continue;
    }
    model::Chunk chunk;
    chunk.direction = static_cast<model::Direction>(side);
    chunk.offset = offsets[side];
    chunk.opposite_offset = told(1 - side);
    chunk.length = static_cast<uint32_t>(bytes.size());
    chunk.head = bytes;
    if ((control & 0x0e) == 0x0c) {  // a hole in the middle
      chunk.head = bytes.substr(0, bytes.size() / 2);
      chunk.tail = bytes.substr(bytes.size() / 2);
      chunk.length += 1U << (control >> 4);
    } else if ((control & 0x0e) == 0x0a) {  // lengths only
      chunk.head = {};
    } else if ((control & 0x0e) == 0x08) {  // head and tail without a hole
      chunk.head = bytes.substr(0, bytes.size() / 3);
      chunk.tail = bytes.substr(bytes.size() / 3);
    }
    offsets[side] += chunk.length;
    chunk.time_ns = now;
    chunk.departed_ns = (control & 0x10) != 0 ? now - 15 : now;
    chunk.request_id = control >> 5;
    (void)http1::detect(chunk.direction, bytes);
    const Verdict verdict = connection.on_chunk(chunk, sink);
    require(!opaque || verdict == Verdict::kOpaque, "opaque for good");
    opaque = verdict == Verdict::kOpaque;
    require(connection.memory_bytes() < options.max_memory_bytes + 16 * options.max_head_bytes +
                                            options.max_outstanding * 2048 + 4096,
            "bounded memory");
  }
  connection.finish(now + 10, sink);
  require(opaque || sink.all_closed(), "finish gives out everything");
  return 0;
}
