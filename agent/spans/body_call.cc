// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/body_call.h"

#include <utility>

#include "agent/spans/graphql_document.h"
#include "agent/spans/json_members.h"
#include "agent/spans/text.h"

namespace zerospan::spans {
namespace {

using Kind = JsonMember::Kind;

constexpr std::string_view kUnknownMethod = "-32601";

// What a request over HTTP has of GraphQL.
struct GraphqlRequest {
  std::string document;
  bool has_document = false;
  bool document_cut = false;
  std::optional<std::string> operation_name;
  bool whole = false;  // there is no more
};

std::optional<GraphqlRequest> read_request(std::string_view body) {
  GraphqlRequest request;
  JsonMembers members(body);
  for (JsonMember member; members.next(member);) {
    if (member.key == "query") {
      auto text = json_text(member.raw);
      if (member.kind != Kind::kString || !text || request.has_document) {
        return std::nullopt;
      }
      request.document = std::move(*text);
      request.has_document = true;
      request.document_cut = !member.whole;
    } else if (member.key == "operationName" && member.whole && member.raw != "null") {
      request.operation_name = json_text(member.raw);
      if (member.kind != Kind::kString || !request.operation_name) {
        return std::nullopt;
      }
    }
  }
  request.whole = members.whole();
  return members.valid() && request.has_document ? std::optional(std::move(request)) : std::nullopt;
}

bool says_graphql(const model::HttpExchange& http, std::string_view path) {
  constexpr std::string_view kName = "graphql";
  constexpr std::string_view kAnswer = "application/graphql-response+json";
  const size_t from = path.size() - std::min(path.size(), kName.size());
  return equals_ignoring_case(path.substr(from), kName) ||
         http.response_headers.find("content-type").starts_with(kAnswer) ||
         http.request_headers.find("accept").find(kAnswer) != std::string_view::npos;
}

// Which of the operations runs (GraphQL, section 6.1).
GraphqlCall choose(const GraphqlDocument& document, const GraphqlRequest& request) {
  GraphqlCall call;
  const std::string* const wanted = request.operation_name ? &*request.operation_name : nullptr;
  if (wanted != nullptr && !wanted->empty()) {
    for (size_t i = 0; i < document.count; ++i) {
      const GraphqlOperation& operation = document.operations.at(i);
      if (operation.name == *wanted) {
        call.type = operation.type;
        call.name = operation.name;
      }
    }
    if (!document.whole && call.name.empty()) {
      call.name = *wanted;
    }
  } else if (document.whole && document.count == 1) {
    call.type = document.operations[0].type;
    call.name = document.operations[0].name;
  }
  return call;
}

// The code of an error object that may be cut.
std::string error_code(std::string_view error) {
  std::string code;
  JsonMembers members(error);
  for (JsonMember member; members.next(member);) {
    if (member.key == "code" && member.kind == Kind::kNumber && member.whole &&
        member.raw.find_first_of(".eE") == std::string_view::npos) {
      code = member.raw;
    }
  }
  return members.valid() ? code : std::string();
}

void read_answer(std::string_view body, JsonRpcCall& call) {
  bool failed = false;
  bool marked = false;
  std::string code;
  JsonMembers members(body);
  for (JsonMember member; members.next(member);) {
    if (member.key == "jsonrpc") {
      marked = member.kind == Kind::kString && member.whole && member.raw == "2.0";
    } else if (member.key == "error" && member.kind == Kind::kObject) {
      failed = true;
      code = error_code(member.raw);
    }
  }
  if (members.valid() && (marked || !members.whole())) {
    call.failed = failed;
    call.error_code = std::move(code);
  }
}

}  // namespace

std::optional<GraphqlCall> find_graphql_call(const model::HttpExchange& http, std::string_view path,
                                             std::string_view content_type) {
  std::optional<GraphqlRequest> request;
  if (equals_ignoring_case(content_type.substr(0, content_type.find_first_of("; \t")),
                           "application/graphql")) {
    request.emplace();
    request->document = http.request_body_start;
    request->document_cut =
        !http.request_body_size_exact || http.request_body_size != http.request_body_start.size();
    request->whole = !request->document_cut;
  } else {
    request = read_request(http.request_body_start);
  }
  if (!request) {
    return std::nullopt;
  }
  const GraphqlDocument document = read_graphql(request->document, request->document_cut);
  if (!document.valid || (document.shorthand && !says_graphql(http, path))) {
    return std::nullopt;
  }
  return choose(document, *request);
}

void add_graphql_call(const GraphqlCall& call, size_t max_value_bytes, model::Span& span) {
  if (!call.type.empty()) {
    span.attributes.add_text("graphql.operation.type", call.type);
  }
  if (!call.name.empty()) {
    span.attributes.add_text("graphql.operation.name", to_text(call.name, max_value_bytes));
  }
}

std::optional<JsonRpcCall> find_json_rpc_call(const model::HttpExchange& http) {
  JsonRpcCall call;
  bool marked = false;
  JsonMembers members(http.request_body_start);
  for (JsonMember member; members.next(member);) {
    if (!member.whole) {
      break;
    }
    if (member.key == "jsonrpc") {
      marked = member.kind == Kind::kString && member.raw == "2.0";
    } else if (member.key == "method" && member.kind == Kind::kString) {
      auto method = json_text(member.raw);
      if (!method) {
        return std::nullopt;
      }
      call.method = std::move(*method);
    } else if (member.key == "id" && member.kind == Kind::kString) {
      call.request_id = json_text(member.raw).value_or(std::string());
    } else if (member.key == "id" && member.kind == Kind::kNumber) {
      call.request_id = member.raw;
    }
  }
  if (!members.valid() || !marked || call.method.empty()) {
    return std::nullopt;
  }
  read_answer(http.response_body_start, call);
  return call;
}

// A method that the server does not know is not one of its names.
void add_json_rpc_call(const JsonRpcCall& call, size_t max_value_bytes, model::Span& span) {
  span.attributes.add_text("rpc.system.name", "jsonrpc");
  span.attributes.add_text("jsonrpc.protocol.version", "2.0");
  const std::string method = to_text(call.method, max_value_bytes);
  if (span.kind == model::SpanKind::kServer && call.error_code == kUnknownMethod) {
    span.attributes.add_text("rpc.method", "_OTHER");
    span.attributes.add_text("rpc.method_original", method);
  } else {
    span.attributes.add_text("rpc.method", method);
  }
  if (!call.request_id.empty()) {
    span.attributes.add_text("jsonrpc.request.id", to_text(call.request_id, max_value_bytes));
  }
  if (!call.error_code.empty()) {
    span.attributes.add_text("rpc.response.status_code", call.error_code);
  }
  if (call.failed && span.status != model::StatusCode::kError) {
    span.attributes.add_text("error.type", call.error_code.empty() ? "_OTHER" : call.error_code);
    span.status = model::StatusCode::kError;
  }
}

}  // namespace zerospan::spans
