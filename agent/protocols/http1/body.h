// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Finds the end of one message body (RFC 9112 sections 6 and 7) in bytes of which some were not
// captured. Holds no bytes of it, but copies its first ones out if asked to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace zerospan::protocols::http1 {

class Body {
 public:
  enum class Kind : uint8_t {
    kNone,
    kLength,      // content-length
    kChunked,     // transfer-encoding ends with chunked
    kUntilClose,  // a response without either
    kUnknown,     // the head did not tell, or was not captured whole
  };

  static constexpr size_t kMostKept = 1024;

  void begin(Kind kind, uint64_t content_length = 0);

  // After begin(): feed() is to append the body's first bytes, without framing, to its `start`.
  // Ends by itself with kMostKept of them, or at the first that was not captured.
  void keep_start() { keeping_ = true; }
  [[nodiscard]] bool keeping() const { return keeping_; }

  // Captured bytes that come next. Returns how many of them belong to the body; fewer than given
  // only if the body is done. `start` may be null: no more is kept.
  size_t feed(std::string_view bytes, std::string* start = nullptr);

  // `count` bytes come next that were not captured. Returns how many belong to the body, as feed().
  uint64_t skip(uint64_t count);

  // One socket operation is over, and its last bytes were `end`. If the framing was lost, a strict
  // look at them may show that the body is done: "0", trailers and an empty line, after a line end
  // or at the operation's start (`whole`: `end` is all of the operation).
  void end_operation(std::string_view end, bool whole);

  [[nodiscard]] bool done() const { return done_; }
  // The end cannot be counted to: end_operation(), the next message or the close must show it.
  [[nodiscard]] bool lost() const { return !done_ && step_ == Step::kLost; }
  [[nodiscard]] Kind kind() const { return kind_; }
  [[nodiscard]] uint64_t size() const { return size_; }  // decoded, where exact()
  [[nodiscard]] bool exact() const { return exact_; }

 private:
  enum class Step : uint8_t {
    kSizeFirst,  // the first digit of a chunk's size
    kSize,
    kExtension,
    kData,
    kDataEnd,
    kTrailerStart,  // of a line
    kTrailer,
    kLost,
  };

  size_t feed_chunked(std::string_view bytes, std::string* start);
  // Of a body with a length: how many of the next `count` bytes are its own.
  uint64_t pass(uint64_t count);
  void keep(std::string_view data, std::string* start);
  // Framing is gone: all that comes is counted, framing included.
  void lose();

  Kind kind_ = Kind::kNone;
  Step step_ = Step::kData;
  uint8_t digits_ = 0;
  bool done_ = true;
  bool keeping_ = false;
  bool exact_ = true;
  uint64_t remaining_ = 0;  // of the body by length, or of the chunk
  uint64_t size_ = 0;
};

// Whether `end` ends with a whole last chunk, as Body::end_operation describes.
[[nodiscard]] bool ends_with_last_chunk(std::string_view end, bool whole);

}  // namespace zerospan::protocols::http1
