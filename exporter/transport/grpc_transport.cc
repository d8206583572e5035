// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "exporter/transport/grpc_transport.h"

#include <fmt/format.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "exporter/transport/endpoint.h"
#include "exporter/transport/pem_files.h"

namespace zerospan::transport {
namespace {

using batch::SendOutcome;
using batch::SendStatus;

constexpr uint16_t kGrpcPort = 4317;
constexpr std::string_view kDefaultEndpoint = "http://localhost:4317";
constexpr const char* kMethod = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
// An answer holds one number and one message.
constexpr int kMaxAnswerBytes = 64 << 10;

using Metadata = std::vector<std::pair<std::string, std::string>>;

// gRPC aborts the process on metadata that HTTP/2 cannot carry, so it is checked here.
Result<Metadata> checked_metadata(const ExporterOptions& options) {
  Metadata metadata;
  for (const auto& [name, value] : options.headers) {
    std::string key = name;
    std::transform(key.begin(), key.end(), key.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    const bool name_ok = !key.empty() && !key.starts_with("grpc-") &&
                         std::all_of(key.begin(), key.end(), [](char c) {
                           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                                  c == '_' || c == '.';
                         });
    if (!name_ok) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("the OTLP header name '{}' cannot be sent over gRPC; use letters, "
                              "digits, '-', '_' and '.', and no name that begins with grpc-",
                              name));
    }
    if (!key.ends_with("-bin") &&
        !std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c <= '~'; })) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("the value of the OTLP header '{}' has characters that are not "
                              "printable ASCII, which gRPC cannot send",
                              name));
    }
    metadata.emplace_back(std::move(key), value);
  }
  return metadata;
}

bool is_retryable(grpc::StatusCode code, bool has_retry_info) {
  switch (code) {
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::ABORTED:
    case grpc::StatusCode::OUT_OF_RANGE:
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DATA_LOSS:
      return true;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      // Without RetryInfo it means "too large" as often as "too much", and never gets better.
      return has_retry_info;
    default:
      return false;
  }
}

std::string bytes_of(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (buffer.Dump(&slices).ok()) {
    for (const grpc::Slice& slice : slices) {
      bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    }
  }
  return bytes;
}

class GrpcTransport final : public batch::Transport {
 public:
  GrpcTransport(std::string peer, std::shared_ptr<grpc::Channel> channel, Metadata metadata,
                Compression compression)
      : peer_(std::move(peer)),
        channel_(std::move(channel)),
        stub_(channel_),
        metadata_(std::move(metadata)),
        compression_(compression) {}

