// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "exporter/transport/http_transport.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <string>
#include <string_view>
#include <utility>

#include "exporter/transport/endpoint.h"
#include "exporter/transport/gzip.h"
#include "exporter/transport/pem_files.h"

namespace zerospan::transport {
namespace {

using batch::SendOutcome;
using batch::SendStatus;

constexpr std::string_view kDefaultEndpoint = "http://localhost:4318";
// An answer holds one number and one message; what is longer is not read.
constexpr size_t kMaxAnswerBytes = 64U << 10U;

struct EasyDeleter {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct MultiDeleter {
  void operator()(CURLM* handle) const { curl_multi_cleanup(handle); }
};
struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Easy = std::unique_ptr<CURL, EasyDeleter>;
using Multi = std::unique_ptr<CURLM, MultiDeleter>;
using HeaderList = std::unique_ptr<curl_slist, ListDeleter>;

void append_header(HeaderList& list, const std::string& line) {
  curl_slist* longer = curl_slist_append(list.get(), line.c_str());
  if (longer != nullptr) {
    (void)list.release();
    list.reset(longer);
  }
}

// RFC 9110: a field name is a token; a value that could end the line would be a header of its own.
Status check_header(const std::string& name, const std::string& value) {
  constexpr std::string_view kTokenMarks = "!#$%&'*+-.^_`|~";
  const bool name_ok = !name.empty() && std::all_of(name.begin(), name.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kTokenMarks.find(c) != std::string_view::npos;
  });
  if (!name_ok) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the OTLP header name '{}' is not one that HTTP allows", name));
  }
  if (std::any_of(value.begin(), value.end(),
                  [](char c) { return (c >= 0 && c < ' ' && c != '\t') || c == 0x7F; })) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the value of the OTLP header '{}' has control characters", name));
  }
  return {};
}

class HttpTransport final : public batch::Transport {
 public:
  HttpTransport(Easy easy, Multi multi, HeaderList headers, std::string url,
                otlp::Encoding encoding, Compression compression)
      : easy_(std::move(easy)),
        multi_(std::move(multi)),
        headers_(std::move(headers)),
        url_(std::move(url)),
        encoding_(encoding),
        compression_(compression) {
    curl_easy_setopt(easy_.get(), CURLOPT_WRITEFUNCTION, &HttpTransport::on_body);
    curl_easy_setopt(easy_.get(), CURLOPT_WRITEDATA, this);
    curl_easy_setopt(easy_.get(), CURLOPT_HEADERFUNCTION, &HttpTransport::on_header);
    curl_easy_setopt(easy_.get(), CURLOPT_HEADERDATA, this);
    curl_easy_setopt(easy_.get(), CURLOPT_ERRORBUFFER, error_text_.data());
  }

  [[nodiscard]] otlp::Encoding encoding() const override { return encoding_; }

