// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/sql/words.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

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
    {"KEYSPACE", Word::kKind},
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

// A word as two numbers, its letters in lower case. Bytes that are no letters change too, but not
// into letters of another word: '@' and '[' are not in names, and no word has a digit or '_'.
struct Key {
  uint64_t low = 0;
  uint64_t high = 0;
  constexpr bool operator==(const Key&) const = default;
};

constexpr uint64_t kLowerCase = 0x2020202020202020;

constexpr Key key_of_word(std::string_view word) {
  Key key;
  for (size_t i = 0; i < word.size(); ++i) {
    (i < 8 ? key.low : key.high) |= static_cast<uint64_t>(static_cast<uint8_t>(word[i]) | 0x20U)
                                    << (i % 8 * 8);
  }
  return key;
}

// The same of a word in a text, by loads of eight bytes where they fit.
Key key_of_text(std::string_view text) {
  const auto load = [](const char* from, size_t size) {
    uint64_t value = 0;
    if (size == 8) {
      std::memcpy(&value, from, 8);
      return value | kLowerCase;
    }
    if (size >= 4) {
      uint32_t first = 0;
      uint32_t last = 0;
      std::memcpy(&first, from, 4);
      std::memcpy(&last, from + size - 4, 4);
      value = first | uint64_t{last} << ((size - 4) * 8);
    } else {
      for (size_t i = 0; i < size; ++i) {
        value |= uint64_t{static_cast<uint8_t>(from[i])} << (i * 8);
      }
    }
    return value | (kLowerCase & ((uint64_t{1} << (size * 8)) - 1));
  };
  if (text.size() <= 8) {
    return {load(text.data(), text.size()), 0};
  }
  return {load(text.data(), 8), load(text.data() + 8, text.size() - 8)};
}

constexpr size_t kBuckets = 512;
constexpr size_t bucket_of(const Key& key) {
  return ((key.low ^ key.high << 1U) * 0x9e3779b97f4a7c15ULL) >> 55U;
}

struct Table {
  std::array<uint8_t, kBuckets + 1> begin{};
  std::array<Key, kWords.size()> keys{};
  std::array<Word, kWords.size()> kinds{};
};

constexpr Table make_table() {
  std::array<Key, kWords.size()> keys{};
  std::array<uint8_t, kBuckets + 1> counts{};
  for (size_t i = 0; i < kWords.size(); ++i) {
    keys[i] = key_of_word(kWords[i].word);
    ++counts[bucket_of(keys[i])];
  }
  Table table;
  for (size_t bucket = 0; bucket < kBuckets; ++bucket) {
    table.begin[bucket + 1] = static_cast<uint8_t>(table.begin[bucket] + counts[bucket]);
  }
  for (size_t i = 0; i < kWords.size(); ++i) {
    const size_t bucket = bucket_of(keys[i]);
    const size_t at = table.begin[bucket + 1] - counts[bucket]--;
    table.keys[at] = keys[i];
    table.kinds[at] = kWords[i].kind;
  }
  return table;
}

constexpr Table kTable = make_table();

constexpr std::array<uint32_t, kLongestWord + 1> make_first_letters() {
  std::array<uint32_t, kLongestWord + 1> letters{};
  for (const Entry& entry : kWords) {
    letters[entry.word.size()] |= uint32_t{1} << (static_cast<uint8_t>(entry.word[0]) & 31U);
  }
  return letters;
}

}  // namespace

constinit const std::array<uint32_t, kLongestWord + 1> kFirstLetters = make_first_letters();

Word classify(std::string_view word) {
  static_assert(std::endian::native == std::endian::little);
  if (word.size() < kShortest || word.size() > kLongestWord) {
    return Word::kOther;
  }
  const Key key = key_of_text(word);
  const size_t bucket = bucket_of(key);
  for (size_t i = kTable.begin[bucket]; i < kTable.begin[bucket + 1]; ++i) {
    if (kTable.keys[i] == key) {
      return kTable.kinds[i];
    }
  }
  return Word::kOther;
}

}  // namespace zerospan::sql
