// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What the fuzz targets of parsers without heads and bodies do. Included by them only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/protocols/parser.h"

namespace zerospan::protocols::fuzzing {

class Sink final : public ExchangeSink {
 public:
  void on_request(const RequestStart& start) override {
    if (start.sequence != open_.size() ||
        (start.db == nullptr && start.messaging == nullptr && start.dns == nullptr)) {
      std::abort();
    }
    open_.push_back(true);
  }
  void on_exchange(model::Exchange&& exchange) override {
    if (exchange.sequence >= open_.size() || !open_[exchange.sequence]) {
      std::abort();
    }
    open_[exchange.sequence] = false;
  }
  [[nodiscard]] bool settled() const {
    return std::find(open_.begin(), open_.end(), true) == open_.end();
  }

 private:
  std::vector<bool> open_;
};

// Any operations on one connection: two bytes each tell direction, what is captured of it and what
// follows, and the length; then come its bytes. The sink's contract and the memory's bound must
// hold. `make` gives the parser for a model::Connection, which then begins.
template <typename Make>
int fuzz_connection(const uint8_t* data, size_t size, const Make& make) {
  if (size < 1) {
    return 0;
  }
  std::string_view input(reinterpret_cast<const char*>(data + 1), size - 1);
  model::Connection connection;
  connection.seen_from_start = (data[0] & 1U) != 0;
  connection.role = static_cast<model::Role>((data[0] >> 1U) % 3);
  auto parser = make(connection);
  Sink sink;
  uint64_t offsets[2] = {0, 0};
  uint64_t now = 1000;
  bool opaque = false;
  while (input.size() >= 2 && !opaque) {
    const auto control = static_cast<uint8_t>(input[0]);
    const size_t length = std::min<size_t>(static_cast<uint8_t>(input[1]), input.size() - 2);
    const std::string_view bytes = input.substr(2, length);
    input.remove_prefix(2 + length);
    now += 10;
    const unsigned way = control & 1U;
    model::Chunk chunk;
    chunk.direction = way != 0 ? model::Direction::kSend : model::Direction::kReceive;
    chunk.offset = offsets[way] + ((control & 2U) != 0 ? 100 : 0);
    const uint32_t hidden = (control & 4U) != 0 ? 5000 : 0;
    chunk.length = static_cast<uint32_t>(length) + hidden;
    chunk.head = hidden != 0 ? bytes.substr(0, length / 2) : bytes;
    chunk.tail = hidden != 0 ? bytes.substr(length / 2) : std::string_view();
    chunk.time_ns = now;
    chunk.departed_ns = (control & 8U) != 0 ? now - 15 : now;
    chunk.request_id = control;
    opaque = parser.on_chunk(chunk, sink) == Verdict::kOpaque;
    offsets[way] = chunk.offset + chunk.length;
    if (parser.memory_bytes() > (32U << 20U)) {
      std::abort();
    }
  }
  if (size % 2 == 0) {
    static_cast<void>(
        parser.on_close({model::CloseKind::kClosed, now, offsets[0], offsets[1]}, sink));
  }
  parser.finish(now, sink);
  if (!opaque && !sink.settled()) {
    std::abort();
  }
  return 0;
}

}  // namespace zerospan::protocols::fuzzing
