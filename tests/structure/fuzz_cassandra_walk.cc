// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The kernel's walk over Cassandra's frames, over arbitrary operations. Input: operations of a
// control byte (bit 0 the direction, bit 1: not readable), two size bytes and that many bytes. It
// must stay within the operation, come to its end, and the parser must take what it captures.

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "agent/protocols/cassandra/connection.h"
#include "bpf/lib/frame_cassandra.h"

namespace {

using namespace zerospan;             // NOLINT(google-build-using-namespace)
using namespace zerospan::protocols;  // NOLINT(google-build-using-namespace)

void require(bool holds, const char* what) {
  if (!holds) {
    std::fprintf(stderr, "broken: %s\n", what);
    std::abort();
  }
}

class NullSink : public ExchangeSink {
 public:
  void on_request(const RequestStart& /*start*/) override {}
  void on_exchange(model::Exchange&& /*exchange*/) override {}
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  std::array<zs_frame_walk, 2> walks{};
  zs_frame_follow(&walks[0], 0);
  zs_frame_follow(&walks[1], 0);
  model::Connection facts;
  facts.seen_from_start = true;
  ParserCounters counters;
  NullSink sink;
  Shared shared;
  cassandra::Connection connection(facts, {}, &counters, &shared);
  uint64_t offsets[2] = {0, 0};
  while (input.size() >= 3) {
    const auto control = static_cast<uint8_t>(input[0]);
    const size_t length =
        static_cast<size_t>(static_cast<uint8_t>(input[1]) << 8U | static_cast<uint8_t>(input[2]));
    input.remove_prefix(3);
    const std::string_view bytes = input.substr(0, length);
    input.remove_prefix(bytes.size());
    const size_t side = control & 1;
    zs_frame_walk& walk = walks[side];
    if ((control & 2) != 0) {
      zs_frame_missed(&walk, static_cast<__u32>(bytes.size()));
      offsets[side] += bytes.size();
      continue;
    }
    size_t begin = 0;
    size_t captured = 0;
    const auto flush = [&](size_t end) {
      if (end == begin) {
        return;
      }
      model::Chunk chunk;
      chunk.direction = static_cast<model::Direction>(side);
      chunk.offset = offsets[side];
      chunk.length = static_cast<uint32_t>(end - begin);
      chunk.head = bytes.substr(begin, captured);
      offsets[side] += end - begin;
      begin = end;
      captured = 0;
      (void)connection.on_chunk(chunk, sink);
    };
    zs_frame_begin(&walk);
    size_t position = 0;
    for (size_t steps = 0; position < bytes.size(); ++steps) {
      require(steps <= 2 * bytes.size() + 2, "it comes to the end");
      const __u32 count = zs_cassandra_wanted(&walk, static_cast<__u32>(bytes.size() - position));
      const auto* at = reinterpret_cast<const __u8*>(bytes.data()) + position;
      const __u32 kept = zs_cassandra_captured(&walk, at, count);
      require(kept <= count, "no more is kept than was read");
      captured += kept;
      position += kept;
      if (walk.followed == ZS_FRAME_LOST) {
        break;
      }
      const __u32 skipped = zs_frame_skipped(&walk, static_cast<__u32>(bytes.size() - position));
      position += skipped;
      require(position <= bytes.size(), "within the operation");
      require(captured + begin <= position, "captured bytes are of the stretch");
      if (skipped != 0) {
        flush(position);
      }
    }
    if (position < bytes.size()) {
      zs_frame_lose(&walk);
    }
    flush(bytes.size());
    require(walk.keep + walk.skip <= ZS_CASSANDRA_LARGEST, "within a body");
  }
  connection.finish(1, sink);
  return 0;
}
