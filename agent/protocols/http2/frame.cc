// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/http2/frame.h"

#include <algorithm>

namespace zerospan::protocols::http2 {
namespace {

uint32_t byte_at(std::string_view bytes, size_t at) {
  return static_cast<uint8_t>(bytes[at]);
}

}  // namespace

FrameHeader parse_frame_header(std::string_view bytes) {
  FrameHeader header;
  header.length = byte_at(bytes, 0) << 16U | byte_at(bytes, 1) << 8U | byte_at(bytes, 2);
  header.type = static_cast<FrameType>(bytes[3]);
  header.flags = static_cast<uint8_t>(bytes[4]);
  header.stream_id = (byte_at(bytes, 5) & 0x7fU) << 24U | byte_at(bytes, 6) << 16U |
                     byte_at(bytes, 7) << 8U | byte_at(bytes, 8);
  return header;
}

bool is_legal(const FrameHeader& header) {
  const bool on_stream = header.stream_id != 0;
  switch (header.type) {
    case FrameType::kData:
    case FrameType::kContinuation:
      return on_stream;
    case FrameType::kHeaders:
      return on_stream && header.length != 0;
    case FrameType::kPriority:
      return on_stream;  // of another length it is an error of the stream only (section 6.3)
    case FrameType::kRstStream:
      return on_stream && header.length == 4;
    case FrameType::kSettings:
      return !on_stream && (header.has(kEndStream) ? header.length == 0 : header.length % 6 == 0);
    case FrameType::kPushPromise:
      return on_stream && header.length > 4;
    case FrameType::kPing:
      return !on_stream && header.length == 8;
    case FrameType::kGoaway:
      return !on_stream && header.length >= 8;
    case FrameType::kWindowUpdate:
      return header.length == 4;
  }
  return true;
}

bool is_plausible(std::string_view header_bytes, uint32_t max_length) {
  const FrameHeader header = parse_frame_header(header_bytes);
  if ((byte_at(header_bytes, 5) & 0x80U) != 0 || header.length > max_length || !is_legal(header)) {
    return false;
  }
  uint8_t known = 0;
  switch (header.type) {
    case FrameType::kData:
      known = kEndStream | kPadded;
      break;
    case FrameType::kHeaders:
      known = kEndStream | kEndHeaders | kPadded | kPriorityFields;
      break;
    case FrameType::kPushPromise:
      known = kEndHeaders | kPadded;
      break;
    case FrameType::kSettings:
    case FrameType::kPing:
      known = kEndStream;
      break;
    case FrameType::kContinuation:
      known = kEndHeaders;
      break;
    case FrameType::kPriority:
      if (header.length != 5) {
        return false;
      }
      break;
    case FrameType::kRstStream:
    case FrameType::kGoaway:
    case FrameType::kWindowUpdate:
      break;
    default:
      return false;
  }
  return (header.flags & ~known) == 0;
}

bool starts_with_frames(std::string_view bytes, uint32_t max_length) {
  if (bytes.size() < kFrameHeaderBytes) {
    return false;
  }
  const FrameHeader first = parse_frame_header(bytes);
  if (first.type == FrameType::kData || first.type == FrameType::kPriority ||
      first.type == FrameType::kContinuation || first.type == FrameType::kPushPromise ||
      (first.stream_id != 0 && first.stream_id % 2 == 0)) {
    return false;
  }
  while (bytes.size() >= kFrameHeaderBytes) {
    if (!is_plausible(bytes.substr(0, kFrameHeaderBytes), max_length)) {
      return false;
    }
    const size_t length = kFrameHeaderBytes + parse_frame_header(bytes).length;
    bytes.remove_prefix(std::min(length, bytes.size()));
  }
  return true;
}

std::optional<std::string_view> find_fragment(const FrameHeader& header, std::string_view payload) {
  size_t end = header.length;  // of the fragment, in the whole payload
  size_t begin = 0;
  if (header.type != FrameType::kContinuation && header.has(kPadded)) {
    if (payload.empty()) {
      return payload;
    }
    const size_t padding = byte_at(payload, 0);
    if (padding >= header.length) {
      return std::nullopt;
    }
    end -= padding;
    begin = 1;
  }
  if (header.type == FrameType::kHeaders && header.has(kPriorityFields)) {
    begin += 5;
  } else if (header.type == FrameType::kPushPromise) {
    begin += 4;
  }
  if (begin > end) {
    return std::nullopt;
  }
  end = std::min(end, payload.size());
  return begin < end ? payload.substr(begin, end - begin) : std::string_view();
}

}  // namespace zerospan::protocols::http2
