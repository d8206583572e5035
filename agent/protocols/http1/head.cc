// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/http1/head.h"

#include <strings.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace zerospan::protocols::http1 {
namespace {

constexpr size_t kMaxPlausibleMethod = 32;
constexpr std::string_view kVersionPrefix = "HTTP/1.";

// IANA's HTTP Method Registry, and what caches and UPnP use.
constexpr std::array kKnownMethods = std::to_array<std::string_view>({"GET",
                                                                      "POST",
                                                                      "PUT",
                                                                      "DELETE",
                                                                      "HEAD",
                                                                      "OPTIONS",
                                                                      "PATCH",
                                                                      "CONNECT",
                                                                      "TRACE",
                                                                      "QUERY",
                                                                      "ACL",
                                                                      "BIND",
                                                                      "CHECKIN",
                                                                      "CHECKOUT",
                                                                      "COPY",
                                                                      "LABEL",
                                                                      "LINK",
                                                                      "LOCK",
                                                                      "MERGE",
                                                                      "MKACTIVITY",
                                                                      "MKCALENDAR",
                                                                      "MKCOL",
                                                                      "MKREDIRECTREF",
                                                                      "MKWORKSPACE",
                                                                      "MOVE",
                                                                      "ORDERPATCH",
                                                                      "PROPFIND",
                                                                      "PROPPATCH",
                                                                      "REBIND",
                                                                      "REPORT",
                                                                      "SEARCH",
                                                                      "UNBIND",
                                                                      "UNCHECKOUT",
                                                                      "UNLINK",
                                                                      "UNLOCK",
                                                                      "UPDATE",
                                                                      "UPDATEREDIRECTREF",
                                                                      "VERSION-CONTROL",
                                                                      "BASELINE-CONTROL",
                                                                      "PURGE",
                                                                      "BAN",
                                                                      "NOTIFY",
                                                                      "SUBSCRIBE",
                                                                      "UNSUBSCRIBE",
                                                                      "M-SEARCH"});

// RFC 9110 section 5.6.2.
constexpr std::array<bool, 256> make_token_table() {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) {
    table[static_cast<size_t>(c)] = true;
  }
  for (int c = 'a'; c <= 'z'; ++c) {
    table[static_cast<size_t>(c)] = true;
    table[static_cast<size_t>(c - 'a' + 'A')] = true;
  }
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) {
    table[static_cast<unsigned char>(c)] = true;
  }
  return table;
}
constexpr std::array<bool, 256> kToken = make_token_table();

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](char c) { return kToken[static_cast<unsigned char>(c)]; });
}

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

constexpr bool is_space(char c) {
  constexpr uint64_t kSpaces = 1ULL << ' ' | 1ULL << '\t' | 1ULL << '\r' | 1ULL << '\n';
  const auto byte = static_cast<uint8_t>(c);
  return byte <= ' ' && (kSpaces >> byte & 1U) != 0;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.front())) {
    text.remove_prefix(1);
  }
  while (!text.empty() && is_space(text.back())) {
    text.remove_suffix(1);
  }
  return text;
}

// The first of the wanted bytes at or behind `from`; bytes.size() if there is none. Lines and names
// are short: that is cheaper here than a call of memchr.
template <char... kWanted>
size_t find_any(std::string_view bytes, size_t from) {
  const char* const data = bytes.data();
#ifdef __SSE2__
  for (; bytes.size() - from >= sizeof(__m128i); from += sizeof(__m128i)) {
    __m128i block;
    std::memcpy(&block, data + from, sizeof(block));
    __m128i hits = _mm_setzero_si128();
    ((hits = _mm_or_si128(hits, _mm_cmpeq_epi8(block, _mm_set1_epi8(kWanted)))), ...);
    const auto mask = static_cast<uint32_t>(_mm_movemask_epi8(hits));
    if (mask != 0) {
      return from + static_cast<size_t>(std::countr_zero(mask));
    }
  }
#endif
  while (from < bytes.size() && ((data[from] != kWanted) && ...)) {
    ++from;
  }
  return from;
}

// "HTTP/1.d" and nothing else.
std::optional<uint8_t> parse_version(std::string_view text) {
  if (text.size() != kVersionPrefix.size() + 1 || !text.starts_with(kVersionPrefix) ||
      !is_digit(text.back())) {
    return std::nullopt;
  }
  return static_cast<uint8_t>(text.back() - '0');
}

// A list, because a value may be repeated inside one field line too (RFC 9112 section 6.3 rule 5).
void note_content_length(std::string_view value, Framing& framing) {
  while (true) {
    const size_t comma = value.find(',');
    const std::string_view element = trim(value.substr(0, comma));
    // 18 digits keep the sum with any stream offset inside 64 bits.
    if (element.empty() || element.size() > 18 ||
        !std::all_of(element.begin(), element.end(), is_digit)) {
      framing.content_length_valid = false;
    } else {
      uint64_t number = 0;
      for (const char c : element) {
        number = number * 10 + static_cast<uint64_t>(c - '0');
      }
      if (framing.has_content_length && framing.content_length != number) {
        framing.content_length_valid = false;
      }
      framing.content_length = number;
    }
    framing.has_content_length = true;
    if (comma == std::string_view::npos) {
      return;
    }
    value.remove_prefix(comma + 1);
  }
}

