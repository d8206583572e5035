// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "exporter/otlp/protobuf_encoder.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#include <variant>

#include "exporter/otlp/utf8.h"

namespace zerospan::otlp {
namespace {

enum class WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

constexpr uint32_t tag(uint32_t field, WireType type) {
  return field << 3U | static_cast<uint32_t>(type);
}

constexpr size_t kMaxVarint = 10;

}  // namespace

// Everything is put in front of what is there already; so fields are written in falling order, and
// a message's header after its content.
class ProtobufEncoder::Writer {
 public:
  void clear() { at_ = buffer_.get() + capacity_; }
  [[nodiscard]] std::string_view bytes() const { return {at_, size()}; }
  [[nodiscard]] size_t size() const { return static_cast<size_t>(buffer_.get() + capacity_ - at_); }

  void fixed64_field(uint32_t field, uint64_t value) {
    reserve(sizeof(value) + kMaxVarint);
    put_fixed(value);
    put_varint(tag(field, WireType::kFixed64));
  }
  void fixed32_field(uint32_t field, uint32_t value) {
    reserve(sizeof(value) + kMaxVarint);
    put_fixed(value);
    put_varint(tag(field, WireType::kFixed32));
  }
  void varint_field(uint32_t field, uint64_t value) {
    reserve(2 * kMaxVarint);
    put_varint(value);
    put_varint(tag(field, WireType::kVarint));
  }
  void bytes_field(uint32_t field, std::string_view value) {
    reserve(value.size() + 2 * kMaxVarint);
    put_bytes(field, value);
  }
  void string_field(uint32_t field, std::string_view value) {
    if (is_valid_utf8(value)) [[likely]] {
      bytes_field(field, value);
      return;
    }
    scratch_.clear();
    append_as_utf8(value, scratch_);
    bytes_field(field, scratch_);
  }
  // Proto3 leaves a string without presence out when it is empty.
  void nonempty_string_field(uint32_t field, std::string_view value) {
    if (!value.empty()) {
      string_field(field, value);
    }
  }
  // Closes a message whose content is all that was written since size() was `end`.
  void message_header(uint32_t field, size_t end) {
    reserve(2 * kMaxVarint);
    put_header(field, end);
  }

  // An AnyValue's content: what an AttributeValue or an AttributeView can hold.
  void any_value(std::string_view text) { string_field(1, text); }
  void any_value(bool value) { varint_field(2, value ? 1 : 0); }
  void any_value(int64_t value) { varint_field(3, static_cast<uint64_t>(value)); }
  void any_value(double value) { fixed64_field(4, std::bit_cast<uint64_t>(value)); }
  template <typename Text>
  void any_value(const std::vector<Text>& texts) {
    const size_t end = size();
    for (auto it = texts.rbegin(); it != texts.rend(); ++it) {
      const size_t element_end = size();
      any_value(std::string_view(*it));
      message_header(1, element_end);
    }
    message_header(5, end);
  }
  void attributes(uint32_t field, const std::vector<model::ResourceAttribute>& all) {
    for (auto it = all.rbegin(); it != all.rend(); ++it) {
      const size_t end = size();
      std::visit([&](const auto& value) { any_value(value); }, it->value);
      message_header(2, end);
      nonempty_string_field(1, it->key);
      message_header(field, end);
    }
  }
  // `field` is below 16.
  void attributes(uint32_t field, const model::Attributes& all) {
    // Nearly all text is ASCII: one look at all of it saves one at each.
    const bool ascii = is_ascii(all.texts());
    for (size_t i = all.size(); i-- > 0;) {
      const std::string_view key = all.key(i);
      all.visit(i, [&](const auto& value) { attribute(field, key, value, ascii); });
    }
  }

  template <size_t N>
  void id_field(uint32_t field, const std::array<uint8_t, N>& id) {
    bytes_field(field, {reinterpret_cast<const char*>(id.data()), N});
  }

  void span(const model::Span& span) {
    const size_t end = size();
    fixed32_field(16, span_flags(span));
    if (span.status != model::StatusCode::kUnset || !span.status_message.empty()) {
      const size_t status_end = size();
      if (span.status != model::StatusCode::kUnset) {
        varint_field(3, static_cast<uint64_t>(span.status));
      }
      nonempty_string_field(2, span.status_message);
      message_header(15, status_end);
    }
    for (auto it = span.links.rbegin(); it != span.links.rend(); ++it) {
      const size_t link_end = size();
      attributes(4, it->attributes);
      nonempty_string_field(3, it->trace_state);
      id_field(2, it->span_id.bytes);
      id_field(1, it->trace_id.bytes);
      message_header(13, link_end);
    }
    for (auto it = span.events.rbegin(); it != span.events.rend(); ++it) {
      const size_t event_end = size();
      attributes(3, it->attributes);
      nonempty_string_field(2, it->name);
      if (it->time_unix_ns != 0) {
        fixed64_field(1, it->time_unix_ns);
      }
      message_header(11, event_end);
    }
    attributes(9, span.attributes);
    if (span.end_unix_ns != 0) {
      fixed64_field(8, span.end_unix_ns);
    }
    if (span.start_unix_ns != 0) {
      fixed64_field(7, span.start_unix_ns);
    }
    varint_field(6, static_cast<uint64_t>(span.kind));
    nonempty_string_field(5, span.name);
    if (span.parent_span_id.valid()) {
      id_field(4, span.parent_span_id.bytes);
    }
    nonempty_string_field(3, span.trace_state);
    id_field(2, span.span_id.bytes);
    id_field(1, span.trace_id.bytes);
    message_header(2, end);
  }

