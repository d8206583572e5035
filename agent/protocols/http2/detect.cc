// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/http2/detect.h"

#include <algorithm>

#include "agent/protocols/http2/frame.h"

namespace zerospan::protocols::http2 {

bool detect(model::Direction /*direction*/, std::string_view first_bytes) {
  constexpr size_t kLeast = 4;  // "PR" may become an HTTP/1 method
  const size_t compared = std::min(first_bytes.size(), kPreface.size());
  if (compared >= kLeast && first_bytes.substr(0, compared) == kPreface.substr(0, compared)) {
    return true;
  }
  if (!starts_with_frames(first_bytes, kDefaultMaxFrameSize)) {
    return false;
  }
  const FrameHeader first = parse_frame_header(first_bytes);
  // Streams of clients have odd numbers (section 5.1.1); those of servers are push, which hardly
  // anything uses.
  const bool usual_stream = first.stream_id == 0 || first.stream_id % 2 == 1;
  switch (first.type) {
    case FrameType::kData:
    case FrameType::kContinuation:
    case FrameType::kPushPromise:
    case FrameType::kPriority:
      return false;
    case FrameType::kSettings:
    case FrameType::kPing:
    case FrameType::kGoaway:
      return true;
    case FrameType::kHeaders:
    case FrameType::kRstStream:
    case FrameType::kWindowUpdate:
      return usual_stream;
  }
  return false;
}

}  // namespace zerospan::protocols::http2
