// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/viewer/terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <iterator>
#include <utility>

namespace zerospan::viewer {

namespace {

constexpr size_t kDefaultColumns = 120;
constexpr size_t kMinColumns = 60;  // narrower ones wrap, which is still readable
constexpr size_t kMaxColumns = 400;

struct CodePoint {
  uint32_t value = 0;
  size_t length = 0;  // in bytes; 0: malformed
};

CodePoint decode(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) {
    return {lead, 1};
  }
  size_t length = 0;
  uint32_t value = 0;
  uint32_t lowest = 0;  // smaller values have a shorter form
  if ((lead & 0xe0U) == 0xc0) {
    length = 2;
    value = lead & 0x1fU;
    lowest = 0x80;
  } else if ((lead & 0xf0U) == 0xe0) {
    length = 3;
    value = lead & 0x0fU;
    lowest = 0x800;
  } else if ((lead & 0xf8U) == 0xf0) {
    length = 4;
    value = lead & 0x07U;
    lowest = 0x10000;
  } else {
    return {};
  }
  if (text.size() < length) {
    return {};
  }
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) {
      return {};
    }
    value = value << 6U | (byte(i) & 0x3fU);
  }
  const bool surrogate = value >= 0xd800 && value <= 0xdfff;
  if (value < lowest || value > 0x10ffff || surrogate) {
    return {};
  }
  return {value, length};
}

struct Range {
  uint32_t first, last;
};

template <size_t kSize>
bool in_ranges(const std::array<Range, kSize>& ranges, uint32_t value) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](Range r) { return value >= r.first && value <= r.last; });
}

// Invisible, or changing the direction or place of other text: C1 controls, soft hyphen, Arabic
// letter mark, zero-width and directional characters, line separators, fillers, variation
// selectors, byte order mark, interlinear and tag characters, private use.
constexpr std::array<Range, 17> kUnsafe = {{{0x80, 0xa0},
                                            {0xad, 0xad},
                                            {0x34f, 0x34f},
                                            {0x61c, 0x61c},
                                            {0x115f, 0x1160},
                                            {0x17b4, 0x17b5},
                                            {0x180b, 0x180f},
                                            {0x2000, 0x200f},
                                            {0x2028, 0x202f},
                                            {0x205f, 0x206f},
                                            {0x3164, 0x3164},
                                            {0xe000, 0xf8ff},
                                            {0xfe00, 0xfe0f},
                                            {0xfeff, 0xfeff},
                                            {0xffa0, 0xffa0},
                                            {0xfff0, 0xfffb},
                                            {0xe0000, 0x10ffff}}};

// Unicode's East Asian Width W and F, in whole blocks.
constexpr std::array<Range, 9> kWide = {{{0x1100, 0x115f},
                                         {0x2e80, 0xa4cf},
                                         {0xac00, 0xd7a3},
                                         {0xf900, 0xfaff},
                                         {0xfe30, 0xfe6f},
                                         {0xff00, 0xff60},
                                         {0xffe0, 0xffe6},
                                         {0x1f300, 0x1faff},
                                         {0x20000, 0x3fffd}}};

constexpr std::array<Range, 5> kCombining = {
    {{0x300, 0x36f}, {0x483, 0x489}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x20d0, 0x20ff}}};

size_t cells_of(uint32_t value) {
  if (value < 0x300) {
    return 1;
  }
  if (in_ranges(kCombining, value)) {
    return 0;
  }
  return in_ranges(kWide, value) ? 2 : 1;
}

// Bytes of the longest prefix of `text` that takes at most `columns` cells.
size_t prefix_bytes(std::string_view text, size_t columns) {
  size_t at = 0;
  size_t used = 0;
  while (at < text.size()) {
    const CodePoint point = decode(text.substr(at));
    used += cells_of(point.value);
    if (used > columns) {
      break;
    }
    at += std::max<size_t>(point.length, 1);
  }
  return at;
}

bool locale_is_utf8() {
  // The first of them that is set and not empty decides (POSIX, "Environment Variables").
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') {
      std::string lower(value);
      std::transform(lower.begin(), lower.end(), lower.begin(),
                     [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
      return lower.find("utf-8") != std::string::npos || lower.find("utf8") != std::string::npos;
    }
  }
  return false;
}

}  // namespace

Terminal detect_terminal(int fd) {
  Terminal terminal;
  terminal.columns = kDefaultColumns;
  terminal.unicode = locale_is_utf8();
  if (::isatty(fd) == 1) {
    winsize size{};
    if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
      terminal.columns = std::clamp<size_t>(size.ws_col, kMinColumns, kMaxColumns);
    }
    const char* no_color = std::getenv("NO_COLOR");
    const char* term = std::getenv("TERM");
    terminal.colour = (no_color == nullptr || *no_color == '\0') &&
                      (term == nullptr || std::string_view(term) != "dumb");
  }
  return terminal;
}

