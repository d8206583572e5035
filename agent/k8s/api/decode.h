// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// One JSON value of the API server, in memory that is bounded whatever the text says.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "agent/core/result.h"

namespace zerospan::k8s {

// Without fields of the name managedFields, which are half of many objects and tell nothing of
// them. kMalformed: not JSON. kUnsupported: nested more than 64 deep, or in memory larger than
// about max_bytes.
[[nodiscard]] Result<nlohmann::json> decode(std::string_view text, size_t max_bytes);

// The string at object[key], or object[outer][key]; empty: there is none.
[[nodiscard]] std::string string_at(const nlohmann::json& object, const char* key);
[[nodiscard]] std::string string_at(const nlohmann::json& object, const char* outer,
                                    const char* key);

}  // namespace zerospan::k8s
