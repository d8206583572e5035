// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Header blocks of one direction (HPACK, RFC 7541), also when the connection was open before us or
// blocks were lost: fields that refer to table entries which were never seen are told as unknown,
// and the entries that are inserted from then on are learned. docs/decisions has the reasons why
// this is right without knowing the table's size.
//
// Owned by one connection, used by one thread. Total: any bytes. Bounded by Limits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace zerospan::protocols::http2 {

// The fields of one block in their order, in one buffer that is used again.
class FieldList {
 public:
  struct Field {
    std::string_view name;
    std::string_view value;
  };

  explicit FieldList(size_t max_bytes) : max_bytes_(max_bytes) {}

  void clear();
  // A field that does not fit any more is left out, and truncated() is true.
  void add(std::string_view name, std::string_view value);
  void add_unknown() { ++unknown_; }

  [[nodiscard]] size_t size() const { return places_.size(); }
  [[nodiscard]] Field operator[](size_t index) const;
  [[nodiscard]] size_t bytes() const { return text_.size(); }
  // How many more there were, of which the name at least is not known.
  [[nodiscard]] uint32_t unknown() const { return unknown_; }
  [[nodiscard]] bool truncated() const { return truncated_; }
  [[nodiscard]] size_t capacity_bytes() const;

 private:
  struct Place {
    uint32_t name_at, name_length, value_length;  // the value follows the name
  };
  size_t max_bytes_;
  std::string text_;
  std::vector<Place> places_;
  uint32_t unknown_ = 0;
  bool truncated_ = false;
};

class HpackDecoder {
 public:
  // `max_table_bytes`: how much of the encoder's table is remembered, in RFC 7541's measure of
  // entries (section 4.1). If the encoder's is larger, the entries behind are unknown.
  HpackDecoder(size_t max_table_bytes, bool seen_from_start)
      : max_kept_(max_table_bytes), older_unknown_(!seen_from_start), max_known_(seen_from_start) {}

  // Decodes one block and puts its fields into `out`, which is cleared before. `whole` false: the
  // block's end is missing; what was decoded before is right, and the table is forgotten. False:
  // this is no header block (section 4.3, 5 or 6 broken); then the table is forgotten too, and
  // `out` must not be believed.
  [[nodiscard]] bool decode(std::string_view block, bool whole, FieldList& out);

  // Blocks were lost: how many entries were inserted meanwhile is not known.
  void forget();

  // Is every entry of the encoder's table known? Then a reference to any other is an error.
  [[nodiscard]] bool complete() const { return !older_unknown_; }
  [[nodiscard]] size_t entries() const { return table_.size(); }
  [[nodiscard]] size_t memory_bytes() const;

 private:
  struct Entry {
    std::string name;
    std::string value;
    size_t size = 0;    // section 4.1; with an unknown name a lower bound
    bool known = true;  // false: at least its name is not
  };
  struct Reader;
  enum class Step : uint8_t { kOk, kCut, kInvalid };

  Step decode_field(Reader& in, FieldList& out);
  Step decode_literal(Reader& in, uint32_t prefix_bits, bool inserts, FieldList& out);
  Step resize(Reader& in);
  // Copies the field's name into name_. kOk and `known` false: an entry that was never seen.
  Step look_up(uint64_t index, bool& known);
  Step read_string(Reader& in, std::string& text);
  void insert(bool name_known);
  void evict_to(size_t bytes);

  size_t max_kept_;
  bool older_unknown_;  // the encoder's table may have entries behind ours
  bool max_known_;      // max_bytes_ is the encoder's maximum
  // Section 4.2. The encoder says each change at the start of a block, so SETTINGS need not be
  // seen.
  uint64_t max_bytes_ = 4096;
  std::deque<Entry> table_;  // the newest first
  size_t table_bytes_ = 0;
  std::string name_;
  std::string value_;
};

}  // namespace zerospan::protocols::http2
