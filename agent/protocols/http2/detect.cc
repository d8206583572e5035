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
  return starts_with_frames(first_bytes, kDefaultMaxFrameSize);
}

}  // namespace zerospan::protocols::http2
