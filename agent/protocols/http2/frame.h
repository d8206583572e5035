// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Frames of HTTP/2 (RFC 9113 sections 4.1 and 6). Pure functions over captured bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace zerospan::protocols::http2 {

enum class FrameType : uint8_t {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kRstStream = 3,
  kSettings = 4,
  kPushPromise = 5,
  kPing = 6,
  kGoaway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
};

enum FrameFlag : uint8_t {
  kEndStream = 0x01,  // DATA, HEADERS; ACK of SETTINGS and PING
  kEndHeaders = 0x04,
  kPadded = 0x08,
  kPriorityFields = 0x20,
};

struct FrameHeader {
  uint32_t length = 0;                // of the payload, at most 2^24-1
  FrameType type = FrameType::kData;  // may be a number that the RFC does not know
  uint8_t flags = 0;
  uint32_t stream_id = 0;  // without the reserved bit

  [[nodiscard]] bool has(FrameFlag flag) const { return (flags & flag) != 0; }
};

inline constexpr size_t kFrameHeaderBytes = 9;
inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";  // section 3.4
inline constexpr uint32_t kDefaultMaxFrameSize = 16384;                           // section 6.5.2

// `bytes` must have kFrameHeaderBytes.
[[nodiscard]] FrameHeader parse_frame_header(std::string_view bytes);

// Does the header keep the rules of section 6 that hold for every connection: fixed lengths, on a
// stream or on none? Anything else is a connection error, or no frame at all. Flags and types that
// the RFC does not know are ignored, as sections 4.1 and 5.5 want it.
[[nodiscard]] bool is_legal(const FrameHeader& header);

// Where a frame's beginning is only guessed: also a known type, no unknown flag, a length within
// `max_length`.
[[nodiscard]] bool is_plausible(std::string_view header_bytes, uint32_t max_length);

// May frames be followed from here on? `bytes` begin an operation. All frame headers that are there
// are plausible, and the first is of a kind that other bytes hardly look like: not DATA and the
// like: one byte too few or too many can make them of a message or of another frame's header, and
// not on a server's stream (section 5.1.1).
[[nodiscard]] bool starts_with_frames(std::string_view bytes, uint32_t max_length);

// The part of a header block that HEADERS, PUSH_PROMISE or CONTINUATION carries, without padding,
// priority and promised stream (sections 6.2, 6.6 and 6.10). `payload` may lack its end. nullopt:
// what is around it is longer than the payload.
[[nodiscard]] std::optional<std::string_view> find_fragment(const FrameHeader& header,
                                                            std::string_view payload);

}  // namespace zerospan::protocols::http2
