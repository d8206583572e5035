// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "exporter/transport/grpc_transport.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <functional>
#include <mutex>
#include <thread>

#include "opentelemetry/proto/collector/trace/v1/trace_service.grpc.pb.h"
#include "zerospan/rpc_status.pb.h"

namespace zerospan::transport {
namespace {

namespace service = opentelemetry::proto::collector::trace::v1;
using batch::SendOutcome;
using batch::SendStatus;
using ::testing::HasSubstr;

constexpr std::chrono::seconds kLong{30};

class Server final : public service::TraceService::Service {
 public:
  using Handler =
      std::function<grpc::Status(grpc::ServerContext&, service::ExportTraceServiceResponse&)>;

  explicit Server(Handler handler) : handler_(std::move(handler)) {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    endpoint_ = "http://127.0.0.1:" + std::to_string(port);
  }
  ~Server() override { server_->Shutdown(std::chrono::system_clock::now()); }
  Server(Server&&) = delete;
  Server& operator=(Server&&) = delete;

  grpc::Status Export(grpc::ServerContext* context,
                      const service::ExportTraceServiceRequest* request,
                      service::ExportTraceServiceResponse* response) override {
    {
      const std::scoped_lock lock(mutex_);
      ++calls_;
      last_request_ = *request;
      metadata_.clear();
      for (const auto& [key, value] : context->client_metadata()) {
        metadata_[std::string(key.data(), key.size())] = std::string(value.data(), value.size());
      }
    }
    return handler_(*context, *response);
  }

  [[nodiscard]] const std::string& endpoint() const { return endpoint_; }
  int calls() {
    const std::scoped_lock lock(mutex_);
    return calls_;
  }
  service::ExportTraceServiceRequest last_request() {
    const std::scoped_lock lock(mutex_);
    return last_request_;
  }
  std::map<std::string, std::string> metadata() {
    const std::scoped_lock lock(mutex_);
    return metadata_;
  }

