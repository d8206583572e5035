// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Owns a libbpf skeleton: destroyed with all its links. Move-only. `Skeleton` is a generated struct
// whose static member functions open and destroy it.
#pragma once

#include <memory>

namespace zerospan::kernel {

template <typename Skeleton>
struct SkeletonDeleter {
  void operator()(Skeleton* skeleton) const { Skeleton::destroy(skeleton); }
};

template <typename Skeleton>
using SkeletonPtr = std::unique_ptr<Skeleton, SkeletonDeleter<Skeleton>>;

}  // namespace zerospan::kernel
