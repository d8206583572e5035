// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/model/exchange.h"

#include <strings.h>

#include <array>

namespace zerospan::model {
namespace {

constexpr std::array<std::string_view, static_cast<size_t>(KnownHeader::kOther)> kNames = {
    "host",          "user-agent",      "content-length",   "transfer-encoding",
    "forwarded",     "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
    "traceparent",   "tracestate",      "baggage",          "b3",
    "x-b3-traceid",  "x-b3-spanid",     "x-b3-sampled",     "x-b3-flags",
    "uber-trace-id", "x-amzn-trace-id", "content-type",     "connect-protocol-version",
};

constexpr std::array<uint32_t, kKnownHeaderLengths> first_letters() {
  std::array<uint32_t, kKnownHeaderLengths> by_length{};
  for (const std::string_view name : kNames) {
    by_length.at(name.size()) |= 1U << (static_cast<uint8_t>(name.front()) & 31U);
  }
  return by_length;
}

}  // namespace

constinit const std::array<uint32_t, kKnownHeaderLengths> kKnownFirstLetters = first_letters();

KnownHeader recognise_likely_header(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i].size() == name.size() &&
        strncasecmp(kNames[i].data(), name.data(), name.size()) == 0) {
      return static_cast<KnownHeader>(i);
    }
  }
  return KnownHeader::kOther;
}

std::string_view HeaderBlock::find(std::string_view name) const {
  const std::string_view raw = raw_;
  for (const Field& f : fields_) {
    if (f.name_length == name.size() &&
        strncasecmp(raw.data() + f.name_at, name.data(), name.size()) == 0) {
      // A present but empty field still points into the head, so that data() != nullptr tells it
      // from an absent one.
      return raw.substr(f.value_at, f.value_length);
    }
  }
  return {};
}

}  // namespace zerospan::model
