// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/sampling/sampler.h"

#include <array>
#include <cmath>
#include <string>

namespace zerospan::sampling {

namespace {

constexpr std::array kKindNames = {
    KindName{"always_on", Kind::kAlwaysOn},
    KindName{"always_off", Kind::kAlwaysOff},
    KindName{"traceidratio", Kind::kTraceIdRatio},
    KindName{"parentbased_always_on", Kind::kParentBasedAlwaysOn},
    KindName{"parentbased_always_off", Kind::kParentBasedAlwaysOff},
    KindName{"parentbased_traceidratio", Kind::kParentBasedTraceIdRatio},
};

constexpr uint64_t kKeepAll = 0;
constexpr uint64_t kKeepNone = 1ULL << 56U;

uint64_t threshold_of(double ratio) {
  return static_cast<uint64_t>(std::llround((1.0 - ratio) * static_cast<double>(kKeepNone)));
}

}  // namespace

std::span<const KindName> kind_names() {
  return kKindNames;
}

Result<Sampler> Sampler::make(const Options& options) {
  if (!(options.ratio >= 0.0 && options.ratio <= 1.0)) {
    return fail(ErrorCode::kInvalidArgument, "The sampling ratio is " +
                                                 std::to_string(options.ratio) +
                                                 "; it must be a number from 0 to 1.");
  }
  switch (options.kind) {
    case Kind::kAlwaysOn:
      return Sampler(false, kKeepAll);
    case Kind::kAlwaysOff:
      return Sampler(false, kKeepNone);
    case Kind::kTraceIdRatio:
      return Sampler(false, threshold_of(options.ratio));
    case Kind::kParentBasedAlwaysOn:
      return Sampler(true, kKeepAll);
    case Kind::kParentBasedAlwaysOff:
      return Sampler(true, kKeepNone);
    case Kind::kParentBasedTraceIdRatio:
      return Sampler(true, threshold_of(options.ratio));
  }
  return fail(ErrorCode::kInternal, "The sampler kind is outside its enumeration.");
}

}  // namespace zerospan::sampling
