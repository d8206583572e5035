// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The operations of a GraphQL document (https://spec.graphql.org/October2021/), which may have been
// cut off at any byte. Pure functions over hostile bytes: no recursion, bounded.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace zerospan::spans {

struct GraphqlOperation {
  std::string_view type;  // query, mutation or subscription
  std::string_view name;  // empty: it has none
};

struct GraphqlDocument {
  static constexpr size_t kMost = 16;

  // Whose selection set has begun.
  std::array<GraphqlOperation, kMost> operations{};
  size_t count = 0;
  // No byte so far says that this is not an executable document with an operation in it.
  bool valid = false;
  bool whole = false;      // all definitions are, and there is no other operation
  bool shorthand = false;  // "{ ... }", a query that does not say so
};

// `cut`: more may come behind `text`.
[[nodiscard]] GraphqlDocument read_graphql(std::string_view text, bool cut);

}  // namespace zerospan::spans
