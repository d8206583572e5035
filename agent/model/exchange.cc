// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/model/exchange.h"

#include <strings.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <type_traits>
#include <utility>

namespace zerospan::model {
namespace {

constexpr std::array<std::string_view, static_cast<size_t>(KnownHeader::kOther)> kNames = {
    "host",
    "user-agent",
    "content-length",
    "transfer-encoding",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-sampled",
    "x-b3-flags",
    "uber-trace-id",
    "x-amzn-trace-id",
    "content-type",
    "connect-protocol-version",
    "authorization",
    "x-elastic-product",
    "x-elastic-client-meta",
    "x-clickhouse-server-display-name",
    "x-clickhouse-query-id",
    "x-clickhouse-user",
    "x-clickhouse-key",
    "x-clickhouse-database",
};

constexpr std::array<uint32_t, kKnownHeaderLengths> first_letters() {
  std::array<uint32_t, kKnownHeaderLengths> by_length{};
  for (const std::string_view name : kNames) {
    by_length.at(name.size()) |= 1U << (static_cast<uint8_t>(name.front()) & 31U);
  }
  return by_length;
}

// Which of kNames have a length: bit i stands for the name i.
constexpr std::array<uint32_t, kKnownHeaderLengths> names_by_length() {
  std::array<uint32_t, kKnownHeaderLengths> by_length{};
  for (size_t i = 0; i < kNames.size(); ++i) {
    by_length.at(kNames.at(i).size()) |= 1U << i;
  }
  return by_length;
}
constexpr std::array<uint32_t, kKnownHeaderLengths> kNamesByLength = names_by_length();

// A name in words, of which the last ones may overlap: names of one length are the same if their
// words are.
using Words = std::array<uint64_t, 4>;
static_assert(kKnownHeaderLengths == sizeof(Words) + 1);

template <typename Word>
constexpr uint64_t load(const char* at) {
  if (!std::is_constant_evaluated()) {
    Word word;
    std::memcpy(&word, at, sizeof(word));
    return word;
  }
  std::array<char, sizeof(Word)> bytes{};
  std::copy_n(at, bytes.size(), bytes.begin());
  return std::bit_cast<Word>(bytes);
}

constexpr Words to_words(std::string_view name) {
  const char* const begin = name.data();
  const size_t size = name.size();
  if (size >= 8) {
    return {load<uint64_t>(begin), load<uint64_t>(begin + std::min<size_t>(size - 8, 8)),
            load<uint64_t>(begin + std::min<size_t>(size - 8, 16)),
            load<uint64_t>(begin + size - 8)};
  }
  if (size >= 4) {
    return {load<uint32_t>(begin), load<uint32_t>(begin + size - 4), 0, 0};
  }
  return size >= 2 ? Words{load<uint16_t>(begin), load<uint16_t>(begin + size - 2), 0, 0} : Words{};
}

// A name equals a known one if its words do after `letter_bits` are set: the bit that tells upper
// from lower case, where the known one has a letter.
struct KnownName {
  Words words{};
  Words letter_bits{};
};

constexpr std::array<KnownName, kNames.size()> known_names() {
  std::array<KnownName, kNames.size()> all{};
  for (size_t i = 0; i < kNames.size(); ++i) {
    const std::string_view name = kNames.at(i);
    std::array<char, sizeof(Words)> bits{};
    for (size_t at = 0; at < name.size(); ++at) {
      bits.at(at) = name[at] >= 'a' && name[at] <= 'z' ? 0x20 : 0;
    }
    all.at(i) = {to_words(name), to_words({bits.data(), name.size()})};
  }
  return all;
}
constexpr std::array<KnownName, kNames.size()> kKnownNames = known_names();

}  // namespace

constinit const std::array<uint32_t, kKnownHeaderLengths> kKnownFirstLetters = first_letters();

std::vector<std::string_view> incomplete_names(uint32_t reasons) {
  constexpr auto kReasons = std::to_array<std::pair<IncompleteReason, std::string_view>>({
      {kGap, "gap"},
      {kHeadTruncated, "head_truncated"},
      {kRequestTimeUnknown, "request_time_unknown"},
      {kBodyEndUnknown, "body_end_unknown"},
      {kFieldsUnknown, "fields_unknown"},
      {kStatementUnknown, "statement_unknown"},
  });
  std::vector<std::string_view> names;
  for (const auto& [reason, name] : kReasons) {
    if ((reasons & reason) != 0) {
      names.push_back(name);
    }
  }
  return names;
}

KnownHeader recognise_likely_header(std::string_view name) {
  const Words words = to_words(name);
  for (uint32_t left = kNamesByLength[name.size()]; left != 0; left &= left - 1) {
    const auto candidate = static_cast<size_t>(std::countr_zero(left));
    const KnownName& known = kKnownNames[candidate];
    uint64_t difference = 0;
    for (size_t i = 0; i < words.size(); ++i) {
      difference |= (words[i] | known.letter_bits[i]) ^ known.words[i];
    }
    if (difference == 0) {
      return static_cast<KnownHeader>(candidate);
    }
  }
  return KnownHeader::kOther;
}

bool is_type_of_call(std::string_view content_type) {
  const std::string_view type = content_type.substr(0, content_type.find_first_of("; \t"));
  constexpr std::array<std::string_view, 3> kTypes = {"application/json", "application/graphql",
                                                      "application/json-rpc"};
  return std::any_of(kTypes.begin(), kTypes.end(), [&](std::string_view known) {
    return type.size() == known.size() && strncasecmp(type.data(), known.data(), type.size()) == 0;
  });
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
