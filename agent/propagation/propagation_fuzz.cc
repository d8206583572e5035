// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Input: header fields, one a line, "name: value". What comes out must be within the formats'
// limits.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "agent/propagation/headers_for_test.h"
#include "agent/propagation/propagators.h"

namespace {

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using zerospan::propagation::Format;
  using zerospan::propagation::Propagators;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  zerospan::propagation::HeaderFields fields;
  while (!text.empty() && fields.size() < 256) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    const size_t colon = line.find(':');
    fields.emplace_back(line.substr(0, colon), colon == std::string_view::npos
                                                   ? std::string_view()
                                                   : line.substr(colon + 1));
  }
  const zerospan::model::HeaderBlock block = zerospan::propagation::header_block(fields);
  for (const auto& known : zerospan::propagation::format_names()) {
    const Propagators propagators({.formats = {known.format}});
    if (const auto context = propagators.extract(block)) {
      require(context->trace_id.valid() && context->span_id.valid());
      require(context->trace_state.size() <= 512);
      require(context->trace_state.find('\n') == std::string::npos);
    }
    require(propagators.extract_baggage(block).size() <= 64);
  }
  return 0;
}