 private:
  Handler handler_;
  std::unique_ptr<grpc::Server> server_;
  std::string endpoint_;
  std::mutex mutex_;
  int calls_ = 0;
  service::ExportTraceServiceRequest last_request_;
  std::map<std::string, std::string> metadata_;
};

std::unique_ptr<batch::Transport> connect(const std::string& endpoint,
                                          ExporterOptions options = {}) {
  options.endpoint = endpoint;
  options.user_agent = "test-agent/1";
  auto made = make_grpc_transport(options);
  EXPECT_TRUE(made) << (made ? "" : made.error().message);
  return made ? std::move(*made) : nullptr;
}

std::string request_bytes() {
  service::ExportTraceServiceRequest request;
  request.add_resource_spans()->set_schema_url("s");
  return request.SerializeAsString();
}

SendOutcome send(batch::Transport& transport) {
  return transport.send(request_bytes(), std::chrono::steady_clock::now() + kLong);
}

grpc::Status ok(grpc::ServerContext&, service::ExportTraceServiceResponse&) {
  return grpc::Status::OK;
}

TEST(GrpcTransportTest, SendsBytesHeadersAndUserAgent) {
  for (const Compression compression : {Compression::kNone, Compression::kGzip}) {
    Server server(ok);
    ExporterOptions options;
    options.headers = {{"Api-Key", "s3cret"}};
    options.compression = compression;
    const auto transport = connect(server.endpoint(), options);
    EXPECT_EQ(send(*transport).status, SendStatus::kAccepted);
    EXPECT_EQ(server.last_request().SerializeAsString(), request_bytes());
    const auto metadata = server.metadata();
    EXPECT_EQ(metadata.at("api-key"), "s3cret");
    EXPECT_THAT(metadata.at("user-agent"), ::testing::StartsWith("test-agent/1 "));
  }
}

TEST(GrpcTransportTest, PartialSuccess) {
  Server server([](grpc::ServerContext&, service::ExportTraceServiceResponse& response) {
    response.mutable_partial_success()->set_rejected_spans(3);
    response.mutable_partial_success()->set_error_message("old");
    return grpc::Status::OK;
  });
  const SendOutcome outcome = send(*connect(server.endpoint()));
  EXPECT_EQ(outcome.status, SendStatus::kAccepted);
  EXPECT_EQ(outcome.rejected_spans, 3U);
  EXPECT_EQ(outcome.message, "old");
}

TEST(GrpcTransportTest, StatusCodesAsTheSpecificationHasThem) {
  grpc::Status status;
  Server server(
      [&status](grpc::ServerContext&, service::ExportTraceServiceResponse&) { return status; });
  const auto transport = connect(server.endpoint());
  for (int code = 1; code <= 16; ++code) {
    status = grpc::Status(static_cast<grpc::StatusCode>(code), "as told");
    const bool retryable =
        code == 1 || code == 4 || code == 10 || code == 11 || code == 14 || code == 15;
    const SendOutcome outcome = send(*transport);
    EXPECT_EQ(outcome.status, retryable ? SendStatus::kRetry : SendStatus::kRefused) << code;
    EXPECT_FALSE(outcome.retry_after);
    EXPECT_THAT(outcome.message, HasSubstr("as told"));
  }
  EXPECT_EQ(server.calls(), 16);
}

TEST(GrpcTransportTest, RetryInfo) {
  rpc::RetryInfo info;
  info.mutable_retry_delay()->set_seconds(2);
  rpc::Status details;
  details.add_details()->set_type_url("type.googleapis.com/google.rpc.RetryInfo");
  details.mutable_details(0)->set_value(info.SerializeAsString());
  std::string bytes = details.SerializeAsString();
  Server server([&bytes](grpc::ServerContext&, service::ExportTraceServiceResponse&) {
    return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "busy", bytes);
  });
  const auto transport = connect(server.endpoint());
  const SendOutcome outcome = send(*transport);
  EXPECT_EQ(outcome.status, SendStatus::kRetry);
  EXPECT_EQ(outcome.retry_after, std::chrono::seconds(2));
  bytes = "\xFF\xFFgarbage";
  EXPECT_EQ(send(*transport).status, SendStatus::kRefused);
}

TEST(GrpcTransportTest, NobodyThereIsRetried) {
  std::string endpoint;
  {
    Server gone(ok);
    endpoint = gone.endpoint();
  }
  const SendOutcome outcome = send(*connect(endpoint));
  EXPECT_EQ(outcome.status, SendStatus::kRetry);
  EXPECT_THAT(outcome.message, HasSubstr(endpoint.substr(7)));
}

TEST(GrpcTransportTest, NoAnswerEndsAtTheDeadline) {
  Server server([](grpc::ServerContext& context, service::ExportTraceServiceResponse&) {
    while (!context.IsCancelled()) {
      std::this_thread::yield();
    }
    return grpc::Status::CANCELLED;
  });
  EXPECT_EQ(
      connect(server.endpoint())
          ->send(request_bytes(), std::chrono::steady_clock::now() + std::chrono::milliseconds(100))
          .status,
      SendStatus::kRetry);
}

TEST(GrpcTransportTest, CancelEndsARunningSendAndAllLaterOnes) {
  Server server([](grpc::ServerContext& context, service::ExportTraceServiceResponse&) {
    while (!context.IsCancelled()) {
      std::this_thread::yield();
    }
    return grpc::Status::CANCELLED;
  });
  const auto transport = connect(server.endpoint());
  std::thread canceller([&] {
    while (server.calls() == 0) {
      std::this_thread::yield();
    }
    transport->cancel();
  });
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(send(*transport).status, SendStatus::kRetry);
  canceller.join();
  EXPECT_EQ(send(*transport).status, SendStatus::kRetry);
  EXPECT_LT(std::chrono::steady_clock::now() - before, kLong / 2);
}

// A server that answers with bytes of its own choice.
TEST(GrpcTransportTest, GarbageAndOversizedAnswers) {
  for (const size_t size : {size_t{12}, size_t{1} << 20U}) {
    grpc::AsyncGenericService generic;
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterAsyncGenericService(&generic);
    const auto queue = builder.AddCompletionQueue();
    const auto server = builder.BuildAndStart();
    std::thread answering([&] {
      grpc::GenericServerContext context;
      grpc::GenericServerAsyncReaderWriter stream(&context);
      void* tag = nullptr;
      bool done = false;
      grpc::ByteBuffer request;
      const grpc::Slice slice(std::string(size, '\xFF'));
      generic.RequestCall(&context, &stream, queue.get(), queue.get(), nullptr);
      queue->Next(&tag, &done);
      stream.Read(&request, nullptr);
      queue->Next(&tag, &done);
      stream.WriteAndFinish(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), grpc::Status::OK,
                            nullptr);
      queue->Next(&tag, &done);
    });
    const SendOutcome outcome = send(*connect("http://127.0.0.1:" + std::to_string(port)));
    if (size == 12) {
      EXPECT_EQ(outcome.status, SendStatus::kAccepted);
      EXPECT_THAT(outcome.message, HasSubstr("cannot be decoded"));
    } else {
      EXPECT_EQ(outcome.status, SendStatus::kRefused);
    }
    answering.join();
    server->Shutdown(std::chrono::system_clock::now());
    queue->Shutdown();
    void* tag = nullptr;
    bool done = false;
    while (queue->Next(&tag, &done)) {
    }
  }
}

}  // namespace
}  // namespace zerospan::transport