void note_transfer_encoding(std::string_view value, Framing& framing) {
  framing.has_transfer_encoding = true;
  while (!value.empty() && (value.back() == ',' || is_space(value.back()))) {
    value.remove_suffix(1);
  }
  const size_t comma = value.rfind(',');
  const std::string_view last = comma == std::string_view::npos ? value : value.substr(comma + 1);
  framing.chunked_is_last = equals_ignoring_case(trim(last), "chunked");
}

void note_framing(const model::HeaderBlock& block, Framing& framing) {
  for (size_t i = 0; i < block.size(); ++i) {
    if (block.known(i) == model::KnownHeader::kContentLength) {
      note_content_length(block[i].value, framing);
    } else if (block.known(i) == model::KnownHeader::kTransferEncoding) {
      note_transfer_encoding(block[i].value, framing);
    }
  }
}

// Obsolete folding (RFC 9112 section 5.2): the line [begin, end) continues the field's value.
void fold(std::string_view bytes, size_t begin, size_t end, model::HeaderBlock::Field& field) {
  if (begin == end) {
    return;
  }
  if (field.value_length == 0) {
    while (is_space(bytes[begin])) {
      ++begin;
    }
    field.value_at = static_cast<uint32_t>(begin);
  }
  field.value_length = static_cast<uint32_t>(end) - field.value_at;
}

// The field in the line [begin, end), which has a name before its colon.
model::HeaderBlock::Field read_field(std::string_view bytes, size_t begin, size_t colon,
                                     size_t end) {
  size_t name_end = colon;
  // Forbidden, but a receiver that lets it pass reads the field so.
  while (is_space(bytes[name_end - 1])) {
    --name_end;
  }
  size_t value_at = colon + 1;
  while (value_at < end && is_space(bytes[value_at])) {
    ++value_at;
  }
  const size_t name_length = name_end - begin;
  return {static_cast<uint32_t>(begin), static_cast<uint32_t>(name_length),
          static_cast<uint32_t>(value_at), static_cast<uint32_t>(end - value_at),
          model::recognise_header({bytes.data() + begin, name_length})};
}

// Origin, absolute, authority or asterisk form, without white space.
bool is_plausible_target(std::string_view method, std::string_view target) {
  if (std::any_of(target.begin(), target.end(),
                  [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == '\x7f'; })) {
    return false;
  }
  return target.front() == '/' || target == "*" ||
         target.find(method == "CONNECT" ? ":" : "://") != std::string_view::npos;
}

}  // namespace

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::optional<RequestLine> parse_request_line(std::string_view line) {
  const size_t method_end = line.find(' ');
  if (method_end == std::string_view::npos) {
    return std::nullopt;
  }
  line = trim(line);
  const size_t version_at = line.rfind(' ');
  if (version_at == std::string_view::npos || version_at <= method_end) {
    return std::nullopt;
  }
  const auto version = parse_version(line.substr(version_at + 1));
  RequestLine result;
  result.method = line.substr(0, method_end);
  result.target = trim(line.substr(method_end, version_at - method_end));
  if (!version || !is_token(result.method) || result.target.empty()) {
    return std::nullopt;
  }
  result.version_minor = *version;
  return result;
}

