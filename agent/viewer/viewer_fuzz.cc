// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Whatever a span holds, what is printed has no control byte but newlines, each span has its line,
// and no line is wider than the terminal. Input: one byte of flags, then the lines service, method,
// target, error.
#include <algorithm>
#include <cstdlib>

#include "agent/viewer/json_lines.h"
#include "agent/viewer/summary.h"
#include "agent/viewer/test_spans.h"
#include "agent/viewer/tree_view.h"

namespace zerospan::viewer {
namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

std::string take_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  std::string line(text.substr(0, end));
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

void check(std::string_view text, bool unicode, size_t columns) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    require(end != std::string_view::npos);
    const std::string_view line = text.substr(0, end);
    for (char c : line) {
      require(static_cast<uint8_t>(c) >= 0x20 && c != 0x7f);
      require(unicode || static_cast<uint8_t>(c) < 0x80);
    }
    require(display_width(line) <= columns);
    text.remove_prefix(end + 1);
  }
}

void run(std::string_view input) {
  if (input.empty()) {
    return;
  }
  const auto flags = static_cast<uint8_t>(input.front());
  input.remove_prefix(1);
  testing::SpanSpec spec;
  spec.service = take_line(input);
  spec.method = take_line(input);
  spec.target = take_line(input);
  spec.error = take_line(input);
  spec.kind = (flags & 1U) != 0 ? model::SpanKind::kClient : model::SpanKind::kServer;
  spec.status = (flags & 2U) != 0 ? 200 : 0;

  TreeViewOptions options;
  options.terminal.columns = 60 + (flags >> 3U) * 4U;
  options.terminal.unicode = (flags & 4U) != 0;
  std::string out;
  TreeView view(options, [&](std::string_view text) { out += text; });
  Summary summary;
  for (uint64_t id = 1; id <= 12; ++id) {
    spec.id = id;
    spec.parent = id - 1;
    const model::Span span = testing::make_span(spec);
    view.add(span, 0);
    summary.add(span);
  }
  check(json_line(testing::make_span(spec)), false, SIZE_MAX);
  view.flush();
  require(std::count(out.begin(), out.end(), '\n') == 12);
  check(out, options.terminal.unicode, options.terminal.columns);
  check(summary.render(options.terminal, {}), options.terminal.unicode, SIZE_MAX);
}

}  // namespace
}  // namespace zerospan::viewer

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  zerospan::viewer::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
