// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What a terminal can show, and text made safe and fitting for it. Pure functions but
// detect_terminal() and local_time().
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace zerospan::viewer {

struct Terminal {
  size_t columns = 120;
  bool colour = false;
  bool unicode = false;  // UTF-8; else only ASCII is written
};

// For the file descriptor that will be written to: the width by TIOCGWINSZ (120 if it is no
// terminal); colour on a terminal unless NO_COLOR is set (https://no-color.org) or TERM is "dumb";
// Unicode if the locale's variables say UTF-8.
[[nodiscard]] Terminal detect_terminal(int fd);

// Whole lines, each with its newline. Called on the thread that calls the view.
using Sink = std::function<void(std::string_view)>;

// Names and URLs come from anybody on the network: here control characters (C0, C1, DEL), invisible
// and direction-changing ones and malformed UTF-8 become visible escapes such as \x1b and \u{202e},
// so that no text can reach the terminal's own control language or disguise itself. Without
// `unicode`, so does everything that is not ASCII.
[[nodiscard]] std::string escape(std::string_view text, bool unicode);

// Of escaped text, in terminal cells (East Asian wide characters take two, combining ones none).
[[nodiscard]] size_t display_width(std::string_view text);

// Escaped text cut to at most `columns` cells by leaving out its middle: the end of a path says as
// much as its start.
[[nodiscard]] std::string elide_middle(std::string_view text, size_t columns, bool unicode);

enum class Align : uint8_t { kLeft, kRight };

// Escaped text elided and filled with spaces to exactly `columns` cells.
[[nodiscard]] std::string fit(std::string_view text, size_t columns, bool unicode,
                              Align align = Align::kLeft);

enum class Colour : uint8_t {
  kNone,
  kBold,
  kDim,
  kRed,
  kGreen,
  kYellow,
  kBlue,
  kMagenta,
  kCyan,
};

// `text` in the colour, if the terminal has any.
[[nodiscard]] std::string paint(const Terminal& terminal, Colour colour, std::string_view text);

// Three significant digits and a unit, at most eight cells: "412 ns", "48.2 ms", "1.23 s", "2m03s".
[[nodiscard]] std::string format_duration(uint64_t ns, bool unicode);

// 1234567 as "1,234,567".
[[nodiscard]] std::string format_count(uint64_t count);

// "15:04:05.123" in the local time zone: 12 cells.
[[nodiscard]] std::string local_time(uint64_t unix_ns);

}  // namespace zerospan::viewer
