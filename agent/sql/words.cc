// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/sql/words.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace zerospan::sql {
namespace {

struct Entry {
  std::string_view word;
  Word kind;
};

constexpr auto kWords = std::to_array<Entry>({
    {"ALTER", Word::kDefine},
    {"ANALYZE", Word::kOnObject},
    {"AS", Word::kAs},
    {"CALL", Word::kOnObject},
    {"CONCURRENTLY", Word::kModifier},
    {"COPY", Word::kCopy},
    {"CREATE", Word::kDefine},
    {"DATABASE", Word::kKind},
    {"DELETE", Word::kChange},
    {"DESCRIBE", Word::kOnObject},
    {"DISTINCT", Word::kDistinct},
    {"DROP", Word::kDefine},
    {"EXCEPT", Word::kEndOfFrom},
    {"EXEC", Word::kOnObject},
    {"EXISTS", Word::kModifier},
    {"EXPLAIN", Word::kExplain},
    {"EXTENSION", Word::kKind},
    {"FALSE", Word::kBoolean},
    {"FETCH", Word::kEndOfFrom},
    {"FOR", Word::kEndOfFrom},
    {"FREEZE", Word::kModifier},
    {"FROM", Word::kFrom},
    {"FULL", Word::kModifier},
    {"FUNCTION", Word::kKind},
    {"GLOBAL", Word::kModifier},
    {"GROUP", Word::kEndOfFrom},
    {"HAVING", Word::kEndOfFrom},
    {"IF", Word::kModifier},
    {"IN", Word::kIn},
    {"INDEX", Word::kKind},
    {"INSERT", Word::kChange},
    {"INTERSECT", Word::kEndOfFrom},
    {"INTO", Word::kTarget},
    {"IS", Word::kIs},
    {"JOIN", Word::kTarget},
    {"LATERAL", Word::kModifier},
    {"LIMIT", Word::kEndOfFrom},
    {"LOCAL", Word::kModifier},
    {"LOCK", Word::kOnObject},
    {"MATERIALIZED", Word::kModifier},
    {"MERGE", Word::kChange},
    {"NOT", Word::kModifier},
    {"OFFSET", Word::kEndOfFrom},
    {"ONLY", Word::kModifier},
    {"OR", Word::kModifier},
    {"ORDER", Word::kEndOfFrom},
    {"PROCEDURE", Word::kKind},
    {"RECURSIVE", Word::kModifier},
    {"REFRESH", Word::kDefine},
    {"REINDEX", Word::kDefine},
    {"REPLACE", Word::kChange},
    {"RETURNING", Word::kEndOfFrom},
    {"ROLE", Word::kKind},
    {"SCHEMA", Word::kKind},
    {"SELECT", Word::kSelect},
    {"SEQUENCE", Word::kKind},
    {"SET", Word::kEndOfFrom},
    {"TABLE", Word::kKind},
    {"TABLES", Word::kKind},
    {"TABLESPACE", Word::kKind},
    {"TEMP", Word::kModifier},
    {"TEMPORARY", Word::kModifier},
    {"TRIGGER", Word::kKind},
    {"TRUE", Word::kBoolean},
    {"TRUNCATE", Word::kOnObject},
    {"TYPE", Word::kKind},
    {"UNION", Word::kEndOfFrom},
    {"UNIQUE", Word::kModifier},
    {"UNLOGGED", Word::kModifier},
    {"UPDATE", Word::kUpdate},
    {"USE", Word::kOnObject},
    {"USER", Word::kKind},
    {"USING", Word::kEndOfFrom},
    {"VACUUM", Word::kOnObject},
    {"VALUES", Word::kValues},
    {"VERBOSE", Word::kModifier},
    {"VIEW", Word::kKind},
    {"WHERE", Word::kEndOfFrom},
    {"WINDOW", Word::kEndOfFrom},
    {"WITH", Word::kWith},
});

constexpr size_t kShortest = 2;
constexpr size_t kLongest = 12;

constexpr char upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

// By first and last letter and length: enough to keep a bucket to few words.
constexpr size_t kBuckets = 256;
constexpr size_t bucket_of(char first, char last, size_t length) {
  return (static_cast<uint8_t>(first) * 31U + static_cast<uint8_t>(last) * 7U + length * 67U) %
         kBuckets;
}

struct Table {
  std::array<uint8_t, kBuckets + 1> begin{};
  std::array<uint8_t, kWords.size()> order{};
};

constexpr Table make_table() {
  Table table;
  size_t filled = 0;
  for (size_t bucket = 0; bucket < kBuckets; ++bucket) {
    table.begin[bucket] = static_cast<uint8_t>(filled);
    for (size_t i = 0; i < kWords.size(); ++i) {
      const std::string_view word = kWords[i].word;
      if (bucket_of(word.front(), word.back(), word.size()) == bucket) {
        table.order[filled++] = static_cast<uint8_t>(i);
      }
    }
  }
  table.begin[kBuckets] = static_cast<uint8_t>(filled);
  return table;
}

constexpr Table kTable = make_table();

}  // namespace

Word classify(std::string_view word) {
  if (word.size() < kShortest || word.size() > kLongest) {
    return Word::kOther;
  }
  const size_t bucket = bucket_of(upper(word.front()), upper(word.back()), word.size());
  for (size_t i = kTable.begin[bucket]; i < kTable.begin[bucket + 1]; ++i) {
    const Entry& entry = kWords[kTable.order[i]];
    if (entry.word.size() == word.size() &&
        std::equal(word.begin(), word.end(), entry.word.begin(),
                   [](char a, char b) { return upper(a) == b; })) {
      return entry.kind;
    }
  }
  return Word::kOther;
}

}  // namespace zerospan::sql
