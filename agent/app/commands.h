// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The sub-commands. Each returns the process's exit code: 0, or another after it has said on stderr
// what failed: 3 if `run` found another one on this host, else 1.
#pragma once

#include "agent/config/command_line.h"
#include "agent/core/result.h"

namespace zerospan::app {

// Says what failed, on stderr; the exit code for it.
int failed(const Error& error);

// run, trace and record: the live agent until SIGINT, SIGTERM or the duration's end.
int run_live(const config::Command& command);
int run_replay(const config::Command& command);
int run_check(const config::Command& command);

}  // namespace zerospan::app
