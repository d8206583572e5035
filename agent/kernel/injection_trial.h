// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The injecting program once more, with maps of its own in which this process is the only one that
// is traced: what propagation::run_self_test puts its connections under. No connection of any other
// process comes near it.
#pragma once

#include <memory>

#include "agent/core/result.h"
#include "agent/kernel/btf.h"

namespace zerospan::kernel {

class InjectionTrial {
 public:
  // Loading takes some tenths of a second.
  static Result<std::unique_ptr<InjectionTrial>> make(const KernelBtf& btf);
  ~InjectionTrial();
  InjectionTrial(const InjectionTrial&) = delete;
  InjectionTrial& operator=(const InjectionTrial&) = delete;

  // One thread. A connected TCP socket of this process.
  Status put_in(int fd);
  Status take_out(int fd);

 private:
  struct Impl;
  explicit InjectionTrial(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace zerospan::kernel
