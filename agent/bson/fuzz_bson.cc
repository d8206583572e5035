// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include <cstdlib>
#include <string>

#include "agent/bson/command.h"
#include "agent/bson/element.h"

// Any sections: the text is bounded, and nothing but names gets into it.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace zerospan;
  if (size == 0) {
    return 0;
  }
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const size_t most = data[0] * 8U;
  std::string text;
  std::string raw;
  bson::describe(bytes, false, "users", false, most, text);
  bson::describe(bytes, true, "users", true, most, raw);
  if (text.size() > most || raw.size() > most) {
    std::abort();
  }
  const auto from = [&](uint64_t at) {
    return at < bytes.size() ? bytes.substr(at) : std::string_view();
  };
  uint64_t at = 0;
  uint64_t end = 0;
  if (bson::begin_document(from, bytes.size(), at, end) == bson::Step::kElement) {
    bson::Element element;
    for (uint64_t before = at; bson::next_element(from, end, at, element) == bson::Step::kElement;
         before = at) {
      if (at <= before || at > end) {
        std::abort();
      }
      static_cast<void>(bson::string_value(element, from(element.value_at)));
    }
  }
  return 0;
}
