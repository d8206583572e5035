// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/http2/frame_reader.h"

#include <algorithm>

namespace zerospan::protocols::http2 {

void FrameReader::allow(uint32_t max_length) {
  constexpr uint32_t kLargest = (1U << 24U) - 1;
  // Never less: the peer may not have heard of it yet.
  max_length_ = std::max(max_length_, std::min(max_length, kLargest));
}

size_t FrameReader::feed(std::string_view bytes, bool first, FrameHandler& handler) {
  if (state_ == State::kLost && !bytes.empty()) {
    if (!first || !may_resume(bytes, handler)) {
      return bytes.size();
    }
    state_ = State::kHeader;
    guessed_ = true;
    ++resyncs_;
  }
  while (!bytes.empty()) {
    switch (state_) {
      case State::kStart:
        state_ = bytes[0] == kPreface[0] ? State::kInPreface : State::kHeader;
        break;
      case State::kInPreface:
        read_preface(bytes, handler);
        break;
      case State::kHeader:
        read_header(bytes, handler);
        break;
      case State::kPayload:
        read_payload(bytes, handler);
        break;
      case State::kLost:
        return bytes.size();
    }
  }
  return 0;
}

bool FrameReader::may_resume(std::string_view bytes, const FrameHandler& handler) {
  if (!starts_with_frames(bytes, max_length_)) {
    return false;
  }
  const uint32_t stream_id = parse_frame_header(bytes).stream_id;
  if (stream_id != 0 && unexpected_ < kMaxUnexpected && !handler.expects(stream_id)) {
    ++unexpected_;
    return false;
  }
  unexpected_ = 0;
  return true;
}

void FrameReader::read_preface(std::string_view& bytes, FrameHandler& handler) {
  const size_t taken = std::min(bytes.size(), kPreface.size() - count_);
  if (bytes.substr(0, taken) != kPreface.substr(count_, taken)) {
    lose(handler);
    return;
  }
  count_ = static_cast<uint8_t>(count_ + taken);
  bytes.remove_prefix(taken);
  if (count_ == kPreface.size()) {
    count_ = 0;
    state_ = State::kHeader;
    handler.on_preface();
  }
}

void FrameReader::read_header(std::string_view& bytes, FrameHandler& handler) {
  if (count_ == 0) {
    handler.on_frame_start();
    if (bytes.size() >= kFrameHeaderBytes) {
      const std::string_view header = bytes.substr(0, kFrameHeaderBytes);
      bytes.remove_prefix(kFrameHeaderBytes);
      begin_payload(header, handler);
      return;
    }
  }
  const size_t taken = std::min(bytes.size(), kFrameHeaderBytes - count_);
  std::copy_n(bytes.begin(), taken, header_.begin() + count_);
  count_ = static_cast<uint8_t>(count_ + taken);
  bytes.remove_prefix(taken);
  if (count_ == kFrameHeaderBytes) {
    count_ = 0;
    begin_payload({header_.data(), header_.size()}, handler);
  }
}

void FrameReader::begin_payload(std::string_view header_bytes, FrameHandler& handler) {
  const FrameHeader header = parse_frame_header(header_bytes);
  const bool continues = header.type == FrameType::kContinuation;
  // Section 6.10: nothing comes between the parts of a header block. Section 3.4: the first frame
  // is SETTINGS.
  const bool in_place = block_of_ != 0 ? continues && header.stream_id == block_of_
                                       : !continues && (frames_ != 0 || guessed_ ||
                                                        header.type == FrameType::kSettings);
  if (!in_place || !(guessed_ ? is_plausible(header_bytes, max_length_) : is_legal(header))) {
    lose(handler);
    return;
  }
  frame_ = header;
  left_ = header.length;
  cut_ = false;
  data_left_ = header.length;
  state_ = State::kPayload;
  if (continues || header.type == FrameType::kHeaders || header.type == FrameType::kPushPromise) {
    block_of_ = header.has(kEndHeaders) ? 0 : header.stream_id;
  }
  if (left_ == 0) {
    end_frame({}, handler);
  }
}

bool FrameReader::wants_payload() const {
  switch (frame_.type) {
    case FrameType::kHeaders:
    case FrameType::kRstStream:
    case FrameType::kSettings:
    case FrameType::kPushPromise:
    case FrameType::kGoaway:
    case FrameType::kContinuation:
      return true;
    case FrameType::kData:
    case FrameType::kPriority:
    case FrameType::kPing:
    case FrameType::kWindowUpdate:
      break;
  }
  return false;
}

void FrameReader::read_payload(std::string_view& bytes, FrameHandler& handler) {
  const std::string_view part = bytes.substr(0, left_);
  bytes.remove_prefix(part.size());
  if (frame_.type == FrameType::kData) {
    read_data(part, 0, handler);
    return;
  }
  left_ -= static_cast<uint32_t>(part.size());
  const bool whole = left_ == 0 && payload_.empty() && !cut_;
  if (wants_payload() && !whole && !cut_) {
    const size_t room = max_payload_ - std::min(max_payload_, payload_.size());
    payload_.append(part.substr(0, room));
    cut_ = part.size() > room;
  }
  if (left_ == 0) {
    end_frame(!wants_payload() ? std::string_view() : whole ? part : payload_, handler);
  }
}

// Section 6.1. The pad length is the first byte of the payload, the padding its end.
void FrameReader::read_data(std::string_view bytes, uint64_t missing, FrameHandler& handler) {
  const size_t size = bytes.size() + missing;
  if (frame_.has(kPadded) && left_ == frame_.length) {
    // A pad length that is missing is taken for 0.
    const uint32_t padding = bytes.empty() ? 0 : static_cast<uint8_t>(bytes[0]);
    if (padding >= frame_.length) {
      lose(handler);
      return;
    }
    cut_ = bytes.empty();
    data_left_ = frame_.length - 1 - padding;
    if (bytes.empty()) {
      --missing;
    } else {
      bytes.remove_prefix(1);
    }
  }
  left_ -= static_cast<uint32_t>(size);
  const std::string_view data = bytes.substr(0, data_left_);
  data_left_ -= static_cast<uint32_t>(data.size());
  missing = std::min<uint64_t>(missing, data_left_);
  data_left_ -= static_cast<uint32_t>(missing);
  if (!data.empty() || missing != 0) {
    handler.on_data(frame_, data, missing);
  }
  if (left_ == 0) {
    end_frame({}, handler);
  }
}

void FrameReader::end_frame(std::string_view payload, FrameHandler& handler) {
  state_ = State::kHeader;
  ++frames_;
  if (!handler.on_frame(frame_, payload, cut_)) {
    lose(handler);
  }
  payload_.clear();
}

void FrameReader::skip(uint64_t count, FrameHandler& handler) {
  if (count == 0 || state_ == State::kLost) {
    return;
  }
  if (state_ == State::kPayload) {
    const uint64_t inside = std::min<uint64_t>(count, left_);
    count -= inside;
    if (frame_.type == FrameType::kData) {
      read_data({}, inside, handler);
    } else {
      left_ -= static_cast<uint32_t>(inside);
      cut_ = true;
      if (left_ == 0) {
        end_frame(payload_, handler);
      }
    }
  }
  if (count != 0 && state_ != State::kLost) {
    lose(handler);
  }
}

void FrameReader::lose(FrameHandler& handler) {
  const bool inside = state_ == State::kPayload;
  state_ = State::kLost;
  guessed_ = true;
  count_ = 0;
  block_of_ = 0;
  if (inside && !payload_.empty()) {
    handler.on_frame(frame_, payload_, true);  // what there is of it
  }
  payload_.clear();
  handler.on_lost();
}

}  // namespace zerospan::protocols::http2
