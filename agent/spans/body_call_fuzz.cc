// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The bodies of calls, whatever their bytes: what is told of a body's beginning must not be denied
// by the whole of it, and text stays text. Input: one byte where to cut, a request's body, and
// behind a zero byte its answer's.
#include <cstdint>
#include <cstdlib>

#include "agent/spans/body_call.h"
#include "agent/spans/graphql_document.h"
#include "agent/spans/json_members.h"
#include "agent/spans/search_endpoint.h"

namespace zerospan::spans {
namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

void check_members(std::string_view text, std::string_view start) {
  JsonMembers whole(text);
  JsonMembers cut(start);
  JsonMember expected;
  for (JsonMember member; cut.next(member);) {
    if (!whole.next(expected)) {
      require(!member.whole);  // what followed made it invalid
      continue;
    }
    require(member.key == expected.key);
    require(!member.whole || member.raw == expected.raw);
  }
  while (whole.next(expected)) {
  }
  require(!cut.whole() || whole.whole() || !whole.valid());
}

void check_document(std::string_view text, std::string_view start) {
  const GraphqlDocument whole = read_graphql(text, false);
  const GraphqlDocument cut = read_graphql(start, true);
  if (!whole.valid) {
    return;
  }
  require(cut.count <= whole.count);
  for (size_t i = 0; i < cut.count; ++i) {
    require(cut.operations.at(i).type == whole.operations.at(i).type);
    require(cut.operations.at(i).name == whole.operations.at(i).name);
  }
}

void run(std::string_view input) {
  if (input.empty()) {
    return;
  }
  const auto at = static_cast<uint8_t>(input.front());
  input.remove_prefix(1);
  const std::string_view body = input.substr(0, input.find('\0'));
  const std::string_view answer = input.substr(std::min(body.size() + 1, input.size()));
  const std::string_view start = body.substr(0, at);
  check_members(body, start);
  check_document(body, start);
  model::HttpExchange http;
  http.method = "POST";
  http.request_body_start = start;
  http.request_body_size = body.size();
  http.response_body_start = answer;
  for (const std::string_view type : {"application/json", "application/graphql"}) {
    if (const auto call = find_graphql_call(http, "/graphql", type)) {
      model::Span span;
      add_graphql_call(*call, 64, span);
      require(span.attributes.size() <= 2);
    }
  }
  if (const auto call = find_json_rpc_call(http)) {
    require(!call->method.empty());
    model::Span span;
    add_json_rpc_call(*call, 64, span);
  }
  const SearchEndpoint endpoint = find_search_endpoint("GET", body);
  require(endpoint.part_count <= SearchEndpoint::kMostParts);
}

}  // namespace
}  // namespace zerospan::spans

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  zerospan::spans::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
