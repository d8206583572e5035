// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Near misses of misspelt names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace zerospan::config {

// "; did you mean NAME?" for the candidate that is nearest to `name` by edit distance (Levenshtein,
// with neighbours swapped counted as one), empty when none is near.
[[nodiscard]] std::string did_you_mean(std::string_view name,
                                       const std::vector<std::string>& candidates);

}  // namespace zerospan::config