  void group(const ResourceGroup& group, const Scope& scope) {
    const size_t end = size();
    for (auto it = group.spans.rbegin(); it != group.spans.rend(); ++it) {
      span(**it);
    }
    const size_t scope_end = size();
    nonempty_string_field(2, scope.version);
    nonempty_string_field(1, scope.name);
    message_header(1, scope_end);
    message_header(2, end);
    if (group.resource != nullptr) {
      const size_t resource_end = size();
      attributes(1, group.resource->attributes);
      message_header(1, resource_end);
    }
    message_header(1, end);
  }

 private:
  // A KeyValue. `ascii`: so are all texts. An empty key is left out, as proto3 does.
  template <typename Value>
  void attribute(uint32_t field, std::string_view key, const Value& value, bool ascii) {
    if constexpr (std::is_same_v<Value, std::string_view>) {
      if (ascii && !key.empty() && key.size() + value.size() <= kMaxShortAttribute) {
        char* const to = put_short_attribute(field, key, 2 + value.size());
        to[0] = static_cast<char>(tag(1, WireType::kBytes));
        to[1] = static_cast<char>(value.size());
        std::copy_n(value.data(), value.size(), to + 2);
        return;
      }
    } else if constexpr (std::is_same_v<Value, int64_t>) {
      const auto number = static_cast<uint64_t>(value);
      const size_t length = varint_size(number);
      if (!key.empty() && key.size() + length <= kMaxShortAttribute) {
        char* const to = put_short_attribute(field, key, 1 + length);
        to[0] = static_cast<char>(tag(3, WireType::kVarint));
        write_varint(to + 1, number, length);
        return;
      }
    }
    const size_t end = size();
    any_value(value);
    message_header(2, end);
    nonempty_string_field(1, key);
    message_header(field, end);
  }
  // A KeyValue without its AnyValue's content, which goes where the returned pointer points. Each
  // tag and each size in it takes one byte.
  char* put_short_attribute(uint32_t field, std::string_view key, size_t any_value_size) {
    const size_t key_value_size = 2 + key.size() + 2 + any_value_size;
    reserve(2 + key_value_size);
    char* to = at_ -= 2 + key_value_size;
    const auto put_header = [&to](uint32_t number, size_t size) {
      to[0] = static_cast<char>(tag(number, WireType::kBytes));
      to[1] = static_cast<char>(size);
      to += 2;
    };
    put_header(field, key_value_size);
    put_header(1, key.size());
    to = std::copy_n(key.data(), key.size(), to);
    put_header(2, any_value_size);
    return to;
  }
  void reserve(size_t extra) {
    if (static_cast<size_t>(at_ - buffer_.get()) < extra) [[unlikely]] {
      grow(extra);
    }
  }
  void grow(size_t extra) {
    const size_t used = size();
    const size_t capacity = std::max<size_t>(2 * capacity_, used + extra + kFirstCapacity);
    std::unique_ptr<char[]> bigger(new char[capacity]);  // not value-initialised
    char* at = bigger.get() + capacity - used;
    if (used != 0) {
      std::memcpy(at, at_, used);
    }
    buffer_ = std::move(bigger);
    capacity_ = capacity;
    at_ = at;
  }
  // What is put has its room reserved.
  void put_bytes(uint32_t field, std::string_view value) {
    at_ -= value.size();
    std::memcpy(at_, value.data(), value.size());
    put_varint(value.size());
    put_varint(tag(field, WireType::kBytes));
  }
  void put_header(uint32_t field, size_t end) {
    put_varint(size() - end);
    put_varint(tag(field, WireType::kBytes));
  }
  template <typename T>
  void put_fixed(T value) {
    static_assert(std::endian::native == std::endian::little,
                  "OTLP's fixed fields are little-endian");
    at_ -= sizeof(value);
    std::memcpy(at_, &value, sizeof(value));
  }
  void put_varint(uint64_t value) {
    if (value < 0x80) [[likely]] {
      *--at_ = static_cast<char>(value);
      return;
    }
    const size_t size = varint_size(value);
    at_ -= size;
    write_varint(at_, value, size);
  }
  static size_t varint_size(uint64_t value) {
    return (static_cast<size_t>(std::bit_width(value | 1U)) + 6) / 7;
  }
  static void write_varint(char* to, uint64_t value, size_t size) {
    for (size_t i = 0; i + 1 < size; ++i) {
      to[i] = static_cast<char>(value | 0x80U);
      value >>= 7U;
    }
    to[size - 1] = static_cast<char>(value);
  }

  // Key and text; with six bytes of tags and sizes 127, the most that a size of one byte can tell.
  static constexpr size_t kMaxShortAttribute = 121;
  static constexpr size_t kFirstCapacity = 4096;
  std::unique_ptr<char[]> buffer_ = std::make_unique<char[]>(kFirstCapacity);
  size_t capacity_ = kFirstCapacity;
  char* at_ = buffer_.get() + kFirstCapacity;  // the first written byte
  std::string scratch_;
};

ProtobufEncoder::ProtobufEncoder(Scope scope)
    : scope_(std::move(scope)), writer_(std::make_unique<Writer>()) {}

ProtobufEncoder::~ProtobufEncoder() = default;

std::string_view ProtobufEncoder::encode(std::span<const model::Span> spans) {
  const std::vector<ResourceGroup> groups = group_by_resource(spans);
  writer_->clear();
  for (auto it = groups.rbegin(); it != groups.rend(); ++it) {
    writer_->group(*it, scope_);
  }
  return writer_->bytes();
}

}  // namespace zerospan::otlp
