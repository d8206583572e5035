// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Message heads of HTTP/1.x: start lines (RFC 9112 sections 3 and 4), field lines (section 5), and
// what the fields say about the body's framing (section 6). Pure functions over captured bytes;
// the views that they return point into their argument.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "agent/model/exchange.h"

namespace zerospan::protocols::http1 {

struct RequestLine {
  std::string_view method;
  std::string_view target;
  uint8_t version_minor = 1;
};

struct StatusLine {
  uint16_t status = 0;
  uint8_t version_minor = 1;
};

[[nodiscard]] bool equals_ignoring_case(std::string_view a, std::string_view b);

// Where the next message begins is known: any token is a method, and the target may hold what a
// sloppy client put there. `line` is without its line end.
[[nodiscard]] std::optional<RequestLine> parse_request_line(std::string_view line);
[[nodiscard]] std::optional<StatusLine> parse_status_line(std::string_view line);

// The start of a request line whose end was not captured: the method must be whole, the target is
// what there is of it.
[[nodiscard]] std::optional<RequestLine> parse_cut_request_line(std::string_view bytes);

// Whether `bytes`, which hold no line end, can still become a start line.
[[nodiscard]] bool may_become_request_line(std::string_view bytes);
[[nodiscard]] bool may_become_status_line(std::string_view bytes);

// Where the next message begins is only guessed: `bytes` must start with a whole start line, the
// method must be in upper case, and the target must be of a form that RFC 9112 section 3.2 knows.
[[nodiscard]] bool starts_with_request_line(std::string_view bytes);
// The same in the midst of a connection, where the end of a cut method must not pass for one: only
// methods that are registered or in wide use.
[[nodiscard]] bool resumes_with_request_line(std::string_view bytes);
[[nodiscard]] bool starts_with_status_line(std::string_view bytes);

// An extension method as programs name them: upper case, digits, '-' and '_', at most 32 bytes.
[[nodiscard]] bool is_plausible_method(std::string_view method);

// `line` up to its first line feed, without the line end; nullopt if there is none.
[[nodiscard]] std::optional<std::string_view> first_line(std::string_view bytes);

// Looks for the empty line that ends a head in `bytes`, which begin with the start line. True: the
// head's size is `at`. False: not yet; the bytes before `at` need not be looked at again, so that a
// head in many pieces costs no more than a whole one. `at` is 0 at first.
[[nodiscard]] bool find_head_end(std::string_view bytes, size_t& at);

// What the fields of one head say about its body (RFC 9112 section 6).
struct Framing {
  bool has_transfer_encoding = false;
  bool chunked_is_last = false;  // of the transfer codings
  bool has_content_length = false;
  bool content_length_valid = true;  // false: not a number, or several that differ
  uint64_t content_length = 0;
};

struct ParsedFields {
  size_t end = 0;  // the head's size, with the empty line that ends it; 0: that is not there
  Framing framing;
};

// `bytes` begin with a start line. Makes the block anew of the head that they hold, or that part of
// it: its raw bytes, and the field lines behind the start line. Lines that are no field are passed
// over, a last line without its end too.
ParsedFields parse_fields(std::string_view bytes, model::HeaderBlock& block);

}  // namespace zerospan::protocols::http1
