// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/k8s/api/json_splitter.h"

namespace zerospan::k8s {
namespace {

constexpr size_t kMaxKey = 16;  // more than the keys of interest need

bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

}  // namespace

bool JsonSplitter::complete() const {
  return shape_ == Shape::kList ? closed_ : state_ == State::kBetween;
}

void JsonSplitter::keep(std::string_view text) {
  if (!part_ || too_long_) {
    return;
  }
  if (text.size() > max_bytes_ - value_.size()) {
    too_long_ = true;
    value_ = {};
    return;
  }
  value_ += text;
}

// The value begins with c, which is not consumed yet. False: no value begins so.
bool JsonSplitter::open_value(char c, std::optional<Part> part, State after) {
  part_ = part;
  after_ = after;
  nested_ = 0;
  in_string_ = escaped_ = too_long_ = false;
  value_.clear();
  switch (c) {
    case '{':
    case '[':
      state_ = State::kContainer;
      return true;
    case '"':
      state_ = State::kString;
      return true;
    case '}':
    case ']':
    case ',':
    case ':':
      return false;
    default:
      state_ = State::kScalar;
      return true;
  }
}

std::optional<JsonSplitter::Piece> JsonSplitter::next(std::string_view& bytes) {
  constexpr Piece kBroken{Part::kMalformed, {}};
  size_t at = 0;
  size_t kept = 0;  // where the part of the value in `bytes` begins
  const auto end_of_value = [&]() -> std::optional<Piece> {
    keep(bytes.substr(kept, at - kept));
    state_ = after_;
    bytes.remove_prefix(at);
    at = kept = 0;
    if (!part_) {
      return std::nullopt;
    }
    return too_long_ ? Piece{Part::kTooLong, {}} : Piece{*part_, value_};
  };
  while (at < bytes.size()) {
    const char c = bytes[at];
    switch (state_) {
      case State::kBetween:
        if (is_space(c)) {
          ++at;
        } else if (shape_ == Shape::kStream) {
          if (c != '{' || !open_value(c, Part::kValue, State::kBetween)) {
            return kBroken;
          }
          kept = at;
        } else if (!opened_ && c == '{') {
          opened_ = true;
          ++at;
        } else if (opened_ && !closed_ && (c == ',' || c == '}' || c == '"')) {
          closed_ = c == '}';
          if (c == '"') {
            state_ = State::kKey;
            key_.clear();
            escaped_ = false;
          }
          ++at;
        } else {
          return kBroken;
        }
        break;
      case State::kKey:
        if (c == '"' && !escaped_) {
          state_ = State::kBeforeValue;
        } else {
          escaped_ = c == '\\' && !escaped_;
          if (key_.size() < kMaxKey) {
            key_ += c;
          }
        }
        ++at;
        break;
      case State::kBeforeValue:
        if (is_space(c) || c == ':') {
          ++at;
        } else if (key_ == "items" && c == '[') {
          state_ = State::kInItems;
          ++at;
        } else {
          if (!open_value(c, key_ == "metadata" ? std::optional(Part::kMetadata) : std::nullopt,
                          State::kBetween)) {
            return kBroken;
          }
          kept = at;
        }
        break;
      case State::kInItems:
        if (is_space(c) || c == ',') {
          ++at;
        } else if (c == ']') {
          state_ = State::kBetween;
          ++at;
        } else {
          if (!open_value(c, Part::kItem, State::kInItems)) {
            return kBroken;
          }
          kept = at;
        }
        break;
      case State::kContainer:
        ++at;
        if (in_string_) {
          in_string_ = c != '"' || escaped_;
          escaped_ = c == '\\' && !escaped_;
        } else if (c == '"') {
          in_string_ = true;
        } else if (c == '{' || c == '[') {
          ++nested_;
        } else if ((c == '}' || c == ']') && --nested_ == 0) {
          if (const auto piece = end_of_value()) {
            return piece;
          }
        }
        break;
      case State::kString:
        ++at;
        // in_string_: the opening quote was read.
        if (c == '"' && in_string_ && !escaped_) {
          if (const auto piece = end_of_value()) {
            return piece;
          }
          break;
        }
        escaped_ = c == '\\' && !escaped_;
        in_string_ = true;
        break;
      case State::kScalar:
        if (!is_space(c) && c != ',' && c != '}' && c != ']') {
          ++at;
        } else if (const auto piece = end_of_value()) {
          return piece;
        }
        break;
    }
  }
  if (state_ == State::kContainer || state_ == State::kString || state_ == State::kScalar) {
    keep(bytes.substr(kept));
  }
  bytes = {};
  return std::nullopt;
}

}  // namespace zerospan::k8s
