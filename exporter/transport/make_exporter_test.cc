// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "exporter/transport/make_exporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>

namespace zerospan::transport {
namespace {

using ::testing::HasSubstr;

std::string problem(const ExporterOptions& options) {
  const auto made = make_exporter(options);
  return made ? "" : made.error().message;
}

TEST(MakeExporterTest, DefaultsAreGood) {
  for (const Protocol protocol : {Protocol::kGrpc, Protocol::kHttpProtobuf, Protocol::kHttpJson}) {
    ExporterOptions options;
    options.protocol = protocol;
    EXPECT_EQ(problem(options), "");
  }
}

TEST(MakeExporterTest, HeadersThatWouldBreakTheProtocolAreRefused) {
  for (const Protocol protocol : {Protocol::kGrpc, Protocol::kHttpProtobuf}) {
    ExporterOptions options;
    options.protocol = protocol;
    options.headers = {{"Api-Key", "secret"}, {"x.y_z", ""}};
    EXPECT_EQ(problem(options), "");
    options.headers = {{"bad name", "v"}};
    EXPECT_THAT(problem(options), HasSubstr("'bad name'"));
    options.headers = {{"", "v"}};
    EXPECT_NE(problem(options), "");
    options.headers = {{"name", "v\r\nother: w"}};
    EXPECT_THAT(problem(options), HasSubstr("'name'"));
  }
  ExporterOptions options;
  options.headers = {{"grpc-timeout", "1S"}};
  EXPECT_THAT(problem(options), HasSubstr("grpc-"));
}

TEST(MakeExporterTest, CertificateFilesAreChecked) {
  for (const Protocol protocol : {Protocol::kGrpc, Protocol::kHttpProtobuf}) {
    ExporterOptions options;
    options.protocol = protocol;
    options.endpoint = "https://localhost:4317";
    options.ca_certificate_path = "/nonexistent/ca.pem";
    EXPECT_THAT(problem(options), HasSubstr("'/nonexistent/ca.pem'"));
    options.ca_certificate_path = "/dev/null";
    EXPECT_THAT(problem(options), HasSubstr("-----BEGIN"));
    options.ca_certificate_path = "/dev/zero";
    EXPECT_THAT(problem(options), HasSubstr("1 MiB"));
    options.ca_certificate_path = "";
    options.client_key_path = "/dev/null";
    EXPECT_THAT(problem(options), HasSubstr("both"));
  }
}

TEST(MakeExporterTest, EndpointsAreCheckedPerProtocol) {
  ExporterOptions options;
  options.endpoint = "http://localhost:4317/v1/traces";
  EXPECT_THAT(problem(options), HasSubstr("has a path"));
  options.endpoint = "localhost:4317";
  options.insecure = true;
  EXPECT_EQ(problem(options), "");
  options.protocol = Protocol::kHttpJson;
  EXPECT_THAT(problem(options), HasSubstr("has no scheme"));
}

TEST(MakeExporterTest, NumbersAreChecked) {
  ExporterOptions options;
  options.batch.max_queue_spans = 0;
  EXPECT_THAT(problem(options), HasSubstr("queue size"));
  options = {};
  options.batch.retry.max_interval = std::chrono::milliseconds(1);
  EXPECT_THAT(problem(options), HasSubstr("retry settings"));
  options = {};
  options.protocol = Protocol::kFile;
  EXPECT_THAT(problem(options), HasSubstr("path of the file"));
  options.file_path = "/nonexistent/spans.jsonl";
  EXPECT_THAT(problem(options), HasSubstr("'/nonexistent/spans.jsonl'"));
}

}  // namespace
}  // namespace zerospan::transport
