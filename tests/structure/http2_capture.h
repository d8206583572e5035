// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What the kernel side does with one direction of an HTTP/2 connection, on the host: the walker of
// bpf/lib/frame_http2.h over whole operations, its captured ranges as chunks for the parser.
#pragma once

#include <string_view>
#include <vector>

#include "agent/model/connection.h"
#include "bpf/lib/frame_http2.h"

namespace zerospan::tests {

struct Http2Capture {
  zs_frame_walk walk{};

  // Chunks without offset and time; their views point into `bytes`. Adjacent ranges are one chunk,
  // and what was passed over is the uncaptured end of the chunk before it.
  std::vector<model::Chunk> capture(std::string_view bytes) {
    std::vector<model::Chunk> chunks(1);
    const auto end = static_cast<__u32>(bytes.size());
    __u32 position = 0;
    zs_frame_begin(&walk);
    for (__u32 i = 0; i < ZS_FRAME_STEPS_MAX && position < end; ++i) {
      const __u32 count = zs_http2_wanted(&walk, end - position);
      const auto* const at = reinterpret_cast<const __u8*>(bytes.data()) + position;
      add(chunks, bytes.substr(position, count));
      position += count;
      if (!zs_http2_captured(&walk, at, count)) {
        break;
      }
      // The kernel side has more bytes at hand in some steps, and none in others.
      const __u32 payload = zs_http2_payload(&walk, i % 2 == 0 ? 0 : end - position);
      add(chunks, bytes.substr(position, payload));
      position += payload;
      const __u32 skipped = zs_frame_skipped(&walk, end - position);
      chunks.back().length += skipped;
      position += skipped;
    }
    if (position < end) {
      zs_frame_lose(&walk);
      chunks.back().length += end - position;
    }
    return chunks;
  }

 private:
  static void add(std::vector<model::Chunk>& chunks, std::string_view bytes) {
    if (bytes.empty()) {
      return;
    }
    if (chunks.back().length != chunks.back().head.size()) {
      chunks.emplace_back();
    }
    model::Chunk& chunk = chunks.back();
    chunk.head = chunk.head.empty()
                     ? bytes
                     : std::string_view(chunk.head.data(), chunk.head.size() + bytes.size());
    chunk.length += static_cast<uint32_t>(bytes.size());
  }
};

}  // namespace zerospan::tests
