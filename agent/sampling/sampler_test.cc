// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/sampling/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "agent/core/mix.h"

namespace zerospan::sampling {
namespace {

model::TraceId trace_id(uint64_t high, uint64_t low) {
  model::TraceId id;
  for (size_t i = 0; i < 8; ++i) {
    id.bytes[i] = static_cast<uint8_t>(high >> (56U - 8U * i));
    id.bytes[8 + i] = static_cast<uint8_t>(low >> (56U - 8U * i));
  }
  return id;
}

Sampler sampler(Kind kind, double ratio = 1.0) {
  return Sampler::make({.kind = kind, .ratio = ratio}).value();
}

TEST(Sampler, EachKindWithEachParent) {
  const model::TraceId lowest = trace_id(~0ULL, 0xff00000000000000);
  const model::TraceId highest = trace_id(1, 0x00ffffffffffffff);
  struct Case {
    Kind kind;
    double ratio;
    bool root_lowest, root_highest, parent_kept, parent_dropped;  // the last two with `lowest`
  };
  const Case cases[] = {
      {Kind::kAlwaysOn, 0.0, true, true, true, true},
      {Kind::kAlwaysOff, 1.0, false, false, false, false},
      {Kind::kTraceIdRatio, 1.0, true, true, true, true},
      {Kind::kTraceIdRatio, 0.5, false, true, false, false},
      {Kind::kTraceIdRatio, 0.0, false, false, false, false},
      {Kind::kParentBasedAlwaysOn, 0.0, true, true, true, false},
      {Kind::kParentBasedAlwaysOff, 1.0, false, false, true, false},
      {Kind::kParentBasedTraceIdRatio, 0.5, false, true, true, false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(static_cast<int>(c.kind));
    const Sampler s = sampler(c.kind, c.ratio);
    EXPECT_EQ(s.sample(lowest, std::nullopt), c.root_lowest);
    EXPECT_EQ(s.sample(highest, std::nullopt), c.root_highest);
    EXPECT_EQ(s.sample(lowest, true), c.parent_kept);
    EXPECT_EQ(s.sample(lowest, false), c.parent_dropped);
  }
}

TEST(Sampler, TheThresholdIsExact) {
  const Sampler quarter = sampler(Kind::kTraceIdRatio, 0.25);
  EXPECT_TRUE(quarter.sample(trace_id(0, 0x00c0000000000000), std::nullopt));
  EXPECT_FALSE(quarter.sample(trace_id(~0ULL, 0xffbfffffffffffff), std::nullopt));
  // The smallest ratio that 56 bits can tell from nothing.
  const Sampler least = sampler(Kind::kTraceIdRatio, std::ldexp(1.0, -53));
  EXPECT_TRUE(least.sample(trace_id(0, 0x00ffffffffffffff), std::nullopt));
  EXPECT_FALSE(least.sample(trace_id(0, 0x00ffffffffffff00), std::nullopt));
}

TEST(Sampler, KeepsTheRatioOfManyTracesAndALargerRatioKeepsTheSameAndMore) {
  constexpr int kTraces = 100'000;
  for (const double ratio : {0.01, 0.1, 0.25, 0.5, 0.9}) {
    const Sampler s = sampler(Kind::kTraceIdRatio, ratio);
    const Sampler larger = sampler(Kind::kTraceIdRatio, ratio + 0.05);
    int kept = 0;
    for (uint64_t i = 0; i < kTraces; ++i) {
      const model::TraceId id = trace_id(mix64(i, 1), mix64(i, 2));
      const bool keep = s.sample(id, std::nullopt);
      kept += keep ? 1 : 0;
      ASSERT_TRUE(!keep || larger.sample(id, std::nullopt));
    }
    // Five standard deviations of the binomial distribution; the ids are fixed, so this is no dice.
    const double bound = 5 * std::sqrt(kTraces * ratio * (1 - ratio));
    EXPECT_NEAR(kept, kTraces * ratio, bound);
  }
}

TEST(Sampler, RefusesARatioOutsideItsRange) {
  for (const double ratio : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN()}) {
    const auto made = Sampler::make({.kind = Kind::kTraceIdRatio, .ratio = ratio});
    ASSERT_FALSE(made.has_value());
    EXPECT_EQ(made.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(Sampler, NamesAreThoseOfTheSpecification) {
  ASSERT_EQ(kind_names().size(), 6U);
  EXPECT_EQ(kind_names()[5].name, "parentbased_traceidratio");
}

}  // namespace
}  // namespace zerospan::sampling