  [[nodiscard]] SendOutcome send(std::string_view request,
                                 std::chrono::steady_clock::time_point deadline) override {
    if (compression_ == Compression::kGzip) {
      if (const Status status = gzip(request, compressed_); !status) {
        return {SendStatus::kRefused, 0, {}, status.error().message};
      }
      request = compressed_;
    }
    answer_.clear();
    answer_too_long_ = false;
    answer_is_json_ = encoding_ == otlp::Encoding::kJson;
    retry_after_.clear();
    error_text_.front() = '\0';
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    curl_easy_setopt(easy_.get(), CURLOPT_TIMEOUT_MS,
                     static_cast<long>(std::max<int64_t>(left.count(), 1)));
    curl_easy_setopt(easy_.get(), CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.size()));
    curl_easy_setopt(easy_.get(), CURLOPT_POSTFIELDS, request.data());
    const CURLcode code = perform();
    if (code != CURLE_OK && !answer_too_long_) {
      const char* reason =
          error_text_.front() != '\0' ? error_text_.data() : curl_easy_strerror(code);
      return {SendStatus::kRetry,
              0,
              {},
              fmt::format("OTLP/HTTP export to {} failed: {}", url_, reason)};
    }
    return outcome();
  }

  void cancel() override {
    cancelled_ = true;
    curl_multi_wakeup(multi_.get());
  }

 private:
  // curl_easy_perform, but for cancel().
  CURLcode perform() {
    curl_multi_add_handle(multi_.get(), easy_.get());
    CURLcode result = CURLE_ABORTED_BY_CALLBACK;
    int running = 1;
    while (!cancelled_) {
      if (curl_multi_perform(multi_.get(), &running) != CURLM_OK) {
        break;
      }
      if (running == 0) {
        int left = 0;
        while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
          if (message->msg == CURLMSG_DONE) {
            result = message->data.result;
          }
        }
        break;
      }
      constexpr int kLongestPollMs = 1000;
      if (curl_multi_poll(multi_.get(), nullptr, 0, kLongestPollMs, nullptr) != CURLM_OK) {
        break;
      }
    }
    curl_multi_remove_handle(multi_.get(), easy_.get());
    return result;
  }

  [[nodiscard]] SendOutcome outcome() const {
    long status = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200 && status < 300) {
      const auto partial =
          answer_too_long_
              ? std::nullopt
              : otlp::decode_export_response(
                    answer_is_json_ ? otlp::Encoding::kJson : otlp::Encoding::kProtobuf, answer_);
      if (!partial) {
        return {SendStatus::kAccepted,
                0,
                {},
                fmt::format("{} took the spans, but its answer cannot be decoded", url_)};
      }
      return {SendStatus::kAccepted, partial->rejected_spans, {}, partial->message};
    }
    const bool retryable = status == 429 || status == 502 || status == 503 || status == 504;
    return {retryable ? SendStatus::kRetry : SendStatus::kRefused, 0,
            otlp::retry_delay_from_header(retry_after_, std::chrono::system_clock::now()),
            fmt::format("OTLP/HTTP export to {} failed: HTTP status {}{}", url_, status,
                        status == 404 ? "; is the path right? It usually ends in /v1/traces" : "")};
  }

  static size_t on_body(char* data, size_t size, size_t count, void* self) {
    auto* transport = static_cast<HttpTransport*>(self);
    const size_t bytes = size * count;
    if (transport->answer_.size() + bytes > kMaxAnswerBytes) {
      transport->answer_too_long_ = true;
      return 0;  // ends the transfer and closes the connection
    }
    transport->answer_.append(data, bytes);
    return bytes;
  }

  static size_t on_header(char* data, size_t size, size_t count, void* self) {
    auto* transport = static_cast<HttpTransport*>(self);
    std::string_view line(data, size * count);
    while (line.ends_with('\n') || line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos) {
      std::string name(line.substr(0, colon));
      std::transform(name.begin(), name.end(), name.begin(),
                     [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
      const std::string_view value = line.substr(colon + 1);
      if (name == "retry-after") {
        transport->retry_after_ = value;
      } else if (name == "content-type") {
        transport->answer_is_json_ = value.find("json") != std::string_view::npos;
      }
    }
    return size * count;
  }

  Easy easy_;
  Multi multi_;  // after easy_: a multi handle must go first
  HeaderList headers_;
  std::string url_;
  otlp::Encoding encoding_;
  Compression compression_;
  std::string compressed_;
  std::string answer_;
  std::string retry_after_;
  bool answer_too_long_ = false;
  bool answer_is_json_ = false;
  std::array<char, CURL_ERROR_SIZE> error_text_{};
  std::atomic<bool> cancelled_{false};
};

}  // namespace

Result<std::unique_ptr<batch::Transport>> make_http_transport(const ExporterOptions& options) {
  const bool is_default = options.endpoint.empty();
  const auto url = http_traces_url(is_default ? kDefaultEndpoint : options.endpoint,
                                   !is_default && options.endpoint_for_traces);
  if (!url) {
    return tl::unexpected(url.error());
  }
  if (const auto pem = read_pem_files(options); !pem) {
    return tl::unexpected(pem.error());
  }
  static const CURLcode global = curl_global_init(CURL_GLOBAL_DEFAULT);
  Easy easy(curl_easy_init());
  Multi multi(curl_multi_init());
  if (global != CURLE_OK || easy == nullptr || multi == nullptr) {
    return fail(ErrorCode::kInternal, "libcurl cannot start; is memory exhausted?");
  }
  const bool json = options.protocol == Protocol::kHttpJson;
  HeaderList headers;
  append_header(headers,
                json ? "Content-Type: application/json" : "Content-Type: application/x-protobuf");
  append_header(headers, "Expect:");  // no round trip for 100-continue
  if (options.compression == Compression::kGzip) {
    append_header(headers, "Content-Encoding: gzip");
  }
  for (const auto& [name, value] : options.headers) {
    if (const Status status = check_header(name, value); !status) {
      return tl::unexpected(status.error());
    }
    // curl's form for a header with an empty value is "Name;".
    append_header(headers, value.empty() ? name + ";" : name + ": " + value);
  }
  CURL* handle = easy.get();
  curl_easy_setopt(handle, CURLOPT_URL, url->c_str());
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_POST, 1L);
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_USERAGENT, options.user_agent.c_str());
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(handle, CURLOPT_TCP_KEEPALIVE, 1L);
  if (!options.ca_certificate_path.empty()) {
    curl_easy_setopt(handle, CURLOPT_CAINFO, options.ca_certificate_path.c_str());
  }
  if (!options.client_certificate_path.empty()) {
    curl_easy_setopt(handle, CURLOPT_SSLCERT, options.client_certificate_path.c_str());
    curl_easy_setopt(handle, CURLOPT_SSLKEY, options.client_key_path.c_str());
  }
  return std::make_unique<HttpTransport>(
      std::move(easy), std::move(multi), std::move(headers), *url,
      json ? otlp::Encoding::kJson : otlp::Encoding::kProtobuf, options.compression);
}

}  // namespace zerospan::transport
