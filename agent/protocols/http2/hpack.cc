// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/http2/hpack.h"

#include <utility>

#include "agent/protocols/http2/hpack_static_table.h"
#include "agent/protocols/http2/huffman.h"

namespace zerospan::protocols::http2 {
namespace {

constexpr size_t kEntryOverhead = 32;  // section 4.1
// An index behind all that is known, beyond what a table of 64 KiB can hold: these bytes are no
// header block. Encoders with larger tables exist on paper.
constexpr uint64_t kMaxUnknownIndex = kStaticTable.size() + 65536 / kEntryOverhead;
constexpr uint64_t kMaxInteger = 0xffffffff;

}  // namespace

void FieldList::clear() {
  text_.clear();
  places_.clear();
  unknown_ = 0;
  truncated_ = false;
}

void FieldList::add(std::string_view name, std::string_view value) {
  if (text_.size() + name.size() + value.size() > max_bytes_ ||
      places_.size() >= max_bytes_ / kEntryOverhead) {
    truncated_ = true;
    return;
  }
  places_.push_back({static_cast<uint32_t>(text_.size()), static_cast<uint32_t>(name.size()),
                     static_cast<uint32_t>(value.size())});
  text_.append(name).append(value);
}

FieldList::Field FieldList::operator[](size_t index) const {
  const Place& place = places_[index];
  const std::string_view text = text_;
  return {text.substr(place.name_at, place.name_length),
          text.substr(place.name_at + place.name_length, place.value_length)};
}

size_t FieldList::capacity_bytes() const {
  return text_.capacity() + places_.capacity() * sizeof(Place);
}

struct HpackDecoder::Reader {
  std::string_view rest;

