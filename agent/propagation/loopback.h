// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Both ends of a connection of our own, for self_check.cc. Nothing here waits longer than its
// deadline. Errors are exceptions, which do not leave this folder: a check is a straight line of
// calls, and whatever goes wrong is what it has seen.
#pragma once

#include <chrono>
#include <functional>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/core/unique_fd.h"

namespace zerospan::propagation {

// What a program would not have seen: a stall, an error, a byte that is not the one sent.
struct Oddity : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The agent ends, or the time for all checks is over.
struct Stopped : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// No IPv6, or no loopback.
struct NoSuchAddress : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[nodiscard]] std::string error_name(int error_number);  // "ECONNRESET"

class Deadline {
 public:
  Deadline(std::chrono::steady_clock::time_point end, const std::stop_token& stop)
      : end_(end), stop_(&stop) {}
  // Throws when it is over; `waiting_for` is then what was seen.
  void check(std::string_view waiting_for) const;
  // Until one of the events, in steps that are short enough to notice a stop. Returns what poll(2)
  // gave.
  short wait(int fd, short events, std::string_view waiting_for) const;
  // As SO_RCVTIMEO and SO_SNDTIMEO, so that a call that blocks ends by itself.
  void bound(int fd) const;

 private:
  std::chrono::steady_clock::time_point end_;
  const std::stop_token* stop_;
};

struct Pair {
  UniqueFd client;  // both do not block
  UniqueFd server;
  static Pair make(int family, const Deadline& deadline);
};

void set_blocking(int fd, bool blocks);
void set_option(int fd, int level, int name, int value);

// The bytes that one end sends, and where in them the program may add.
class Sent {
 public:
  // A request with a body of this many bytes. `untouched`: the program must add nothing.
  void request(size_t body, bool untouched = false);
  // A whole head, to which the program must add.
  void head(std::string_view text);
  void raw(std::string_view bytes) { bytes_ += bytes; }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

  // "as sent", or how `received` differs. Each head must have got each of `headers` once, in lines
  // of their own between its request line and its end; with `or_none` some may have got nothing.
  [[nodiscard]] std::string compare(std::string_view received, std::span<const std::string> headers,
                                    bool or_none = false) const;

 private:
  struct Head {
    size_t first_line_end;
    size_t end;
  };
  std::string bytes_;
  std::vector<Head> heads_;
};

// Bytes without a period, so that a shift or a swap of any two pieces shows; with line ends and
// with text that looks like the beginning of a request.
[[nodiscard]] std::string noise(size_t size);

// Sends by `send_some` (what send(2) returns, from this offset on) until `size` bytes are out,
// while the other end reads what comes.
void pump(const Pair& pair, size_t size, const std::function<ssize_t(size_t offset)>& send_some,
          std::string& received, const Deadline& deadline);
// Appends what comes until the end of the stream, or until `size` bytes are there.
void read_some(int fd, std::string& received, size_t size, const Deadline& deadline);
void read_to_end(int fd, std::string& received, const Deadline& deadline);

}  // namespace zerospan::propagation
