// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The text of docs/config.md, generated from the table of options.
#pragma once

#include <string>

namespace zerospan::config {

[[nodiscard]] std::string config_document();

}  // namespace zerospan::config
