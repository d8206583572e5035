// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/http1/body.h"

#include <algorithm>
#include <cstring>

namespace zerospan::protocols::http1 {
namespace {

constexpr uint8_t kMaxSizeDigits = 15;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// The rest of `bytes` from `from` up to and with the next line feed; all of it if there is none.
size_t past_line_feed(std::string_view bytes, size_t from, bool& found) {
  const size_t at = bytes.find('\n', from);
  found = at != std::string_view::npos;
  return found ? at + 1 : bytes.size();
}

}  // namespace

void Body::begin(Kind kind, uint64_t content_length) {
  kind_ = kind;
  remaining_ = content_length;
  size_ = 0;
  keeping_ = false;
  exact_ = kind != Kind::kUnknown;
  digits_ = 0;
  done_ = kind == Kind::kNone || (kind == Kind::kLength && content_length == 0);
  step_ = kind == Kind::kChunked   ? Step::kSizeFirst
          : kind == Kind::kUnknown ? Step::kLost
                                   : Step::kData;
}

void Body::lose() {
  step_ = Step::kLost;
  exact_ = false;
  keeping_ = false;
}

void Body::keep(std::string_view data, std::string* start) {
  if (!keeping_) {
    return;
  }
  keeping_ = start != nullptr && start->size() + data.size() < kMostKept;
  if (start != nullptr) {
    start->append(data.substr(0, kMostKept - std::min(start->size(), kMostKept)));
  }
}

uint64_t Body::pass(uint64_t count) {
  const uint64_t taken = std::min(count, remaining_);
  remaining_ -= taken;
  size_ += taken;
  done_ = remaining_ == 0;
  return taken;
}

size_t Body::feed(std::string_view bytes, std::string* start) {
  if (done_) {
    return 0;
  }
  if (step_ == Step::kLost || kind_ == Kind::kUntilClose) {
    keep(bytes, start);
    size_ += bytes.size();
    return bytes.size();
  }
  if (kind_ == Kind::kChunked) {
    return feed_chunked(bytes, start);
  }
  const auto taken = static_cast<size_t>(pass(bytes.size()));
  keep(bytes.substr(0, taken), start);
  return taken;
}

uint64_t Body::skip(uint64_t count) {
  if (done_ || count == 0) {
    return 0;
  }
  keeping_ = false;
  if (kind_ == Kind::kLength) {
    return pass(count);
  }
  if (kind_ == Kind::kChunked && step_ != Step::kLost) {
    // Within one chunk's data nothing is missed; anything more may have held a chunk's size.
    if (step_ == Step::kData && count <= remaining_) {
      remaining_ -= count;
      if (remaining_ == 0) {
        step_ = Step::kDataEnd;
      }
    } else {
      lose();
    }
  }
  size_ += count;
  return count;
}

size_t Body::feed_chunked(std::string_view bytes, std::string* start) {
  size_t at = 0;
  while (at < bytes.size()) {
    const char c = bytes[at];
    bool line_feed = false;
    switch (step_) {
      case Step::kSizeFirst:
        remaining_ = 0;
        digits_ = 0;
        step_ = Step::kSize;
        break;
      case Step::kSize: {
        const int digit = hex_digit(c);
        if (digit >= 0 && digits_ < kMaxSizeDigits) {
          remaining_ = remaining_ * 16 + static_cast<uint64_t>(digit);
          ++digits_;
          ++at;
        } else if (digits_ > 0 && (c == ';' || c == ' ' || c == '\t' || c == '\r' || c == '\n')) {
          step_ = Step::kExtension;
        } else {
          lose();
        }
        break;
      }
      case Step::kExtension:
        at = past_line_feed(bytes, at, line_feed);
        if (line_feed) {
          step_ = remaining_ == 0 ? Step::kTrailerStart : Step::kData;
        }
        break;
      case Step::kData: {
        const uint64_t taken = std::min<uint64_t>(remaining_, bytes.size() - at);
        keep(bytes.substr(at, static_cast<size_t>(taken)), start);
        remaining_ -= taken;
        size_ += taken;
        at += static_cast<size_t>(taken);
        if (remaining_ == 0) {
          step_ = Step::kDataEnd;
        }
        break;
      }
      case Step::kDataEnd:
        if (c == '\n') {
          step_ = Step::kSizeFirst;
          ++at;
        } else if (c == '\r' && digits_ != 0) {
          digits_ = 0;  // one carriage return may come before the line feed
          ++at;
        } else {
          lose();
        }
        break;
      case Step::kTrailerStart:
        if (c == '\n') {
          done_ = true;
          return at + 1;
        }
        if (c != '\r') {
          step_ = Step::kTrailer;
        }
        ++at;
        break;
      case Step::kTrailer:
        at = past_line_feed(bytes, at, line_feed);
        if (line_feed) {
          step_ = Step::kTrailerStart;
        }
        break;
      case Step::kLost:
        size_ += bytes.size() - at;
        return bytes.size();
    }
  }
  return at;
}

void Body::end_operation(std::string_view end, bool whole) {
  if (lost() && ends_with_last_chunk(end, whole)) {
    done_ = true;
  }
}

bool ends_with_last_chunk(std::string_view end, bool whole) {
  if (!end.ends_with("\r\n")) {
    return false;
  }
  end.remove_suffix(2);
  // Backwards over lines: the empty one is off, then any trailers, then "0".
  while (end.ends_with("\r\n")) {
    end.remove_suffix(2);
    const size_t before = end.rfind("\r\n");
    const bool at_start = before == std::string_view::npos;
    const std::string_view line = at_start ? end : end.substr(before + 2);
    if (line == "0") {
      return !at_start || whole;
    }
    const size_t colon = line.find(':');
    if (at_start || colon == std::string_view::npos || colon == 0 ||
        line.substr(0, colon).find_first_of(" \t\r\n") != std::string_view::npos) {
      return false;
    }
    end = end.substr(0, before + 2);
  }
  return false;
}

}  // namespace zerospan::protocols::http1