std::string escape(std::string_view text, bool unicode) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const CodePoint point = decode(text);
    if (point.length == 0) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<uint8_t>(text[0]));
    } else if (point.value < 0x20 || point.value == 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", point.value);
    } else if (point.value >= 0x80 && (!unicode || in_ranges(kUnsafe, point.value))) {
      fmt::format_to(std::back_inserter(out), "\\u{{{:x}}}", point.value);
    } else {
      out.append(text.substr(0, point.length));
    }
    text.remove_prefix(std::max<size_t>(point.length, 1));
  }
  return out;
}

size_t display_width(std::string_view text) {
  size_t width = 0;
  while (!text.empty()) {
    const CodePoint point = decode(text);
    width += cells_of(point.value);
    text.remove_prefix(std::max<size_t>(point.length, 1));
  }
  return width;
}

std::string elide_middle(std::string_view text, size_t columns, bool unicode) {
  const size_t width = display_width(text);
  if (width <= columns) {
    return std::string(text);
  }
  const std::string_view mark = unicode ? "…" : "..";
  const size_t mark_width = unicode ? 1 : 2;
  if (columns <= mark_width + 2) {
    return std::string(text.substr(0, prefix_bytes(text, columns)));
  }
  const size_t tail_columns = (columns - mark_width) / 2;
  const size_t head_columns = columns - mark_width - tail_columns;
  std::string out(text.substr(0, prefix_bytes(text, head_columns)));
  out.append(mark);
  // The tail starts where what is skipped leaves at most tail_columns cells.
  size_t at = 0;
  size_t left = width;
  while (at < text.size() && left > tail_columns) {
    const CodePoint point = decode(text.substr(at));
    left -= cells_of(point.value);
    at += std::max<size_t>(point.length, 1);
  }
  out.append(text.substr(at));
  return out;
}

std::string fit(std::string_view text, size_t columns, bool unicode, Align align) {
  std::string out = elide_middle(text, columns, unicode);
  const size_t width = display_width(out);
  const size_t missing = columns > width ? columns - width : 0;
  out.insert(align == Align::kLeft ? out.size() : 0, missing, ' ');
  return out;
}

std::string paint(const Terminal& terminal, Colour colour, std::string_view text) {
  if (!terminal.colour || colour == Colour::kNone || text.empty()) {
    return std::string(text);
  }
  // Indexed by Colour. The sixteen basic colours follow the user's own theme.
  constexpr std::array<std::string_view, 9> kCodes = {"",   "1",  "2",  "31", "32",
                                                      "33", "34", "35", "36"};
  return fmt::format("\x1b[{}m{}\x1b[0m", kCodes[static_cast<size_t>(colour)], text);
}

std::string format_duration(uint64_t ns, bool unicode) {
  constexpr uint64_t kSecond = 1'000'000'000;
  if (ns < 1000) {
    return fmt::format("{} ns", ns);
  }
  if (ns >= 99'950'000'000) {
    const uint64_t seconds = (ns + kSecond / 2) / kSecond;
    if (seconds < 3600) {
      return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
    }
    return fmt::format("{}h{:02}m", seconds / 3600, seconds % 3600 / 60);
  }
  const std::array<std::pair<double, std::string_view>, 3> units = {
      {{1e3, unicode ? "µs" : "us"}, {1e6, "ms"}, {1e9, "s"}}};
  // 999.5 is where three digits round up into the next unit.
  size_t unit = 0;
  while (unit + 1 < units.size() && static_cast<double>(ns) / units[unit].first >= 999.5) {
    ++unit;
  }
  const double value = static_cast<double>(ns) / units[unit].first;
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f} {}", value, decimals, units[unit].second);
}

std::string format_count(uint64_t count) {
  std::string digits = std::to_string(count);
  for (size_t at = digits.size(); at > 3; at -= 3) {
    digits.insert(at - 3, 1, ',');
  }
  return digits;
}

std::string local_time(uint64_t unix_ns) {
  const auto seconds = static_cast<time_t>(unix_ns / 1'000'000'000);
  tm parts{};
  localtime_r(&seconds, &parts);
  return fmt::format("{:02}:{:02}:{:02}.{:03}", parts.tm_hour, parts.tm_min, parts.tm_sec,
                     unix_ns / 1'000'000 % 1000);
}

}  // namespace zerospan::viewer
