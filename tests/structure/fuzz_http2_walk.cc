// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The kernel side's frame walker over arbitrary operations. Input: operations of a control byte
// (bit 0 the direction, bit 1: not readable), two size bytes and that many bytes. It must stay
// within the operation, and the parser must take what it captures.

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "agent/protocols/http2/connection.h"
#include "tests/structure/http2_capture.h"

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
  std::array<tests::Http2Capture, 2> walks;
  zs_http2_start(&walks[0].walk, 1);
  zs_http2_start(&walks[1].walk, 0);
  model::Connection facts;
  facts.seen_from_start = true;
  ParserCounters counters;
  NullSink sink;
  http2::Connection connection(facts, {}, &counters);
  uint64_t offsets[2] = {0, 0};
  while (input.size() >= 3) {
    const auto control = static_cast<uint8_t>(input[0]);
    const size_t length =
        static_cast<size_t>(static_cast<uint8_t>(input[1]) << 8U | static_cast<uint8_t>(input[2]));
    input.remove_prefix(3);
    const std::string_view bytes = input.substr(0, length);
    input.remove_prefix(bytes.size());
    const size_t side = control & 1;
    zs_frame_walk& walk = walks[side].walk;
    if ((control & 2) != 0) {
      zs_frame_missed(&walk, static_cast<__u32>(bytes.size()));
      offsets[side] += bytes.size();
      continue;
    }
    uint64_t total = 0;
    for (model::Chunk& chunk : walks[side].capture(bytes)) {
      require(chunk.head.empty() ||
                  (chunk.head.data() >= bytes.data() &&
                   chunk.head.data() + chunk.head.size() <= bytes.data() + bytes.size()),
              "within the operation");
      require(chunk.head.size() <= chunk.length, "captured bytes are of the chunk");
      total += chunk.length;
      chunk.direction = static_cast<model::Direction>(side);
      chunk.offset = offsets[side];
      offsets[side] += chunk.length;
      (void)connection.on_chunk(chunk, sink);
    }
    require(total == bytes.size(), "every byte is accounted for");
    require(walk.header_count < ZS_HTTP2_HEADER_BYTES, "a whole header is used at once");
    require(uint64_t{walk.keep} + walk.skip < 1U << 24U, "within a frame");
  }
  connection.finish(1, sink);
  return 0;
}
