// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/route.h"

#include <xxhash.h>

#include <algorithm>

#include "agent/spans/text.h"

namespace zerospan::spans {

namespace {

constexpr size_t kMaxGuessedLength = 256;
constexpr size_t kMaxGuessedSegments = 16;

// Takes the segment up to the next '/' off `path`; `more` tells whether there was a '/'.
std::string_view take_segment(std::string_view& path, bool& more) {
  const size_t slash = path.find('/');
  more = slash != std::string_view::npos;
  const std::string_view segment = path.substr(0, slash);
  path.remove_prefix(more ? slash + 1 : path.size());
  return segment;
}

bool is_uuid(std::string_view s) {
  if (s.size() != 36) {
    return false;
  }
  for (size_t i = 0; i < s.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? s[i] != '-' : !is_hex_digit(s[i])) {
      return false;
    }
  }
  return true;
}

bool is_email(std::string_view s) {
  size_t at = s.find('@');
  size_t width = 1;
  if (at == std::string_view::npos) {
    at = s.find("%40");
    width = 3;
  }
  return at != std::string_view::npos && at > 0 &&
         s.find('.', at + width) != std::string_view::npos;
}

// The placeholder for an id-like segment, empty for a segment that is kept.
std::string_view placeholder(std::string_view s) {
  // Every kind has a digit ("%40" has), or is an e-mail address.
  if (std::none_of(s.begin(), s.end(), [](char c) { return is_digit(c) || c == '@'; })) {
    return {};
  }
  size_t digits = 0;
  size_t upper = 0;
  size_t lower = 0;
  size_t hex_letters = 0;
  size_t number_separators = 0;
  size_t token_separators = 0;
  size_t other = 0;
  for (char c : s) {
    if (is_digit(c)) {
      ++digits;
    } else if (is_alpha(c)) {
      ++(c <= 'Z' ? upper : lower);
      hex_letters += is_hex_digit(c) ? 1 : 0;
    } else if (c == '-' || c == '_' || c == '=') {
      ++token_separators;
      number_separators += c == '-' ? 1 : 0;
    } else if (c == '.' || c == ':') {
      ++number_separators;
      ++other;
    } else {
      ++other;
    }
  }
  if (digits > 0 && digits + number_separators == s.size()) {
    return "{id}";
  }
  if (is_uuid(s)) {
    return "{uuid}";
  }
  if (s.size() >= 8 && digits > 0 && digits + hex_letters == s.size()) {
    return "{id}";
  }
  if (is_email(s)) {
    return "{email}";
  }
  // Words joined by dashes have one case and few digits; random text has both cases, or no joints.
  if (s.size() >= 16 && other == 0 && digits >= 3 &&
      ((upper > 0 && lower > 0) || token_separators == 0)) {
    return "{token}";
  }
  return {};
}

}  // namespace

uint32_t RouteTable::new_node() {
  nodes_.emplace_back();
  return static_cast<uint32_t>(nodes_.size() - 1);
}

