// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The file that has a stripped file's debug information, where GDB looks for it (GDB manual,
// "Debugging Information in Separate Files").
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "symbols/elf/file.h"

namespace zerospan::symbols::elf {

struct DebugLink {
  std::string name;
  uint32_t crc = 0;
};

// .gnu_debuglink; none if it is missing, malformed, or names a path instead of a file.
[[nodiscard]] std::optional<DebugLink> debug_link(const File& file);

// zlib's CRC-32 of the whole source; none if it cannot be read, or is larger than 4 GiB.
[[nodiscard]] std::optional<uint32_t> crc32_of(const ByteSource& source);

// First by build id in `root`/.build-id (usually /usr/lib/debug), then by .gnu_debuglink in the
// program's folder, its .debug, and the same folder under `root`. `path` is where `file` was found.
// The id or the CRC must agree; kNotFound if no file does.
[[nodiscard]] Result<File> open_debug_file(const File& file, const std::string& path,
                                           const std::string& root);

}  // namespace zerospan::symbols::elf