  ~GrpcTransport() override {
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  [[nodiscard]] otlp::Encoding encoding() const override { return otlp::Encoding::kProtobuf; }

  [[nodiscard]] SendOutcome send(std::string_view request,
                                 std::chrono::steady_clock::time_point deadline) override {
    reconnect(deadline);
    grpc::ClientContext context;
    context.set_deadline(wall_clock(deadline));
    for (const auto& [key, value] : metadata_) {
      context.AddMetadata(key, value);
    }
    if (compression_ == Compression::kGzip) {
      context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
    }
    const grpc::Slice slice(request.data(), request.size());
    const grpc::ByteBuffer message(&slice, 1);
    grpc::ByteBuffer answer;
    grpc::Status status;
    {
      const std::scoped_lock lock(mutex_);
      if (cancelled_) {
        return {SendStatus::kRetry, 0, {}, "the export was cut off by the end of the agent"};
      }
      running_ = &context;
    }
    const auto call = stub_.PrepareUnaryCall(&context, kMethod, message, &queue_);
    call->StartCall();
    call->Finish(&answer, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue_.Next(&tag, &ok);  // the call's end: the deadline bounds it
    {
      const std::scoped_lock lock(mutex_);
      running_ = nullptr;
    }
    return outcome(context, status, answer);
  }

  void cancel() override {
    const std::scoped_lock lock(mutex_);
    cancelled_ = true;
    if (running_ != nullptr) {
      running_->TryCancel();
    }
  }

 private:
  // gRPC takes a wall clock time and turns it into a monotonic one at once.
  static std::chrono::system_clock::time_point wall_clock(
      std::chrono::steady_clock::time_point time) {
    return std::chrono::system_clock::now() +
           std::chrono::duration_cast<std::chrono::system_clock::duration>(
               time - std::chrono::steady_clock::now());
  }

  // After a failure a channel fails all calls at once, and between calls nothing but a poll every 5
  // s moves its connection attempts on. So each send does that for a while first, and a receiver
  // that is back is found by the next retry.
  void reconnect(std::chrono::steady_clock::time_point deadline) {
    constexpr std::chrono::milliseconds kPatience{100};
    if (channel_->GetState(true) == GRPC_CHANNEL_TRANSIENT_FAILURE) {
      channel_->WaitForConnected(
          wall_clock(std::min(deadline, std::chrono::steady_clock::now() + kPatience)));
    }
  }

  [[nodiscard]] SendOutcome outcome(const grpc::ClientContext& context, const grpc::Status& status,
                                    const grpc::ByteBuffer& answer) const {
    if (status.ok()) {
      const auto partial =
          otlp::decode_export_response(otlp::Encoding::kProtobuf, bytes_of(answer));
      if (!partial) {
        return {SendStatus::kAccepted,
                0,
                {},
                fmt::format("{} took the spans, but its answer cannot be decoded", peer_)};
      }
      return {SendStatus::kAccepted, partial->rejected_spans, {}, partial->message};
    }
    const auto& trailers = context.GetServerTrailingMetadata();
    std::optional<std::chrono::milliseconds> retry_after;
    if (const auto details = trailers.find("grpc-status-details-bin"); details != trailers.end()) {
      retry_after = otlp::retry_delay_from_status(
          std::string_view(details->second.data(), details->second.size()));
    }
    const SendStatus kind = is_retryable(status.error_code(), retry_after.has_value())
                                ? SendStatus::kRetry
                                : SendStatus::kRefused;
    return {kind, 0, retry_after,
            fmt::format("OTLP/gRPC export to {} failed: {} (gRPC status {})", peer_,
                        status.error_message(), static_cast<int>(status.error_code()))};
  }

  std::string peer_;
  std::shared_ptr<grpc::Channel> channel_;
  grpc::GenericStub stub_;
  Metadata metadata_;
  Compression compression_;
  grpc::CompletionQueue queue_;
  std::mutex mutex_;
  grpc::ClientContext* running_ = nullptr;  // under the mutex
  bool cancelled_ = false;                  // under the mutex
};

}  // namespace

Result<std::unique_ptr<batch::Transport>> make_grpc_transport(const ExporterOptions& options) {
  const std::string endpoint =
      options.endpoint.empty() ? std::string(kDefaultEndpoint) : options.endpoint;
  const auto parsed = parse_endpoint(endpoint);
  if (!parsed) {
    return tl::unexpected(parsed.error());
  }
  if (!parsed->path.empty() && parsed->path != "/") {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the OTLP endpoint '{}' has a path, which gRPC has no use for; leave "
                            "'{}' out, or choose the protocol http/protobuf",
                            endpoint, parsed->path));
  }
  auto metadata = checked_metadata(options);
  if (!metadata) {
    return tl::unexpected(metadata.error());
  }
  const auto pem = read_pem_files(options);
  if (!pem) {
    return tl::unexpected(pem.error());
  }

  const bool secure = parsed->has_scheme ? parsed->secure : !options.insecure;
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (secure) {
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = pem->ca_certificate;
    tls.pem_cert_chain = pem->client_certificate;
    tls.pem_private_key = pem->client_key;
    credentials = grpc::SslCredentials(tls);
  }
  grpc::ChannelArguments arguments;
  arguments.SetUserAgentPrefix(options.user_agent);
  arguments.SetMaxReceiveMessageSize(kMaxAnswerBytes);
  // Retries are the exporter's, which counts them.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // gRPC's own pause between connection attempts grows to two minutes; a receiver that is back must
  // be found by our next retry.
  const auto milliseconds = [](std::chrono::milliseconds time) {
    return static_cast<int>(std::clamp<int64_t>(time.count(), 50, 60'000));
  };
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS,
                   milliseconds(options.batch.retry.initial_interval / 2));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS,
                   milliseconds(options.batch.retry.max_interval / 2));
  const std::string target = "dns:///" + parsed->authority(kGrpcPort);
  return std::make_unique<GrpcTransport>(parsed->authority(kGrpcPort),
                                         grpc::CreateCustomChannel(target, credentials, arguments),
                                         *std::move(metadata), options.compression);
}

}  // namespace zerospan::transport
