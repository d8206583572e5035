// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// One readable JSON object per span; the README of this folder lists the keys.
#pragma once

#include <string>

#include "agent/model/span.h"

namespace zerospan::viewer {

// One line with its newline. Pure ASCII: everything else is escaped as JSON allows, so that no
// terminal can be harmed; malformed UTF-8 becomes U+FFFD.
[[nodiscard]] std::string json_line(const model::Span& span);

}  // namespace zerospan::viewer
