// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Where the running kernel's types (BTF, Documentation/bpf/btf.rst) are read from. Relocations need
// them, and so does every program on a tracepoint of type tp_btf: it names its tracepoint by a
// number that only the BTF has which the kernel was built with.
#pragma once

#include <bpf/libbpf.h>

#include <string>

#include "agent/core/result.h"

namespace zerospan::kernel {

class KernelBtf {
 public:
  // Looks for the kernel's own; if it cannot be read, takes `file`, which may be empty, and must be
  // of exactly this kernel. From then on all objects of this process use what was found. To be
  // called before any is opened, by one thread.
  static Result<KernelBtf> find(const std::string& file);

  // For an object that is opened. Valid as long as this.
  [[nodiscard]] bpf_object_open_opts open_options() const;
  // What was found, for the operator.
  [[nodiscard]] std::string description() const;

 private:
  std::string file_;           // empty: the kernel's own, which libbpf finds
  bool is_shown_ = true;       // it is in /sys; else libbpf has found a vmlinux
  bool is_identical_ = false;  // the kernel has told that the file is its own
};

// Attaches the programs of a loaded object as its skeleton does, and those of tp_btf whose numbers
// came from a file. 0, or a negative errno.
int attach_skeleton(bpf_object_skeleton* skeleton);

}  // namespace zerospan::kernel