Status RouteTable::add(uint32_t index) {
  const std::string& text = templates_[index];
  const auto wrong = [&](std::string_view what) {
    return fail(ErrorCode::kInvalidArgument, "route template \"" + text +
                                                 "\": " + std::string(what) +
                                                 "; write it as in /users/{id}/files/{path...}");
  };
  if (text.empty() || text.front() != '/') {
    return wrong("it must begin with '/'");
  }
  std::string_view rest = std::string_view(text).substr(1);
  uint32_t at = 0;
  bool more = true;
  while (more) {
    nodes_[at].lowest = std::min(nodes_[at].lowest, index);
    const std::string_view segment = take_segment(rest, more);
    const bool braces = segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
    const bool wildcard = segment == "*" || (braces && segment.ends_with("...}"));
    if (wildcard) {
      if (more) {
        return wrong("a wildcard must be its last segment");
      }
      nodes_[at].rest = std::min(nodes_[at].rest, index);
      return {};
    }
    uint32_t next = kNone;
    if (braces) {
      next = nodes_[at].parameter;
      if (next == kNone) {
        next = new_node();
        nodes_[at].parameter = next;
      }
    } else {
      if (segment.find_first_of("{}*?") != std::string_view::npos) {
        return wrong("'{', '}', '*' and '?' cannot be part of a literal segment");
      }
      const auto& literals = nodes_[at].literals;
      const auto found = std::find_if(literals.begin(), literals.end(),
                                      [&](const auto& entry) { return entry.first == segment; });
      if (found != literals.end()) {
        next = found->second;
      } else {
        next = new_node();
        nodes_[at].literals.emplace_back(segment, next);
      }
    }
    at = next;
  }
  nodes_[at].lowest = std::min(nodes_[at].lowest, index);
  nodes_[at].ends_here = std::min(nodes_[at].ends_here, index);
  return {};
}

Result<RouteTable> RouteTable::make(const std::vector<std::string>& templates) {
  RouteTable table;
  table.templates_ = templates;
  table.new_node();
  for (uint32_t i = 0; i < templates.size(); ++i) {
    if (Status status = table.add(i); !status) {
      return tl::unexpected<Error>(status.error());
    }
  }
  for (Node& node : table.nodes_) {
    std::sort(node.literals.begin(), node.literals.end());
  }
  return table;
}

void RouteTable::visit(uint32_t at, std::string_view rest, bool more, uint32_t& best) const {
  const Node& node = nodes_[at];
  if (node.lowest >= best) {
    return;
  }
  if (!more) {
    best = std::min(best, node.ends_here);
    return;
  }
  best = std::min(best, node.rest);
  const std::string_view segment = take_segment(rest, more);
  const auto literal =
      std::lower_bound(node.literals.begin(), node.literals.end(), segment,
                       [](const auto& entry, std::string_view s) { return entry.first < s; });
  if (literal != node.literals.end() && literal->first == segment) {
    visit(literal->second, rest, more, best);
  }
  if (node.parameter != kNone && !segment.empty()) {
    visit(node.parameter, rest, more, best);
  }
}

std::string_view RouteTable::match(std::string_view path) const {
  if (templates_.empty() || path.empty() || path.front() != '/') {
    return {};
  }
  uint32_t best = kNone;
  visit(0, path.substr(1), true, best);
  return best == kNone ? std::string_view{} : std::string_view(templates_[best]);
}

std::string guess_route(std::string_view path) {
  if (path.empty() || path.front() != '/' || path.size() > kMaxGuessedLength ||
      !std::all_of(path.begin(), path.end(), [](char c) { return c > 0x20 && c < 0x7f; })) {
    return {};
  }
  std::string route;
  route.reserve(path.size() + 8);
  std::string_view rest = path.substr(1);
  bool more = true;
  for (size_t segments = 0; more; ++segments) {
    if (segments == kMaxGuessedSegments) {
      return {};
    }
    const std::string_view segment = take_segment(rest, more);
    const std::string_view replaced = placeholder(segment);
    route.push_back('/');
    route.append(replaced.empty() ? segment : replaced);
  }
  return route;
}

bool RouteBudget::admit(uint64_t resource_id, std::string_view route, bool may_learn) {
  const uint64_t hash = XXH3_64bits(route.data(), route.size());
  auto found = seen_.find(resource_id);
  if (found != seen_.end() && found->second.contains(hash)) {
    return true;
  }
  if (!may_learn) {
    return false;
  }
  if (found == seen_.end()) {
    if (seen_.size() >= kMaxResources) {
      seen_.clear();
    }
    found = seen_.try_emplace(resource_id).first;
  }
  if (found->second.size() >= max_per_resource_) {
    return false;
  }
  found->second.insert(hash);
  return true;
}

}  // namespace zerospan::spans
