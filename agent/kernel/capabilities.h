// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What this kernel and this process's privileges allow, found by trying. For `zerospan check`.
#pragma once

#include <string>
#include <vector>

#include "agent/kernel/capture.h"

namespace zerospan::kernel {

struct Capability {
  std::string name;
  bool available = false;
  std::string detail;                     // what is lost without it, and what to grant or change
  CaptureKind kind = CaptureKind::kAuto;  // of a capture kind; they are in the order of kAuto
};

// `btf_file` as in CaptureOptions.
[[nodiscard]] std::vector<Capability> probe_capabilities(const std::string& btf_file);

}  // namespace zerospan::kernel