std::optional<StatusLine> parse_status_line(std::string_view line) {
  // "HTTP/1.d SSS", then the end or a space and the reason.
  constexpr size_t kStatusAt = kVersionPrefix.size() + 2;
  if (line.size() < kStatusAt + 3 || line[kStatusAt - 1] != ' ') {
    return std::nullopt;
  }
  const auto version = parse_version(line.substr(0, kStatusAt - 1));
  const std::string_view digits = line.substr(kStatusAt, 3);
  if (!version || digits[0] == '0' || !std::all_of(digits.begin(), digits.end(), is_digit) ||
      (line.size() > kStatusAt + 3 && !is_space(line[kStatusAt + 3]))) {
    return std::nullopt;
  }
  return StatusLine{
      static_cast<uint16_t>((digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0')),
      *version};
}

std::optional<RequestLine> parse_cut_request_line(std::string_view bytes) {
  const size_t method_end = bytes.find(' ');
  if (method_end == std::string_view::npos || !is_plausible_method(bytes.substr(0, method_end))) {
    return std::nullopt;
  }
  RequestLine result;
  result.method = bytes.substr(0, method_end);
  result.target = bytes.substr(method_end + 1);
  result.target = result.target.substr(0, result.target.find_first_of(" \r\n"));
  return result;
}

bool may_become_request_line(std::string_view bytes) {
  return is_token(bytes.substr(0, bytes.find(' ')));
}

bool may_become_status_line(std::string_view bytes) {
  return bytes.starts_with(kVersionPrefix.substr(0, bytes.size()));
}

std::optional<std::string_view> first_line(std::string_view bytes) {
  const size_t end = find_any<'\n'>(bytes, 0);
  if (end == bytes.size()) {
    return std::nullopt;
  }
  return bytes.substr(0, end > 0 && bytes[end - 1] == '\r' ? end - 1 : end);
}

bool is_plausible_method(std::string_view method) {
  return !method.empty() && method.size() <= kMaxPlausibleMethod && method.front() >= 'A' &&
         method.front() <= 'Z' && std::all_of(method.begin(), method.end(), [](char c) {
           return (c >= 'A' && c <= 'Z') || is_digit(c) || c == '-' || c == '_';
         });
}

bool starts_with_request_line(std::string_view bytes) {
  // Most chunks that are asked about are bodies: let the first byte refuse them.
  if (bytes.empty() || bytes.front() < 'A' || bytes.front() > 'Z') {
    return false;
  }
  const size_t method_end = bytes.substr(0, kMaxPlausibleMethod + 1).find(' ');
  if (method_end == std::string_view::npos || !is_plausible_method(bytes.substr(0, method_end))) {
    return false;
  }
  const auto line = first_line(bytes);
  if (!line) {
    return false;
  }
  const auto request = parse_request_line(*line);
  constexpr size_t kRest = 2 + kVersionPrefix.size() + 1;  // single spaces, and the version
  return request && request->method.size() + request->target.size() + kRest == line->size() &&
         is_plausible_target(request->method, request->target);
}

bool resumes_with_request_line(std::string_view bytes) {
  return starts_with_request_line(bytes) &&
         std::find(kKnownMethods.begin(), kKnownMethods.end(), bytes.substr(0, bytes.find(' '))) !=
             kKnownMethods.end();
}

bool starts_with_status_line(std::string_view bytes) {
  if (!bytes.starts_with(kVersionPrefix)) {
    return false;
  }
  const auto line = first_line(bytes);
  return line && parse_status_line(*line);
}

bool find_head_end(std::string_view bytes, size_t& at) {
  // A line feed, then an empty line; both line ends are accepted (RFC 9112 section 2.2).
  const char* const data = bytes.data();
  const size_t size = bytes.size();
#ifdef __SSE2__
  const __m128i line_feeds = _mm_set1_epi8('\n');
  const __m128i carriage_returns = _mm_set1_epi8('\r');
  for (; size - at > sizeof(__m128i); at += sizeof(__m128i)) {
    __m128i block;
    __m128i next;
    std::memcpy(&block, data + at, sizeof(block));
    std::memcpy(&next, data + at + 1, sizeof(next));
    const __m128i empty_lines = _mm_and_si128(
        _mm_cmpeq_epi8(block, line_feeds),
        _mm_or_si128(_mm_cmpeq_epi8(next, line_feeds), _mm_cmpeq_epi8(next, carriage_returns)));
    if (_mm_movemask_epi8(empty_lines) != 0) {
      break;
    }
  }
#endif
  for (; at < size; ++at) {
    if (data[at] != '\n') {
      continue;
    }
    const size_t line = at + 1;
    const size_t line_feed = line < size && data[line] == '\r' ? line + 1 : line;
    if (line_feed >= size) {
      return false;
    }
    if (data[line_feed] == '\n') {
      at = line_feed + 1;
      return true;
    }
  }
  return false;
}

ParsedFields parse_fields(std::string_view bytes, model::HeaderBlock& block) {
  ParsedFields parsed;
  block.clear();
  bool open = false;  // the line before is a field's, so that a folded one continues it
  size_t begin = find_any<'\n'>(bytes, 0) + 1;
  while (begin < bytes.size()) {
    const size_t mark = find_any<':', '\n'>(bytes, begin);
    const size_t line_feed = find_any<'\n'>(bytes, mark);
    if (line_feed == bytes.size()) {
      break;
    }
    size_t end = line_feed;
    while (end > begin && is_space(bytes[end - 1])) {
      --end;
    }
    if (bytes[begin] == ' ' || bytes[begin] == '\t') {
      if (open) {
        fold(bytes, begin, end, block.last_field());
      }
    } else if (end == begin && line_feed - begin <= 1) {
      parsed.end = line_feed + 1;
      break;
    } else {
      open = mark != line_feed && mark != begin;
      if (open) {
        block.add_field(read_field(bytes, begin, mark, end));
      }
    }
    begin = line_feed + 1;
  }
  block.assign_raw(parsed.end == 0 ? bytes : bytes.substr(0, parsed.end));
  if (block.has_any(header_bit(model::KnownHeader::kContentLength) |
                    header_bit(model::KnownHeader::kTransferEncoding))) {
    note_framing(block, parsed.framing);
  }
  return parsed;
}

}  // namespace zerospan::protocols::http1
