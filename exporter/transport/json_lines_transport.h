// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// OTLP/JSON lines, one ExportTraceServiceRequest each, as the collector's file exporter writes and
// its file receiver reads them: appended to a file, or written to a stream such as standard output.
#pragma once

#include <memory>
#include <string>

#include "agent/core/result.h"
#include "agent/core/unique_fd.h"
#include "exporter/batch/transport.h"

namespace zerospan::transport {

// Opens for appending, creating with mode 0644. A line that a regular file has no room for (ENOSPC,
// EDQUOT, EFBIG) is refused and leaves nothing behind, so the file keeps whole lines only.
[[nodiscard]] Result<std::unique_ptr<batch::Transport>> make_file_transport(
    const std::string& path);

// Takes the descriptor over. A reader that is slow (a pipe) is waited for until send's deadline;
// then the line may be cut, and the next one starts on a line of its own.
[[nodiscard]] Result<std::unique_ptr<batch::Transport>> make_stream_transport(UniqueFd stream,
                                                                              std::string name);

}  // namespace zerospan::transport
