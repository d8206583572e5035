// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// From a URL path to a route of low cardinality: by the operator's templates, or by a heuristic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "agent/core/result.h"

namespace zerospan::spans {

// Templates such as "/users/{id}/files/{path...}", compiled to a tree of segments. A template is a
// path whose segments are literals (compared byte by byte with the path as on the wire), "{name}"
// (any one non-empty segment), and at the end "{name...}" or "*" (whatever is left, also nothing).
// The first template of the list that matches wins. Immutable once made; any thread.
class RouteTable {
 public:
  RouteTable() = default;  // matches nothing

  [[nodiscard]] static Result<RouteTable> make(const std::vector<std::string>& templates);

  // The template that matches, empty if none does. The view lives as long as the table. Visits each
  // node of the tree at most once.
  [[nodiscard]] std::string_view match(std::string_view path) const;

  [[nodiscard]] bool empty() const { return templates_.empty(); }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Node {
    std::vector<std::pair<std::string, uint32_t>> literals;  // segment -> node
    uint32_t parameter = kNone;                              // node for "{name}"
    uint32_t ends_here = kNone;  // index of the template that ends at this node
    uint32_t rest = kNone;       // index of the template with a trailing wildcard here
    uint32_t lowest = kNone;     // the lowest template index below: what cannot win is not visited
  };

  Status add(uint32_t index);
  uint32_t new_node();
  void visit(uint32_t at, std::string_view rest, bool more, uint32_t& best) const;

  std::vector<std::string> templates_;
  std::vector<Node> nodes_;
};

// The path with each segment that looks like an identifier replaced: {uuid} (8-4-4-4-12 hexadecimal
// digits), {id} (numbers, dates and dotted numbers; hexadecimal of at least 8 digits of which one
// is decimal), {email}, {token} (16 or more letters, digits, '-', '_', '=' that mix as random text
// does). Empty if the path cannot be a route: no leading '/', control or non-ASCII bytes, longer
// than 256 bytes, more than 16 segments.
[[nodiscard]] std::string guess_route(std::string_view path);

// Bounds how many distinct guessed routes one resource (a process) may have; what comes after the
// bound has no route. Not thread-safe: one per worker. The same sequence of calls gives the same
// answers, so a replay over the same number of workers gives the same routes.
class RouteBudget {
 public:
  explicit RouteBudget(size_t max_per_resource) : max_per_resource_(max_per_resource) {}

  // True if `route` is known or there is room for it. With `may_learn` false only a known route is
  // admitted.
  [[nodiscard]] bool admit(uint64_t resource_id, std::string_view route, bool may_learn);

 private:
  // Beyond this many resources all is forgotten and learning starts again: bounded memory without
  // an eviction order, on a node that has seen that many processes come and go.
  static constexpr size_t kMaxResources = 1024;

  size_t max_per_resource_;
  std::unordered_map<uint64_t, std::unordered_set<uint64_t>> seen_;  // resource -> route hashes
};

}  // namespace zerospan::spans
