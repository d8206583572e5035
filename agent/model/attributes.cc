// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/model/attributes.h"

#include <cstring>

namespace zerospan::model {

void Attributes::add(std::string_view key, const AttributeValue& value) {
  if (const auto* text = std::get_if<std::string>(&value)) {
    add_text(key, *text);
  } else if (const auto* number = std::get_if<int64_t>(&value)) {
    add_int(key, *number);
  } else if (const auto* real = std::get_if<double>(&value)) {
    add_double(key, *real);
  } else if (const auto* truth = std::get_if<bool>(&value)) {
    add_bool(key, *truth);
  } else {
    add_texts(key, std::get<std::vector<std::string>>(value));
  }
}

void Attributes::append_element(std::string_view text) {
  const auto length = static_cast<ElementLength>(text.size());
  texts_.append(reinterpret_cast<const char*>(&length), sizeof(length));
  texts_.append(text);
}

std::vector<std::string_view> Attributes::elements(const Entry& entry) const {
  std::vector<std::string_view> all;
  std::string_view rest = std::string_view(texts_).substr(entry.bits, entry.length);
  while (!rest.empty()) {
    ElementLength length = 0;
    std::memcpy(&length, rest.data(), sizeof(length));
    all.push_back(rest.substr(sizeof(length), length));
    rest.remove_prefix(sizeof(length) + length);
  }
  return all;
}

}  // namespace zerospan::model
