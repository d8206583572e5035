// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/aws_call.h"

#include <algorithm>
#include <array>
#include <utility>

#include "agent/spans/text.h"

namespace zerospan::spans {
namespace {

// As the SDKs call the services; others are told as the signature has them.
constexpr auto kServices = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"dynamodb", "DynamoDB"},
    {"s3", "S3"},
    {"sqs", "SQS"},
});

constexpr size_t kMostName = 64;

// A name as services and operations have them; empty: it is none.
std::string_view name_or_none(std::string_view text) {
  const bool name = !text.empty() && text.size() <= kMostName &&
                    std::all_of(text.begin(), text.end(), [](char c) {
                      return is_alpha(c) || is_digit(c) || c == '-' || c == '_';
                    });
  return name ? text : std::string_view();
}

// Takes what is in front of the next `separator`.
std::string_view take(std::string_view& text, char separator) {
  const size_t end = std::min(text.find(separator), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

// "DynamoDB_20120810.GetItem".
std::string_view target_operation(std::string_view target) {
  const size_t dot = target.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : name_or_none(target.substr(dot + 1));
}

// The SDKs of S3 put "x-id=GetObject" into the query.
std::string_view query_operation(std::string_view query) {
  constexpr std::string_view kKey = "x-id=";
  while (!query.empty()) {
    const std::string_view pair = take(query, '&');
    if (pair.starts_with(kKey)) {
      return name_or_none(pair.substr(kKey.size()));
    }
  }
  return {};
}

}  // namespace

std::optional<AwsCall> find_aws_call(const model::HttpExchange& http,
                                     std::string_view authorization, std::string_view query) {
  // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-authentication-methods.html
  constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256 ";
  constexpr std::string_view kCredential = "Credential=";
  constexpr std::string_view kScopeEnd = "aws4_request";
  if (!authorization.starts_with(kAlgorithm)) {
    return std::nullopt;
  }
  const size_t at = authorization.find(kCredential, kAlgorithm.size());
  if (at == std::string_view::npos) {
    return std::nullopt;
  }
  std::string_view scope = authorization.substr(at + kCredential.size());
  scope = scope.substr(0, scope.find_first_of(", "));
  static_cast<void>(take(scope, '/'));  // the key's id
  static_cast<void>(take(scope, '/'));  // the date
  AwsCall call;
  call.region = name_or_none(take(scope, '/'));
  call.service = name_or_none(take(scope, '/'));
  if (call.region.empty() || call.service.empty() || scope != kScopeEnd) {
    return std::nullopt;
  }
  for (const auto& [signed_as, name] : kServices) {
    if (call.service == signed_as) {
      call.service = name;
    }
  }
  call.operation = target_operation(http.request_headers.find("x-amz-target"));
  if (call.operation.empty() && call.service == "S3") {
    call.operation = query_operation(query);
  }
  for (const std::string_view name :
       {"x-amzn-requestid", "x-amzn-request-id", "x-amz-request-id"}) {
    if (call.request_id.empty()) {
      call.request_id = http.response_headers.find(name);
    }
  }
  call.extended_request_id = http.response_headers.find("x-amz-id-2");
  return call;
}

void add_aws_call(const AwsCall& call, size_t max_value_bytes, model::Span& span) {
  span.attributes.add_text("rpc.system.name", "aws-api");
  span.attributes.add_text("rpc.service", call.service);
  if (!call.operation.empty()) {
    span.attributes.add_text("rpc.method", call.operation);
  }
  if (call.service == "DynamoDB") {
    span.attributes.add_text("db.system.name", "aws.dynamodb");
    if (!call.operation.empty()) {
      span.attributes.add_text("db.operation.name", call.operation);
    }
  }
  span.attributes.add_text("cloud.region", call.region);
  if (!call.request_id.empty()) {
    span.attributes.add_text("aws.request_id", to_text(call.request_id, max_value_bytes));
  }
  if (!call.extended_request_id.empty()) {
    span.attributes.add_text("aws.extended_request_id",
                             to_text(call.extended_request_id, max_value_bytes));
  }
}

}  // namespace zerospan::spans
