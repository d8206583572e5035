// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/propagation/trace_headers.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace zerospan::propagation {

namespace {

constexpr size_t kTraceparentSize = 55;  // "00-" + 32 + "-" + 16 + "-" + 2
constexpr size_t kMaxTracestateMembers = 32;
constexpr size_t kMaxTracestateSize = 512;
constexpr size_t kLongTracestateMember = 128;
constexpr size_t kMaxBaggageEntries = 64;

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
    text.remove_prefix(1);
  }
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
    text.remove_suffix(1);
  }
  return text;
}

// Takes what stands before the next `separator` off the front of `rest`. False when nothing is
// left; an empty last piece after a separator is not reported.
bool next_piece(std::string_view& rest, char separator, std::string_view& piece) {
  if (rest.empty()) {
    return false;
  }
  const size_t end = rest.find(separator);
  piece = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  return true;
}

enum class HexCase : uint8_t { kLower, kAny };

constexpr int hex_value(char c, HexCase letters) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  if (letters == HexCase::kAny && c >= 'A' && c <= 'F') {
    return c - 'A' + 10;
  }
  return -1;
}

// Reads 1 to 2 * kSize hex digits into the low end of `out`, zeros before them.
template <size_t kSize>
bool read_hex(std::string_view text, HexCase letters, std::array<uint8_t, kSize>& out) {
  if (text.empty() || text.size() > 2 * kSize) {
    return false;
  }
  out.fill(0);
  size_t nibble = 2 * kSize - text.size();
  for (const char c : text) {
    const int value = hex_value(c, letters);
    if (value < 0) {
      return false;
    }
    out[nibble / 2] = static_cast<uint8_t>(out[nibble / 2] << 4U | static_cast<unsigned>(value));
    ++nibble;
  }
  return true;
}

template <typename Id>
bool read_id(std::string_view text, HexCase letters, Id& id) {
  return read_hex(text, letters, id.bytes) && id.valid();
}

constexpr bool is_lower_alpha(char c) {
  return c >= 'a' && c <= 'z';
}
constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr bool is_tracestate_key_char(char c) {
  return is_lower_alpha(c) || is_digit(c) || c == '_' || c == '-' || c == '*' || c == '/';
}

// simple-key: 1 to 256 characters, the first a letter; multi-tenant-key: tenant "@" system.
bool valid_tracestate_key(std::string_view key) {
  const size_t at = key.find('@');
  std::string_view first = key.substr(0, at);
  if (first.empty() || !std::all_of(first.begin(), first.end(), is_tracestate_key_char)) {
    return false;
  }
  if (at == std::string_view::npos) {
    return is_lower_alpha(first.front()) && first.size() <= 256;
  }
  const std::string_view system = key.substr(at + 1);
  return (is_lower_alpha(first.front()) || is_digit(first.front())) && first.size() <= 241 &&
         !system.empty() && system.size() <= 14 && is_lower_alpha(system.front()) &&
         std::all_of(system.begin(), system.end(), is_tracestate_key_char);
}

bool valid_tracestate_value(std::string_view value) {
  return !value.empty() && value.size() <= 256 && value.back() != ' ' &&
         std::all_of(value.begin(), value.end(),
                     [](char c) { return c >= 0x20 && c <= 0x7e && c != ',' && c != '='; });
}

std::string_view tracestate_key(std::string_view member) {
  return member.substr(0, member.find('='));
}

size_t joined_size(const std::vector<std::string_view>& members) {
  size_t size = members.empty() ? 0 : members.size() - 1;
  for (const std::string_view member : members) {
    size += member.size();
  }
  return size;
}

void shorten_tracestate(std::vector<std::string_view>& members) {
  for (size_t i = members.size(); i > 0 && joined_size(members) > kMaxTracestateSize; --i) {
    if (members[i - 1].size() > kLongTracestateMember) {
      members.erase(members.begin() + static_cast<std::ptrdiff_t>(i - 1));
    }
  }
  while (joined_size(members) > kMaxTracestateSize) {
    members.pop_back();
  }
}

// B3's sampling state in the single header, and X-B3-Sampled with the old spelling by words.
bool read_b3_sampled(std::string_view text, std::optional<bool>& sampled) {
  if (text == "1" || text == "true") {
    sampled = true;
  } else if (text == "0" || text == "false") {
    sampled = false;
  } else {
    return false;
  }
  return true;
}

bool read_b3_ids(std::string_view trace_id, std::string_view span_id,
                 model::RemoteContext& context) {
  return (trace_id.size() == 16 || trace_id.size() == 32) && span_id.size() == 16 &&
         read_id(trace_id, HexCase::kAny, context.trace_id) &&
         read_id(span_id, HexCase::kAny, context.span_id);
}

