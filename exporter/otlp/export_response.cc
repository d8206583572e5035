// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "exporter/otlp/export_response.h"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <nlohmann/json.hpp>

#include "exporter/otlp/utf8.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb.h"
#include "zerospan/rpc_status.pb.h"

namespace zerospan::otlp {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kLongestDelay = std::chrono::hours(24);
constexpr size_t kLongestMessage = 1024;

milliseconds clamp_delay(milliseconds delay) {
  return std::clamp(delay, milliseconds(0), kLongestDelay);
}

std::string printable(std::string_view message) {
  std::string out;
  append_as_utf8(message.substr(0, kLongestMessage), out);
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c >= 0 && c < ' '; }, ' ');
  return out;
}

uint64_t not_negative(int64_t count) {
  return count > 0 ? static_cast<uint64_t>(count) : 0;
}

bool parse_int(std::string_view text, int64_t& value) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  return result.ec == std::errc() && result.ptr == text.data() + text.size();
}

std::optional<PartialSuccess> decode_json(std::string_view bytes) {
  const auto document = nlohmann::json::parse(bytes, nullptr, false);
  if (!document.is_object()) {
    return std::nullopt;
  }
  PartialSuccess result;
  const auto partial = document.find("partialSuccess");
  if (partial == document.end() || partial->is_null()) {
    return result;
  }
  if (!partial->is_object()) {
    return std::nullopt;
  }
  if (const auto rejected = partial->find("rejectedSpans"); rejected != partial->end()) {
    int64_t count = 0;
    if (rejected->is_number_unsigned()) {
      count = static_cast<int64_t>(
          std::min<uint64_t>(rejected->get<uint64_t>(), static_cast<uint64_t>(INT64_MAX)));
    } else if (rejected->is_number_integer()) {
      count = rejected->get<int64_t>();
    } else if (!rejected->is_string() ||
               !parse_int(rejected->get_ref<const std::string&>(), count)) {
      return std::nullopt;
    }
    result.rejected_spans = not_negative(count);
  }
  if (const auto message = partial->find("errorMessage");
      message != partial->end() && message->is_string()) {
    result.message = printable(message->get_ref<const std::string&>());
  }
  return result;
}

}  // namespace

std::optional<PartialSuccess> decode_export_response(Encoding encoding, std::string_view bytes) {
  if (bytes.empty()) {
    return PartialSuccess{};
  }
  if (encoding == Encoding::kJson) {
    return decode_json(bytes);
  }
  opentelemetry::proto::collector::trace::v1::ExportTraceServiceResponse response;
  if (bytes.size() > INT32_MAX ||
      !response.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return std::nullopt;
  }
  return PartialSuccess{not_negative(response.partial_success().rejected_spans()),
                        printable(response.partial_success().error_message())};
}

std::optional<milliseconds> retry_delay_from_status(std::string_view status_bytes) {
  rpc::Status status;
  if (status_bytes.size() > INT32_MAX ||
      !status.ParseFromArray(status_bytes.data(), static_cast<int>(status_bytes.size()))) {
    return std::nullopt;
  }
  for (const rpc::Any& detail : status.details()) {
    rpc::RetryInfo info;
    if (detail.type_url() != "type.googleapis.com/google.rpc.RetryInfo" ||
        !info.ParseFromString(detail.value()) || !info.has_retry_delay()) {
      continue;
    }
    const int64_t whole =
        std::clamp<int64_t>(info.retry_delay().seconds(), 0, kLongestDelay / seconds(1));
    return clamp_delay(seconds(whole) + std::chrono::duration_cast<milliseconds>(
                                            std::chrono::nanoseconds(info.retry_delay().nanos())));
  }
  return std::nullopt;
}

std::optional<milliseconds> retry_delay_from_header(std::string_view value,
                                                    std::chrono::system_clock::time_point now) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!value.empty() && is_space(value.front())) {
    value.remove_prefix(1);
  }
  while (!value.empty() && is_space(value.back())) {
    value.remove_suffix(1);
  }
  if (value.empty()) {
    return std::nullopt;
  }
  if (std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    int64_t count = 0;
    if (!parse_int(value, count)) {
      return kLongestDelay;  // more digits than fit is a very long wait
    }
    return clamp_delay(seconds(std::min<int64_t>(count, kLongestDelay / seconds(1))));
  }
  std::tm date{};
  const std::string text(value.substr(0, 64));
  const char* end = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date);
  if (end == nullptr || *end != '\0') {
    return std::nullopt;
  }
  // In whole seconds: the clock's own nanoseconds do not reach the year 9999, which a peer may
  // write.
  const int64_t wait = ::timegm(&date) - std::chrono::system_clock::to_time_t(now);
  return clamp_delay(seconds(std::clamp<int64_t>(wait, 0, kLongestDelay / seconds(1))));
}

}  // namespace zerospan::otlp
