// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Against a small server of the test's own, whose answers are raw bytes: also those that no honest
// server gives.
#include "exporter/transport/http_transport.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <zlib.h>

#include <array>
#include <mutex>
#include <thread>

#include "agent/core/unique_fd.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb.h"

namespace zerospan::transport {
namespace {

using batch::SendOutcome;
using batch::SendStatus;
using ::testing::HasSubstr;

constexpr std::chrono::seconds kLong{30};

// Serves one connection after the other; each request gets the next answer. An empty answer means
// none: the connection stays open.
class RawServer {
 public:
  explicit RawServer(std::vector<std::string> answers) : answers_(std::move(answers)) {
    listener_ = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(listener_.get(), plain, size), 0);
    EXPECT_EQ(::listen(listener_.get(), 5), 0);
    EXPECT_EQ(::getsockname(listener_.get(), plain, &size), 0);
    endpoint_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { serve(); });
  }
  ~RawServer() {
    {
      const std::scoped_lock lock(mutex_);
      ::shutdown(listener_.get(), SHUT_RDWR);
      if (connection_.valid()) {
        ::shutdown(connection_.get(), SHUT_RDWR);
      }
    }
    thread_.join();
  }
  RawServer(RawServer&&) = delete;
  RawServer& operator=(RawServer&&) = delete;

  [[nodiscard]] const std::string& endpoint() const { return endpoint_; }
  std::vector<std::string> requests() {
    const std::scoped_lock lock(mutex_);
    return requests_;
  }
  size_t connections() {
    const std::scoped_lock lock(mutex_);
    return connections_;
  }

 private:
  void serve() {
    for (;;) {
      const int accepted = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
      if (accepted < 0) {
        return;
      }
      {
        const std::scoped_lock lock(mutex_);
        connection_.reset(accepted);
        ++connections_;
      }
      while (answer_one()) {
      }
    }
  }
  bool answer_one() {
    std::string request;
    std::array<char, 4096> part{};
    for (;;) {
      const size_t head = request.find("\r\n\r\n");
      if (head != std::string::npos) {
        const size_t at = request.find("Content-Length: ");
        if (request.size() >= head + 4 + std::stoul(request.substr(at + 16))) {
          break;
        }
      }
      const ssize_t count = ::recv(connection_.get(), part.data(), part.size(), 0);
      if (count <= 0) {
        return false;
      }
      request.append(part.data(), static_cast<size_t>(count));
    }
    std::string answer;
    {
      const std::scoped_lock lock(mutex_);
      answer = requests_.size() < answers_.size() ? answers_[requests_.size()] : "";
      requests_.push_back(request);
    }
    for (size_t sent = 0; sent < answer.size();) {
      const ssize_t count =
          ::send(connection_.get(), answer.data() + sent, answer.size() - sent, MSG_NOSIGNAL);
      if (count <= 0) {
        return false;
      }
      sent += static_cast<size_t>(count);
    }
    return true;
  }

  std::vector<std::string> answers_;
  UniqueFd listener_;
  std::string endpoint_;
  std::mutex mutex_;
  UniqueFd connection_;
  std::vector<std::string> requests_;
  size_t connections_ = 0;
  std::thread thread_;
};

std::string answer(const std::string& status, const std::string& headers, const std::string& body) {
  return "HTTP/1.1 " + status + "\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::unique_ptr<batch::Transport> connect(const RawServer& server, ExporterOptions options = {}) {
  if (options.protocol == Protocol::kGrpc) {
    options.protocol = Protocol::kHttpProtobuf;
  }
  options.endpoint = server.endpoint();
  options.user_agent = "test-agent/1";
  auto made = make_http_transport(options);
  EXPECT_TRUE(made) << (made ? "" : made.error().message);
  return made ? std::move(*made) : nullptr;
}

SendOutcome send(batch::Transport& transport, std::string_view body = "body") {
  return transport.send(body, std::chrono::steady_clock::now() + kLong);
}

TEST(HttpTransportTest, PostsToTheTracesPathOverOneConnection) {
  RawServer server({answer("200 OK", "", ""), answer("200 OK", "", "")});
  ExporterOptions options;
  options.headers = {{"Api-Key", "s3cret"}, {"Empty", ""}};
  const auto transport = connect(server, options);
  EXPECT_EQ(send(*transport).status, SendStatus::kAccepted);
  EXPECT_EQ(send(*transport, std::string("a\0b", 3)).status, SendStatus::kAccepted);
  EXPECT_EQ(server.connections(), 1U);
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_THAT(requests[0], ::testing::StartsWith("POST /v1/traces HTTP/1.1\r\n"));
  for (const char* line :
       {"\r\nContent-Type: application/x-protobuf\r\n", "\r\nApi-Key: s3cret\r\n",
        "\r\nUser-Agent: test-agent/1\r\n", "\r\nEmpty:", "\r\n\r\nbody"}) {
    EXPECT_THAT(requests[0], HasSubstr(line));
  }
  EXPECT_THAT(requests[0], ::testing::Not(HasSubstr("Content-Encoding")));
  EXPECT_TRUE(requests[1].ends_with(std::string("\r\n\r\na\0b", 7)));
}