  // An integer of section 5.1 with a prefix of `bits` in the first byte.
  Step integer(uint32_t bits, uint64_t& value) {
    if (rest.empty()) {
      return Step::kCut;
    }
    const uint64_t mask = (1U << bits) - 1;
    value = static_cast<uint8_t>(rest[0]) & mask;
    rest.remove_prefix(1);
    if (value < mask) {
      return Step::kOk;
    }
    for (uint32_t shift = 0;; shift += 7) {
      if (rest.empty()) {
        return Step::kCut;
      }
      const auto byte = static_cast<uint8_t>(rest[0]);
      rest.remove_prefix(1);
      const uint64_t add = byte & 0x7fU;
      if (shift >= 32 && add != 0) {
        return Step::kInvalid;
      }
      value += shift < 32 ? add << shift : 0;
      if (value > kMaxInteger || shift > 63) {
        return Step::kInvalid;
      }
      if ((byte & 0x80U) == 0) {
        return Step::kOk;
      }
    }
  }
};

bool HpackDecoder::decode(std::string_view block, bool whole, FieldList& out) {
  out.clear();
  Reader in{block};
  Step step = Step::kOk;
  while (step == Step::kOk && !in.rest.empty() &&
         (static_cast<uint8_t>(in.rest[0]) & 0xe0U) == 0x20) {
    step = resize(in);
  }
  while (step == Step::kOk && !in.rest.empty()) {
    step = decode_field(in, out);
  }
  if (step == Step::kOk && whole) {
    return true;
  }
  forget();
  return step != Step::kInvalid && !whole;
}

void HpackDecoder::forget() {
  table_.clear();
  table_bytes_ = 0;
  older_unknown_ = true;
  max_known_ = false;
}

// Section 6.3.
HpackDecoder::Step HpackDecoder::resize(Reader& in) {
  uint64_t size = 0;
  if (const Step step = in.integer(5, size); step != Step::kOk) {
    return step;
  }
  max_bytes_ = size;
  max_known_ = true;
  if (size < kEntryOverhead) {
    older_unknown_ = false;  // no entry fits, so there is none
  }
  evict_to(size);
  return Step::kOk;
}

HpackDecoder::Step HpackDecoder::decode_field(Reader& in, FieldList& out) {
  const auto first = static_cast<uint8_t>(in.rest[0]);
  if ((first & 0x80U) != 0) {  // section 6.1
    uint64_t index = 0;
    Step step = in.integer(7, index);
    if (step != Step::kOk) {
      return step;
    }
    if (index == 0) {
      return Step::kInvalid;
    }
    // The usual case without a copy on the way.
    if (index <= kStaticTable.size()) {
      out.add(kStaticTable[index - 1].name, kStaticTable[index - 1].value);
      return Step::kOk;
    }
    if (const uint64_t at = index - kStaticTable.size() - 1;
        at < table_.size() && table_[at].known) {
      out.add(table_[at].name, table_[at].value);
      return Step::kOk;
    }
    bool known = false;
    step = look_up(index, known);
    if (step == Step::kOk) {
      out.add_unknown();
    }
    return step;
  }
  if ((first & 0xc0U) == 0x40) {  // section 6.2.1
    return decode_literal(in, 6, true, out);
  }
  if ((first & 0xe0U) == 0x20) {
    return Step::kInvalid;  // section 4.2: only at the start of a block
  }
  return decode_literal(in, 4, false, out);  // sections 6.2.2 and 6.2.3
}

HpackDecoder::Step HpackDecoder::decode_literal(Reader& in, uint32_t prefix_bits, bool inserts,
                                                FieldList& out) {
  uint64_t index = 0;
  Step step = in.integer(prefix_bits, index);
  if (step != Step::kOk) {
    return step;
  }
  bool known = true;
  step = index == 0 ? read_string(in, name_) : look_up(index, known);
  if (step != Step::kOk) {
    return step;
  }
  step = read_string(in, value_);
  if (step != Step::kOk) {
    return step;
  }
  if (known) {
    out.add(name_, value_);
  } else {
    out.add_unknown();
  }
  if (inserts) {
    insert(known);
  }
  return Step::kOk;
}

HpackDecoder::Step HpackDecoder::look_up(uint64_t index, bool& known) {
  known = true;
  name_.clear();
  if (index <= kStaticTable.size()) {
    name_.assign(kStaticTable[index - 1].name);
    return Step::kOk;
  }
  const uint64_t at = index - kStaticTable.size() - 1;
  if (at < table_.size()) {
    known = table_[at].known;
    if (known) {
      name_.assign(table_[at].name);
    }
    return Step::kOk;
  }
  known = false;
  return older_unknown_ && index <= kMaxUnknownIndex ? Step::kOk : Step::kInvalid;
}

// Section 5.2.
HpackDecoder::Step HpackDecoder::read_string(Reader& in, std::string& text) {
  if (in.rest.empty()) {
    return Step::kCut;
  }
  const bool huffman = (static_cast<uint8_t>(in.rest[0]) & 0x80U) != 0;
  uint64_t length = 0;
  if (const Step step = in.integer(7, length); step != Step::kOk) {
    return step;
  }
  if (length > in.rest.size()) {
    return Step::kCut;
  }
  const std::string_view bytes = in.rest.substr(0, length);
  in.rest.remove_prefix(length);
  text.clear();
  if (!huffman) {
    text.assign(bytes);
    return Step::kOk;
  }
  return huffman_decode(bytes, text) ? Step::kOk : Step::kInvalid;
}

// Section 4.4.
void HpackDecoder::insert(bool name_known) {
  const size_t size = name_.size() + value_.size() + kEntryOverhead;
  if (max_known_ && size > max_bytes_) {
    // It does not fit: all others are gone, and it is not there either.
    evict_to(0);
    older_unknown_ = false;
    return;
  }
  if (max_known_) {
    evict_to(max_bytes_ - size);
  }
  Entry& entry = table_.emplace_front();
  entry.size = size;
  entry.known = name_known && size <= max_kept_;
  if (entry.known) {
    entry.name = name_;
    entry.value = value_;
  }
  table_bytes_ += size;
  while (table_bytes_ > max_kept_ && table_.size() > 1) {
    table_bytes_ -= table_.back().size;
    table_.pop_back();
    older_unknown_ = true;
  }
}

void HpackDecoder::evict_to(size_t bytes) {
  while (table_bytes_ > bytes && !table_.empty()) {
    table_bytes_ -= table_.back().size;
    table_.pop_back();
    older_unknown_ = false;  // what was behind it went before it
  }
}

size_t HpackDecoder::memory_bytes() const {
  return table_bytes_ + table_.size() * sizeof(Entry) + name_.capacity() + value_.capacity();
}

}  // namespace zerospan::protocols::http2