// RFC 9110 section 5.6.2.
bool is_token(std::string_view text) {
  static constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return is_lower_alpha(c) || (c >= 'A' && c <= 'Z') || is_digit(c) ||
           kMarks.find(c) != std::string_view::npos;
  });
}

constexpr bool is_baggage_octet(char c) {
  return c > 0x20 && c < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\';
}

// The length of the well-formed UTF-8 sequence (RFC 3629) at the front of `text`, 0 if there is
// none.
size_t utf8_sequence(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) {
    return 1;
  }
  size_t size = 0;
  uint8_t low = 0x80;
  uint8_t high = 0xbf;
  if (lead >= 0xc2 && lead <= 0xdf) {
    size = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    size = 3;
    low = lead == 0xe0 ? 0xa0 : 0x80;
    high = lead == 0xed ? 0x9f : 0xbf;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    size = 4;
    low = lead == 0xf0 ? 0x90 : 0x80;
    high = lead == 0xf4 ? 0x8f : 0xbf;
  }
  if (size == 0 || text.size() < size || byte(1) < low || byte(1) > high) {
    return 0;
  }
  for (size_t i = 2; i < size; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xbf) {
      return 0;
    }
  }
  return size;
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t size = utf8_sequence(text);
    out += size > 0 ? text.substr(0, size) : std::string_view("\xef\xbf\xbd");
    text.remove_prefix(std::max<size_t>(size, 1));
  }
  return out;
}

