// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// One direction's bytes to frames (RFC 9113 section 4), over any split, with bytes missing. Frames
// whose place is known are believed; after a loss the next one is only guessed, at the beginning of
// an operation, and from then on every frame must look right.
//
// Owned by one connection, used by one thread. Total: any bytes. Holds at most one payload, of at
// most `max_payload` bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/protocols/http2/frame.h"

namespace zerospan::protocols::http2 {

class FrameHandler {
 public:
  virtual ~FrameHandler() = default;
  virtual void on_preface() = 0;
  // The first byte of a frame is in the operation that is being fed.
  virtual void on_frame_start() = 0;
  // A part of a DATA frame's data, without padding: `bytes`, or `missing` bytes that are not here.
  virtual void on_data(const FrameHeader& header, std::string_view bytes, uint64_t missing) = 0;
  // A frame's last byte went by. `payload` is what there is of the payload of HEADERS,
  // CONTINUATION, PUSH_PROMISE, RST_STREAM, GOAWAY and SETTINGS, and empty for all others; `cut`:
  // not all of it. False: this cannot have been a frame.
  virtual bool on_frame(const FrameHeader& header, std::string_view payload, bool cut) = 0;
  // Frames were lost: may the next one be on this stream? A header that is read one byte off has
  // another number in it.
  [[nodiscard]] virtual bool expects(uint32_t stream_id) const = 0;
  // Frames may have been missed; the next one's beginning is unknown.
  virtual void on_lost() = 0;
};

class FrameReader {
 public:
  // `seen_from_start`: the first byte is the connection's first in this direction.
  FrameReader(bool seen_from_start, size_t max_payload)
      : state_(seen_from_start ? State::kStart : State::kLost), max_payload_(max_payload) {}

  // `first`: the bytes begin an operation. Returns how many of them were part of no frame.
  size_t feed(std::string_view bytes, bool first, FrameHandler& handler);
  // Bytes that are not here.
  void skip(uint64_t count, FrameHandler& handler);

  // The other side has allowed frames of this length (SETTINGS_MAX_FRAME_SIZE, section 6.5.2).
  void allow(uint32_t max_length);

  [[nodiscard]] bool lost() const { return state_ == State::kLost; }
  [[nodiscard]] uint64_t frames() const { return frames_; }
  [[nodiscard]] uint64_t resyncs() const { return resyncs_; }
  [[nodiscard]] size_t memory_bytes() const { return payload_.capacity(); }

 private:
  enum class State : uint8_t {
    kStart,  // nothing came yet: a preface or a frame
    kInPreface,
    kHeader,
    kPayload,
    kLost,
  };

  void read_preface(std::string_view& bytes, FrameHandler& handler);
  void read_header(std::string_view& bytes, FrameHandler& handler);
  void read_payload(std::string_view& bytes, FrameHandler& handler);
  void read_data(std::string_view bytes, uint64_t missing, FrameHandler& handler);
  void begin_payload(std::string_view header_bytes, FrameHandler& handler);
  void end_frame(std::string_view payload, FrameHandler& handler);
  [[nodiscard]] bool wants_payload() const;
  void lose(FrameHandler& handler);

  State state_;
  // Operations that began like a frame on a stream that was not expected. After some of them it is
  // the expectation that is wrong: much was lost.
  static constexpr uint8_t kMaxUnexpected = 8;

  [[nodiscard]] bool may_resume(std::string_view bytes, const FrameHandler& handler);

  uint8_t unexpected_ = 0;
  bool guessed_ = false;  // the frames' place is not proven
  bool cut_ = false;      // bytes of this payload are missing
  uint8_t count_ = 0;     // bytes of the preface or of the header that came
  std::array<char, kFrameHeaderBytes> header_{};
  FrameHeader frame_;
  uint32_t left_ = 0;       // of the payload
  uint32_t data_left_ = 0;  // of a DATA frame's data
  uint32_t block_of_ = 0;   // the stream whose header block goes on; 0: none
  uint32_t max_length_ = kDefaultMaxFrameSize;
  size_t max_payload_;
  std::string payload_;
  uint64_t frames_ = 0;
  uint64_t resyncs_ = 0;
};

}  // namespace zerospan::protocols::http2
