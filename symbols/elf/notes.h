// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The ids that linkers write into notes (gABI "Note Section"), in a file's segments and sections.
#pragma once

#include <string>

#include "symbols/elf/file.h"

namespace zerospan::symbols::elf {

// NT_GNU_BUILD_ID in lower-case hexadecimal; empty if there is none. Identifies the contents.
[[nodiscard]] std::string build_id(const File& file);

// What cmd/link writes (ELF_NOTE_GOBUILDID_TAG): four hashes in base64, joined by '/'; empty if
// there is none. Identifies the build.
[[nodiscard]] std::string go_build_id(const File& file);

}  // namespace zerospan::symbols::elf