// A "%" that two hex digits do not follow stands for itself.
std::string percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const int high =
        text[i] == '%' && i + 2 < text.size() ? hex_value(text[i + 1], HexCase::kAny) : -1;
    const int low = high >= 0 ? hex_value(text[i + 2], HexCase::kAny) : -1;
    if (low >= 0) {
      out += static_cast<char>(high << 4 | low);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

std::optional<model::RemoteContext> parse_traceparent(std::string_view value) {
  value = trim(value);
  if (value.size() < kTraceparentSize || value[2] != '-' || value[35] != '-' || value[52] != '-') {
    return std::nullopt;
  }
  std::array<uint8_t, 1> version{};
  std::array<uint8_t, 1> flags{};
  model::RemoteContext context;
  if (!read_hex(value.substr(0, 2), HexCase::kLower, version) || version[0] == 0xff ||
      !read_id(value.substr(3, 32), HexCase::kLower, context.trace_id) ||
      !read_id(value.substr(36, 16), HexCase::kLower, context.span_id) ||
      !read_hex(value.substr(53, 2), HexCase::kLower, flags)) {
    return std::nullopt;
  }
  // A later version may only append, and behind a dash.
  if (value.size() > kTraceparentSize && (version[0] == 0 || value[kTraceparentSize] != '-')) {
    return std::nullopt;
  }
  context.sampled = (flags[0] & 1U) != 0;
  return context;
}

std::string join_tracestate(std::span<const std::string_view> values) {
  std::vector<std::string_view> members;
  size_t count = 0;
  for (std::string_view rest : values) {
    std::string_view member;
    while (next_piece(rest, ',', member)) {
      member = trim(member);
      if (member.empty()) {
        continue;
      }
      const std::string_view key = tracestate_key(member);
      if (++count > kMaxTracestateMembers || key.size() == member.size() ||
          !valid_tracestate_key(key) || !valid_tracestate_value(member.substr(key.size() + 1))) {
        return {};
      }
      if (std::none_of(members.begin(), members.end(),
                       [&](std::string_view earlier) { return tracestate_key(earlier) == key; })) {
        members.push_back(member);
      }
    }
  }
  shorten_tracestate(members);
  std::string out;
  out.reserve(joined_size(members));
  for (const std::string_view member : members) {
    if (!out.empty()) {
      out += ',';
    }
    out += member;
  }
  return out;
}

std::optional<model::RemoteContext> parse_b3_single(std::string_view value) {
  std::string_view rest = trim(value);
  std::array<std::string_view, 4> parts;
  size_t count = 0;
  while (true) {
    const size_t dash = rest.find('-');
    if (count == parts.size()) {
      return std::nullopt;
    }
    parts[count++] = rest.substr(0, dash);
    if (dash == std::string_view::npos) {
      break;
    }
    rest.remove_prefix(dash + 1);
  }
  model::RemoteContext context;
  if (count < 2 || !read_b3_ids(parts[0], parts[1], context)) {
    return std::nullopt;
  }
  if (count >= 3) {
    if (parts[2] == "d") {
      context.sampled = true;
    } else if (parts[2].size() != 1 || !read_b3_sampled(parts[2], context.sampled)) {
      return std::nullopt;
    }
  }
  model::SpanId parent;
  if (count == 4 && (parts[3].size() != 16 || !read_id(parts[3], HexCase::kAny, parent))) {
    return std::nullopt;
  }
  return context;
}

std::optional<model::RemoteContext> parse_b3_multi(const B3Headers& headers) {
  model::RemoteContext context;
  if (!read_b3_ids(trim(headers.trace_id), trim(headers.span_id), context)) {
    return std::nullopt;
  }
  const std::string_view sampled = trim(headers.sampled);
  if (trim(headers.flags) == "1") {
    context.sampled = true;  // debug implies accept, whatever X-B3-Sampled says
  } else if (!sampled.empty() && !read_b3_sampled(sampled, context.sampled)) {
    return std::nullopt;
  }
  return context;
}

std::optional<model::RemoteContext> parse_jaeger(std::string_view value) {
  std::string_view rest = trim(value);
  // Longest: 32 + 16 + 16 + 2 digits and three encoded colons.
  if (rest.size() > 75) {
    return std::nullopt;
  }
  std::array<std::string_view, 4> parts;
  for (size_t i = 0; i < parts.size(); ++i) {
    const size_t end = rest.find_first_of(":%");
    parts[i] = rest.substr(0, end);
    const bool last = i + 1 == parts.size();
    if (last != (end == std::string_view::npos)) {
      return std::nullopt;
    }
    if (last) {
      break;
    }
    const std::string_view mark = rest.substr(end, 3);
    if (mark.front() == '%' && mark != "%3A" && mark != "%3a") {
      return std::nullopt;
    }
    rest.remove_prefix(end + (mark.front() == '%' ? 3 : 1));
  }
  model::RemoteContext context;
  std::array<uint8_t, 8> parent{};  // deprecated, "0" when absent; only its form is checked
  std::array<uint8_t, 1> flags{};
  if (!read_id(parts[0], HexCase::kAny, context.trace_id) ||
      !read_id(parts[1], HexCase::kAny, context.span_id) ||
      (!parts[2].empty() && !read_hex(parts[2], HexCase::kAny, parent)) ||
      !read_hex(parts[3], HexCase::kAny, flags)) {
    return std::nullopt;
  }
  // Bit 0 is sampled; bit 1 is debug, which wants the trace kept.
  context.sampled = (flags[0] & 3U) != 0;
  return context;
}

std::optional<model::RemoteContext> parse_xray(std::string_view value) {
  std::string_view root;
  std::string_view parent;
  std::string_view sampled;
  std::string_view rest = value;
  std::string_view part;
  while (next_piece(rest, ';', part)) {
    part = trim(part);
    const size_t equals = part.find('=');
    if (equals == std::string_view::npos) {
      continue;
    }
    const std::string_view key = part.substr(0, equals);
    std::string_view* field = nullptr;
    if (key == "Root") {
      field = &root;
    } else if (key == "Parent") {
      field = &parent;
    } else if (key == "Sampled") {
      field = &sampled;
    } else {
      continue;  // Self, Lineage and whatever the application added
    }
    if (field->data() != nullptr) {
      return std::nullopt;  // given twice: which one holds is anybody's guess
    }
    *field = part.substr(equals + 1);
  }
  if (root.size() != 35 || root.substr(0, 2) != "1-" || root[10] != '-' || parent.size() != 16) {
    return std::nullopt;
  }
  std::array<char, 32> digits{};
  std::copy_n(root.begin() + 2, 8, digits.begin());
  std::copy_n(root.begin() + 11, 24, digits.begin() + 8);
  model::RemoteContext context;
  if (!read_id(std::string_view(digits.data(), digits.size()), HexCase::kAny, context.trace_id) ||
      !read_id(parent, HexCase::kAny, context.span_id)) {
    return std::nullopt;
  }
  if (sampled == "1" || sampled == "0") {
    context.sampled = sampled == "1";
  }
  return context;
}

void parse_baggage(std::string_view value, size_t& budget, model::Baggage& out) {
  std::string_view rest = value;
  std::string_view member;
  while (next_piece(rest, ',', member)) {
    // A member is read whole or not at all.
    if (member.size() > budget) {
      budget = 0;
      return;
    }
    budget -= std::min(budget, member.size() + 1);
    const std::string_view pair = member.substr(0, member.find(';'));  // properties follow
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos) {
      continue;
    }
    const std::string_view key = trim(pair.substr(0, equals));
    const std::string_view encoded = trim(pair.substr(equals + 1));
    if (!is_token(key) || !std::all_of(encoded.begin(), encoded.end(), is_baggage_octet)) {
      continue;
    }
    std::string decoded = replace_invalid_utf8(percent_decode(encoded));
    const auto same =
        std::find_if(out.begin(), out.end(), [&](const auto& entry) { return entry.first == key; });
    if (same != out.end()) {
      same->second = std::move(decoded);
    } else if (out.size() < kMaxBaggageEntries) {
      out.emplace_back(key, std::move(decoded));
    }
  }
}

}  // namespace zerospan::propagation
