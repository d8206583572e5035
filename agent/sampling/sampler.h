// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The head sampler: which traces are kept. The decision is made once, at a trace's first span in
// this agent, and is a pure function of the trace id and of what the remote parent decided.
//
// Samplers of the OpenTelemetry SDK (https://opentelemetry.io/docs/specs/otel/trace/sdk/#sampling),
// named as OTEL_TRACES_SAMPLER names them. Immutable: any thread may call sample().
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "agent/core/result.h"
#include "agent/model/trace_context.h"

namespace zerospan::sampling {

enum class Kind : uint8_t {
  kAlwaysOn,
  kAlwaysOff,
  kTraceIdRatio,
  kParentBasedAlwaysOn,
  kParentBasedAlwaysOff,
  kParentBasedTraceIdRatio,
};

struct KindName {
  std::string_view name;
  Kind kind;
};
[[nodiscard]] std::span<const KindName> kind_names();

struct Options {
  Kind kind = Kind::kParentBasedAlwaysOn;
  double ratio = 1.0;  // 0 to 1; used by the two ratio kinds only
};

class Sampler {
 public:
  // Fails when the ratio is not a number from 0 to 1.
  [[nodiscard]] static Result<Sampler> make(const Options& options);

  // `parent_sampled`: the remote parent's decision; unset for a root and for a parent that left the
  // decision to others. The ratio kinds read the last 7 bytes of the trace id as a number R of 56
  // bits, and keep the trace when R >= (1 - ratio) * 2^56: the rule of the OpenTelemetry
  // specification for traces whose id is random as W3C Trace Context Level 2 defines it
  // (https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/). These bytes
  // are random also in ids that B3 pads and in ids of X-Ray. Of two samplers the one with the
  // larger ratio keeps everything that the other keeps.
  [[nodiscard]] bool sample(const model::TraceId& trace_id,
                            const std::optional<bool>& parent_sampled) const {
    if (parent_based_ && parent_sampled) {
      return *parent_sampled;
    }
    return (trace_id.low_u64() & kRandomness) >= threshold_;
  }

  // What sample() decides by, for the kernel side, which decides too.
  [[nodiscard]] bool parent_based() const { return parent_based_; }
  [[nodiscard]] uint64_t threshold() const { return threshold_; }

 private:
  static constexpr uint64_t kRandomness = (uint64_t{1} << 56U) - 1;

  Sampler(bool parent_based, uint64_t threshold)
      : parent_based_(parent_based), threshold_(threshold) {}

  bool parent_based_;
  uint64_t threshold_;  // 0 keeps all, 2^56 nothing
};

}  // namespace zerospan::sampling
