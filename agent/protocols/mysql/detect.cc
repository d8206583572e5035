// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/mysql/detect.h"

#include <algorithm>

#include "agent/protocols/mysql/packets.h"

namespace zerospan::protocols::mysql {
namespace {

constexpr uint32_t kLeastGreeting = 32;
constexpr uint32_t kMostGreeting = 255;

}  // namespace

bool detect(std::string_view first_bytes) {
  if (first_bytes.size() < kHeaderBytes) {
    return false;
  }
  const Header header = read_header(first_bytes);
  if (first_bytes.size() == kHeaderBytes) {
    // A client may read the greeting's header by itself; what follows will tell.
    return header.sequence == 0 && header.length >= kLeastGreeting &&
           header.length <= kMostGreeting;
  }
  const std::string_view body = first_bytes.substr(kHeaderBytes);
  if (header.sequence != 0 || header.length != body.size() || body.size() < 2) {
    return false;
  }
  if (is_greeting(body)) {
    return true;
  }
  switch (static_cast<uint8_t>(body[0])) {
    case kQuery:
    case kPrepare: {
      const std::string_view start = body.substr(1, 16);
      return std::all_of(start.begin(), start.end(), [](char c) {
        return (c >= ' ' && c != '\x7f') || c == '\n' || c == '\t' || c == '\r' || c < 0;
      });
    }
    case kExecute:
      // One iteration.
      return body.size() >= 10 && read_int(body.substr(6), 4) == 1;
    default:
      return false;
  }
}

}  // namespace zerospan::protocols::mysql
