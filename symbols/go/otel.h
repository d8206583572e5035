// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The OpenTelemetry SDK that a Go program carries: which spans its instrumentation makes, by the
// modules that are in it and, as a module may hold a server's and a client's part, by the functions
// that the linker kept. That they are linked does not prove that they are configured: the program's
// span processor must run (its goroutine is in `queue`).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "agent/core/span_class.h"
#include "symbols/go/build_info.h"
#include "symbols/go/pclntab.h"

namespace zerospan::symbols::go {

struct OtelModules {
  bool sdk = false;       // go.opentelemetry.io/otel/sdk
  SpanClasses makes = 0;  // without an SDK nothing
  // False: the program never sets a propagator, so that its calls carry no context.
  bool propagates = true;
  bool functions_known = false;   // what follows
  bool exports_at_once = false;   // it has the span processor that needs no goroutine
  std::optional<Function> queue;  // what the other one's goroutine runs
  std::vector<Module> modules;    // all below go.opentelemetry.io, and other instrumentation
};

// By the modules alone: what the program may make at most.
[[nodiscard]] OtelModules find_otel(const BuildInfo& build);

// The functions that tell more, and what they tell: `found` is what FunctionTable::find() gave for
// exactly these.
[[nodiscard]] std::vector<std::string_view> otel_functions();
void narrow(std::span<const std::optional<Function>> found, OtelModules& otel);

}  // namespace zerospan::symbols::go