TEST(HttpTransportTest, JsonWithGzip) {
  RawServer server({answer("200 OK", "Content-Type: application/json\r\n",
                           R"({"partialSuccess":{"rejectedSpans":"2","errorMessage":"old"}})")});
  ExporterOptions options;
  options.protocol = Protocol::kHttpJson;
  options.compression = Compression::kGzip;
  const auto transport = connect(server, options);
  EXPECT_EQ(transport->encoding(), otlp::Encoding::kJson);
  const std::string body(5000, 'j');
  const SendOutcome outcome = send(*transport, body);
  EXPECT_EQ(outcome.status, SendStatus::kAccepted);
  EXPECT_EQ(outcome.rejected_spans, 2U);
  EXPECT_EQ(outcome.message, "old");
  const std::string request = server.requests().at(0);
  EXPECT_THAT(request, HasSubstr("\r\nContent-Encoding: gzip\r\n"));
  EXPECT_THAT(request, HasSubstr("\r\nContent-Type: application/json\r\n"));
  std::string packed = request.substr(request.find("\r\n\r\n") + 4);
  EXPECT_LT(packed.size(), 200U);
  std::string unpacked(body.size() + 1, '\0');
  z_stream stream{};
  ASSERT_EQ(inflateInit2(&stream, MAX_WBITS + 16), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(unpacked.data());
  stream.avail_out = static_cast<uInt>(unpacked.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  inflateEnd(&stream);
  unpacked.resize(stream.total_out);
  EXPECT_EQ(unpacked, body);
}

TEST(HttpTransportTest, PartialSuccessInProtobuf) {
  opentelemetry::proto::collector::trace::v1::ExportTraceServiceResponse response;
  response.mutable_partial_success()->set_rejected_spans(4);
  RawServer server(
      {answer("200 OK", "Content-Type: application/x-protobuf\r\n", response.SerializeAsString())});
  EXPECT_EQ(send(*connect(server)).rejected_spans, 4U);
}

TEST(HttpTransportTest, StatusCodesAsTheSpecificationHasThem) {
  for (const char* status : {"429 x", "502 x", "503 x", "504 x"}) {
    RawServer server({answer(status, "Retry-After: 3\r\n", "busy")});
    const SendOutcome outcome = send(*connect(server));
    EXPECT_EQ(outcome.status, SendStatus::kRetry) << status;
    EXPECT_EQ(outcome.retry_after, std::chrono::seconds(3));
    EXPECT_THAT(outcome.message, HasSubstr(std::string(status).substr(0, 3)));
  }
  for (const char* status : {"301 x", "400 x", "401 x", "404 x", "413 x", "500 x", "501 x"}) {
    RawServer server({answer(status, "Location: /elsewhere\r\n", "no")});
    EXPECT_EQ(send(*connect(server)).status, SendStatus::kRefused) << status;
  }
}

TEST(HttpTransportTest, GarbageInAnAcceptingAnswerIsTold) {
  for (const char* type :
       {"Content-Type: application/x-protobuf\r\n", "Content-Type: application/json\r\n"}) {
    RawServer server({answer("200 OK", type, "\xFF\xFF<html>")});
    const SendOutcome outcome = send(*connect(server));
    EXPECT_EQ(outcome.status, SendStatus::kAccepted);
    EXPECT_EQ(outcome.rejected_spans, 0U);
    EXPECT_THAT(outcome.message, HasSubstr("cannot be decoded"));
  }
}

TEST(HttpTransportTest, AnEndlessAnswerIsNotRead) {
  RawServer server({answer("200 OK", "", std::string(32U << 20U, 'x')), answer("200 OK", "", "")});
  const auto transport = connect(server);
  const SendOutcome outcome = send(*transport);
  EXPECT_EQ(outcome.status, SendStatus::kAccepted);
  EXPECT_THAT(outcome.message, HasSubstr("cannot be decoded"));
  EXPECT_EQ(send(*transport).status, SendStatus::kAccepted);
  EXPECT_EQ(server.connections(), 2U);
}

TEST(HttpTransportTest, BytesThatAreNotHttpAreRetried) {
  RawServer server({"SSH-2.0-OpenSSH_9.2\r\n\r\n"});
  EXPECT_EQ(send(*connect(server)).status, SendStatus::kRetry);
}

TEST(HttpTransportTest, NoAnswerEndsAtTheDeadline) {
  RawServer server({});
  const SendOutcome outcome = connect(server)->send(
      "body", std::chrono::steady_clock::now() + std::chrono::milliseconds(50));
  EXPECT_EQ(outcome.status, SendStatus::kRetry);
  EXPECT_THAT(outcome.message, HasSubstr(server.endpoint()));
}

TEST(HttpTransportTest, CancelEndsARunningSendAndAllLaterOnes) {
  RawServer server({});
  const auto transport = connect(server);
  std::thread canceller([&] {
    while (server.requests().empty()) {
      std::this_thread::yield();
    }
    transport->cancel();
  });
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(send(*transport).status, SendStatus::kRetry);
  EXPECT_EQ(send(*transport).status, SendStatus::kRetry);
  EXPECT_LT(std::chrono::steady_clock::now() - before, kLong / 2);
  canceller.join();
}

}  // namespace
}  // namespace zerospan::transport
