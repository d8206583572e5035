// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// build() over any head: whatever the bytes, every string of the span is bounded, valid UTF-8, and
// the same when it is built again. Input: one byte of flags, then lines "METHOD TARGET" and
// "Name: value".
#include <cstdlib>

#include "agent/spans/span_builder.h"
#include "agent/spans/test_exchange.h"
#include "agent/spans/text.h"

namespace zerospan::spans {
namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

constexpr size_t kLimit = 512;

void check_text(std::string_view text) {
  // User information, brackets and a port may come on top of a URL's limited text.
  require(text.size() <= kLimit + 32);
  while (!text.empty()) {
    const size_t length = utf8_sequence_length(text);
    require(length > 0);
    require(length > 1 || (text[0] >= 0x20 && text[0] != 0x7f) || text[0] == '\t');
    text.remove_prefix(length);
  }
}

std::string_view take_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

model::Span build(const SpanBuilderOptions& options, const model::Exchange& exchange,
                  const model::Connection& connection) {
  auto builder = SpanBuilder::make(options);
  require(builder.has_value());
  model::Span span;
  builder->build(exchange, connection, {}, {}, nullptr, {}, span);
  return span;
}

void run(std::string_view input) {
  if (input.empty()) {
    return;
  }
  const auto flags = static_cast<uint8_t>(input.front());
  input.remove_prefix(1);
  const model::Role role = (flags & 1U) != 0 ? model::Role::kClient : model::Role::kServer;
  const std::string_view request_line = take_line(input);
  const size_t space = std::min(request_line.find(' '), request_line.size());
  const std::string_view target = request_line.substr(std::min(space + 1, request_line.size()));
  testing::Headers headers;
  while (!input.empty() && headers.size() < 64) {
    const std::string_view line = take_line(input);
    const size_t colon = std::min(line.find(':'), line.size());
    std::string_view value = line.substr(std::min(colon + 1, line.size()));
    headers.emplace_back(line.substr(0, colon), value.substr(value.starts_with(' ') ? 1 : 0));
  }
  model::Exchange exchange =
      testing::make_exchange(role, std::string(request_line.substr(0, space)), std::string(target),
                             (flags & 2U) != 0 ? 503 : 200, headers, headers);
  exchange.outcome = static_cast<model::Outcome>(flags >> 2U & 3U);
  exchange.incomplete = flags >> 4U;
  model::Connection connection = testing::make_connection(role);
  if ((flags & 0x40U) != 0) {
    connection.transport = model::Transport::kUnix;
    connection.local = {};
    connection.peer = {};
  }

  SpanBuilderOptions options;
  options.route_templates = {"/a/{b}/c", "/a/b/{c...}", "/x/*"};
  options.route_heuristic = RouteHeuristic::kName;
  options.client_url_template = true;
  options.captured_request_headers = {"x-a", "host"};
  options.captured_response_headers = {"x-a"};
  options.max_value_bytes = kLimit;
  const model::Span span = build(options, exchange, connection);
  const model::Span again = build(options, exchange, connection);
  require(span.name == again.name && span.attributes.size() == again.attributes.size());
  require(span.end_unix_ns >= span.start_unix_ns);
  require(span.name.size() <= 2 * kLimit);
  for (size_t i = 0; i < span.attributes.size(); ++i) {
    const model::AttributeView value = span.attributes.value(i);
    require(value == again.attributes.value(i));
    if (const auto* text = std::get_if<std::string_view>(&value)) {
      check_text(*text);
    } else if (const auto* texts = std::get_if<std::vector<std::string_view>>(&value)) {
      for (const std::string_view item : *texts) {
        check_text(item);
      }
    }
  }
}

}  // namespace
}  // namespace zerospan::spans

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  zerospan::spans::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
