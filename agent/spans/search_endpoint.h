// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The endpoints of Elasticsearch's API, most of which OpenSearch has too: what a method and a path
// ask for, by the identifiers of
// https://www.elastic.co/docs/api/doc/elasticsearch/ and
// https://docs.opensearch.org/latest/api-reference/. Pure functions over hostile bytes; the views
// point into the arguments.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace zerospan::spans {

struct SearchEndpoint {
  struct Part {
    std::string_view key;    // of the attribute: "db.operation.parameter.index"; constant
    std::string_view value;  // as in the path
  };
  static constexpr size_t kMostParts = 3;

  std::string_view id;  // constant; empty: the table does not have it
  std::array<Part, kMostParts> parts{};
  size_t part_count = 0;
  std::string_view index;  // the part of that name; empty: it has none
};

// What only looks like another endpoint gives none: names that begin with "_" are no index.
[[nodiscard]] SearchEndpoint find_search_endpoint(std::string_view method, std::string_view path);

}  // namespace zerospan::spans
