// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/k8s/api/decode.h"

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

namespace zerospan::k8s {
namespace {

using nlohmann::json;

constexpr size_t kMaxDepth = 64;
// About what a value, and a member of an object, take besides their text.
constexpr size_t kValueBytes = 32;
constexpr size_t kMemberBytes = 96;

// Builds the value. A function that returns false ends the parse.
class Builder final : public nlohmann::json_sax<json> {
 public:
  explicit Builder(size_t max_bytes) : left_(max_bytes) {}

  bool null() override { return add(nullptr, 0); }
  bool boolean(bool value) override { return add(value, 0); }
  bool number_integer(number_integer_t value) override { return add(value, 0); }
  bool number_unsigned(number_unsigned_t value) override { return add(value, 0); }
  bool number_float(number_float_t value, const string_t& /*text*/) override {
    return add(value, 0);
  }
  bool string(string_t& value) override {
    const size_t size = value.size();
    return add(std::move(value), size);
  }
  bool binary(binary_t& /*value*/) override { return false; }
  bool start_object(size_t /*elements*/) override { return open(json::object()); }
  bool start_array(size_t /*elements*/) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    if (skipping_ > 0) {
      return true;
    }
    if (name == "managedFields") {
      skip_next_ = true;
      return true;
    }
    if (!charge(kMemberBytes + name.size())) {
      return false;
    }
    member_ = &(*open_.back())[std::move(name)];
    return true;
  }
  bool parse_error(size_t /*at*/, const std::string& /*token*/,
                   const json::exception& /*error*/) override {
    return false;
  }

  [[nodiscard]] bool too_large() const { return too_large_; }
  [[nodiscard]] json take() { return std::move(root_); }

 private:
  bool charge(size_t bytes) {
    too_large_ = too_large_ || bytes > left_;
    left_ -= too_large_ ? 0 : bytes;
    return !too_large_;
  }

  bool add(json value, size_t text_bytes) {
    if (skipping_ > 0 || std::exchange(skip_next_, false)) {
      return true;
    }
    if (!charge(kValueBytes + text_bytes)) {
      return false;
    }
    place(std::move(value));
    return true;
  }

  json* place(json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (open_.back()->is_array()) {
      open_.back()->push_back(std::move(value));
      return &open_.back()->back();
    }
    *member_ = std::move(value);
    return member_;
  }

  bool open(json container) {
    if (skipping_ > 0 || std::exchange(skip_next_, false)) {
      ++skipping_;
      return true;
    }
    too_large_ = too_large_ || open_.size() == kMaxDepth;
    if (!charge(kValueBytes + kMemberBytes)) {
      return false;
    }
    open_.push_back(place(std::move(container)));
    return true;
  }

  bool close() {
    if (skipping_ > 0) {
      --skipping_;
    } else {
      open_.pop_back();
    }
    return true;
  }

  size_t left_;
  bool too_large_ = false;
  json root_;
  std::vector<json*> open_;  // from the root to the innermost container
  json* member_ = nullptr;   // where the next value of the innermost object goes
  bool skip_next_ = false;
  size_t skipping_ = 0;  // containers open in a value that is passed over
};

}  // namespace

Result<json> decode(std::string_view text, size_t max_bytes) {
  Builder builder(max_bytes);
  if (json::sax_parse(text, &builder)) {
    return builder.take();
  }
  return builder.too_large()
             ? fail(ErrorCode::kUnsupported, "an object is too large or too deeply nested")
             : fail(ErrorCode::kMalformed, "what was answered is not JSON");
}

std::string string_at(const json& object, const char* key) {
  if (object.is_object()) {
    const auto found = object.find(key);
    if (found != object.end() && found->is_string()) {
      return found->get<std::string>();
    }
  }
  return {};
}

std::string string_at(const json& object, const char* outer, const char* key) {
  if (object.is_object()) {
    const auto found = object.find(outer);
    if (found != object.end()) {
      return string_at(*found, key);
    }
  }
  return {};
}

}  // namespace zerospan::k8s
