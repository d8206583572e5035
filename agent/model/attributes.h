// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Attributes of OpenTelemetry's common data model
// (https://opentelemetry.io/docs/specs/otel/common/#attribute): values that own what they hold, and
// the compact list that a span has.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace zerospan::model {

using AttributeValue = std::variant<std::string, int64_t, double, bool, std::vector<std::string>>;

// The same value, looked at where it lies.
using AttributeView =
    std::variant<std::string_view, int64_t, double, bool, std::vector<std::string_view>>;

struct Attribute {
  std::string_view key;
  AttributeView value;
};

// A span's attributes, in the order in which they were added. There are a dozen in each span and
// most are short texts, so all texts lie in one buffer: two allocations for a list. Keys are not
// copied; their storage outlives every span: literals, or interned by
// the Options of their stage. They are valid UTF-8, and cut after 65535 bytes; texts need not be.
class Attributes {
 public:
  Attributes() = default;
  Attributes(std::initializer_list<std::pair<std::string_view, AttributeValue>> all) {
    for (const auto& [key, value] : all) {
      add(key, value);
    }
  }

  void reserve(size_t count, size_t text_bytes) {
    entries_.reserve(count);
    texts_.reserve(text_bytes);
  }
  void add_int(std::string_view key, int64_t value) {
    push(key, Type::kInt, static_cast<uint64_t>(value));
  }
  void add_double(std::string_view key, double value) {
    push(key, Type::kDouble, std::bit_cast<uint64_t>(value));
  }
  void add_bool(std::string_view key, bool value) { push(key, Type::kBool, value ? 1 : 0); }
  void add_text(std::string_view key, std::string_view text) {
    texts_.append(text);
    push(key, Type::kText, texts_.size() - text.size(), text.size());
  }
  // A text that `write` appends to the buffer that it is given, which is not empty at first.
  template <typename Write>
  void add_written_text(std::string_view key, Write&& write) {
    const size_t at = texts_.size();
    std::forward<Write>(write)(texts_);
    push(key, Type::kText, at, texts_.size() - at);
  }
  template <typename Texts>
  void add_texts(std::string_view key, const Texts& texts) {
    const size_t at = texts_.size();
    for (const auto& text : texts) {
      append_element(text);
    }
    push(key, Type::kTexts, at, texts_.size() - at);
  }
  void add(std::string_view key, const AttributeValue& value);

  [[nodiscard]] size_t size() const { return entries_.size(); }
  [[nodiscard]] bool empty() const { return entries_.empty(); }
  // The bytes of all texts, and some between them.
  [[nodiscard]] std::string_view texts() const { return texts_; }
  [[nodiscard]] std::string_view key(size_t index) const {
    return {entries_[index].key, entries_[index].key_length};
  }
  // Calls `visitor` with what an AttributeView can hold.
  template <typename Visitor>
  decltype(auto) visit(size_t index, Visitor&& visitor) const {
    const Entry& entry = entries_[index];
    switch (entry.type) {
      case Type::kInt:
        return visitor(static_cast<int64_t>(entry.bits));
      case Type::kDouble:
        return visitor(std::bit_cast<double>(entry.bits));
      case Type::kBool:
        return visitor(entry.bits != 0);
      case Type::kTexts:
        return visitor(elements(entry));
      case Type::kText:
        break;
    }
    return visitor(std::string_view(texts_).substr(entry.bits, entry.length));
  }
  [[nodiscard]] AttributeView value(size_t index) const {
    return visit(index, [](auto&& value) { return AttributeView(std::move(value)); });
  }
  [[nodiscard]] Attribute operator[](size_t index) const { return {key(index), value(index)}; }

  class const_iterator {
   public:
    const_iterator(const Attributes& list, size_t index) : list_(&list), index_(index) {}
    Attribute operator*() const { return (*list_)[index_]; }
    const_iterator& operator++() {
      ++index_;
      return *this;
    }
    bool operator==(const const_iterator& other) const { return index_ == other.index_; }

   private:
    const Attributes* list_;
    size_t index_;
  };
  [[nodiscard]] const_iterator begin() const { return {*this, 0}; }
  [[nodiscard]] const_iterator end() const { return {*this, size()}; }

 private:
  enum class Type : uint16_t { kText, kInt, kDouble, kBool, kTexts };
  struct Entry {
    const char* key;
    uint16_t key_length;
    Type type;
    uint32_t length;  // kText, kTexts: bytes in texts_
    uint64_t bits;    // kText, kTexts: where they begin; else the value
  };
  using ElementLength = uint32_t;  // in front of each text of a list

  void push(std::string_view key, Type type, uint64_t bits, size_t length = 0) {
    entries_.push_back({key.data(), static_cast<uint16_t>(std::min<size_t>(key.size(), UINT16_MAX)),
                        type, static_cast<uint32_t>(length), bits});
  }
  void append_element(std::string_view text);
  [[nodiscard]] std::vector<std::string_view> elements(const Entry& entry) const;

  std::vector<Entry> entries_;
  std::string texts_;
};

}  // namespace zerospan::model
