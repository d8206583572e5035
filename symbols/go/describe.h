// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// A GoBinary as text for people.
#pragma once

#include <string>

#include "symbols/go/inspect.h"

namespace zerospan::symbols::go {

// Lines that end in '\n': the build, the modules that matter here, offsets, probe sites and
// notices. Control characters of the file's own strings are replaced.
[[nodiscard]] std::string describe(const GoBinary& binary);

}  // namespace zerospan::symbols::go
