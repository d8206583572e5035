// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What bpf/probes/propagate.bpf.c does with the bytes of one direction, on the host: the same
// steps, over operations that may be cut anywhere.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "bpf/lib/inject_http1.h"

namespace zerospan::structure {

inline constexpr std::string_view kInjected =
    "traceparent: 00-0123456789abcdef0123456789abcdef-0123456789abcdef-01\r\n";

class Http1Injector {
 public:
  // Gives out the operation with what is injected into it.
  std::string send(std::string_view operation) {
    std::string out(operation);
    if (walk_.off != ZS_HTTP1_ON) {
      return out;
    }
    size_t at = 0;
    while (at < out.size() && walk_.off == ZS_HTTP1_ON) {
      if (walk_.state == ZS_HTTP1_BODY) {
        const uint64_t count = std::min<uint64_t>(walk_.body_left, out.size() - at);
        zs_http1_skip(&walk_, count);
        at += count;
        continue;
      }
      if (at + 8 <= out.size() && zs_http1_passes(&walk_)) {
        __u64 word = 0;
        std::memcpy(&word, out.data() + at, sizeof(word));
        if (!zs_http1_ends_line(word)) {
          zs_http1_pass(&walk_, 8);
          at += 8;
          continue;
        }
      }
      const auto byte = static_cast<__u8>(out[at++]);
      if (zs_http1_step(&walk_, byte) == ZS_HTTP1_HEAD) {
        ++heads_;
        if ((walk_.flags & (ZS_HTTP1_TRACEPARENT | ZS_HTTP1_OTHER_CONTEXT | ZS_HTTP1_IS_CONNECT)) ==
                0 &&
            at >= 2) {
          out.insert(at - 2, kInjected);
          at += kInjected.size();
          ++injected_;
        }
      }
    }
    return out;
  }

  [[nodiscard]] const zs_http1_walk& walk() const { return walk_; }
  [[nodiscard]] size_t heads() const { return heads_; }
  [[nodiscard]] size_t injected() const { return injected_; }

 private:
  zs_http1_walk walk_{};
  size_t heads_ = 0;
  size_t injected_ = 0;
};

// The text without what was injected.
inline std::string without_injected(std::string text) {
  for (size_t at = text.find(kInjected); at != std::string::npos; at = text.find(kInjected, at)) {
    text.erase(at, kInjected.size());
  }
  return text;
}

}  // namespace zerospan::structure
