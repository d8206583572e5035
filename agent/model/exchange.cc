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

// Length and first letter sort out nearly all other names before a comparison.
struct Candidates {
  static constexpr size_t kMost = 3;  // names of one length
  std::array<uint8_t, kMost> at{};
  uint8_t count = 0;
};
constexpr size_t kLongest = 24;

constexpr std::array<Candidates, kLongest + 1> by_length() {
  std::array<Candidates, kLongest + 1> all{};
  for (size_t i = 0; i < kNames.size(); ++i) {
    Candidates& same = all[kNames[i].size()];
    same.at[same.count++] = static_cast<uint8_t>(i);
  }
  return all;
}
constexpr auto kByLength = by_length();

}  // namespace

KnownHeader recognise_header(std::string_view name) {
  if (name.empty() || name.size() > kLongest) {
    return KnownHeader::kOther;
  }
  const Candidates& same = kByLength[name.size()];
  const char first = static_cast<char>(name.front() | 0x20);
  for (size_t i = 0; i < same.count; ++i) {
    const std::string_view candidate = kNames[same.at[i]];
    if (candidate.front() == first &&
        strncasecmp(candidate.data(), name.data(), name.size()) == 0) {
      return static_cast<KnownHeader>(same.at[i]);
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
