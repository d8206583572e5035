// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/aws_call.h"

#include <gtest/gtest.h>

#include <string>
#include <variant>

#include "agent/spans/span_builder.h"
#include "agent/spans/test_exchange.h"

namespace zerospan::spans {
namespace {

using testing::make_connection;
using testing::make_exchange;

std::string signature(std::string_view service) {
  return "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261122/eu-west-1/" + std::string(service) +
         "/aws4_request, SignedHeaders=host;x-amz-date, Signature=secret";
}

// The attributes of the call, in the order in which they were added.
std::string told(const std::string& target, const testing::Headers& fields) {
  auto builder = *SpanBuilder::make({});
  model::Span span;
  builder.build(make_exchange(model::Role::kClient, "POST", target, 200, fields),
                make_connection(model::Role::kClient), {}, {}, nullptr, {}, span);
  std::string out = span.name;
  for (const model::Attribute& one : span.attributes) {
    if (one.key.starts_with("rpc.") || one.key.starts_with("aws.") || one.key.starts_with("db.") ||
        one.key == "cloud.region") {
      out += " " + std::string(one.key) + "=" + std::string(std::get<std::string_view>(one.value));
    }
  }
  return out;
}

TEST(AwsCall, ServicesAndOperations) {
  EXPECT_EQ(told("/", {{"Authorization", signature("dynamodb")},
                       {"X-Amz-Target", "DynamoDB_20120810.GetItem"}}),
            "POST rpc.system.name=aws-api rpc.service=DynamoDB rpc.method=GetItem "
            "db.system.name=aws.dynamodb db.operation.name=GetItem cloud.region=eu-west-1");
  EXPECT_EQ(
      told("/", {{"X-Amz-Target", "AmazonSQS.SendMessage"}, {"authorization", signature("sqs")}}),
      "POST rpc.system.name=aws-api rpc.service=SQS rpc.method=SendMessage cloud.region=eu-west-1");
  EXPECT_EQ(told("/bucket/key?a=b&x-id=GetObject", {{"Authorization", signature("s3")}}),
            "POST rpc.system.name=aws-api rpc.service=S3 rpc.method=GetObject "
            "cloud.region=eu-west-1");
  // What the head does not name is not guessed.
  EXPECT_EQ(told("/bucket/key", {{"Authorization", signature("s3")}}),
            "POST rpc.system.name=aws-api rpc.service=S3 cloud.region=eu-west-1");
  EXPECT_EQ(told("/?x-id=GetObject", {{"Authorization", signature("sns")}}),
            "POST rpc.system.name=aws-api rpc.service=sns cloud.region=eu-west-1");
}

TEST(AwsCall, OtherRequestsAreNone) {
  const testing::Headers others[] = {
      {{"Authorization", "Basic AWS4-HMAC-SHA256 "}},
      {{"X-Amz-Target", "DynamoDB_20120810.GetItem"}},
      {{"Authorization", "AWS4-HMAC-SHA256 Credential=a/b/c/d/other, Signature=e"}},
      {{"Authorization", "AWS4-HMAC-SHA256 Credential=a/b/c"}},
      {{"Authorization", "AWS4-HMAC-SHA256 Credential=a/b/c d/s3/aws4_request"}},
      {{"Authorization", "AWS4-HMAC-SHA256 "}},
      {{"Authorization", ""}},
  };
  for (const testing::Headers& fields : others) {
    EXPECT_EQ(told("/?x-id=GetObject", fields), "POST");
  }
}

}  // namespace
}  // namespace zerospan::spans
