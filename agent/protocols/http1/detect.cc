// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/http1/detect.h"

#include <algorithm>

#include "agent/protocols/http1/head.h"

namespace zerospan::protocols::http1 {
namespace {

Detection detect_response(std::string_view bytes) {
  // A form with a digit at each '0'.
  constexpr std::string_view kForm = "HTTP/1.0 000";
  const size_t compared = std::min(bytes.size(), kForm.size());
  for (size_t i = 0; i < compared; ++i) {
    const bool digit = bytes[i] >= '0' && bytes[i] <= '9';
    if (kForm[i] == '0' ? !digit : bytes[i] != kForm[i]) {
      return Detection::kNo;
    }
  }
  if (bytes.size() <= kForm.size()) {
    return Detection::kMaybe;
  }
  return parse_status_line(bytes.substr(0, kForm.size() + 1)) ? Detection::kResponse
                                                              : Detection::kNo;
}

Detection detect_request(std::string_view bytes) {
  const auto line = first_line(bytes);
  if (line) {
    return starts_with_request_line(bytes) ? Detection::kRequest : Detection::kNo;
  }
  const size_t method_end = bytes.find(' ');
  if (method_end == std::string_view::npos) {
    return is_plausible_method(bytes) ? Detection::kMaybe : Detection::kNo;
  }
  if (!is_plausible_method(bytes.substr(0, method_end))) {
    return Detection::kNo;
  }
  // Behind the target only the version may come.
  const std::string_view rest = bytes.substr(method_end + 1);
  const size_t target_end = std::min(rest.find(' '), rest.size());
  if (target_end == 0 && !rest.empty()) {
    return Detection::kNo;
  }
  const bool control = std::any_of(rest.begin(), rest.begin() + static_cast<ptrdiff_t>(target_end),
                                   [](char c) { return static_cast<unsigned char>(c) < ' '; });
  if (control) {
    return Detection::kNo;
  }
  constexpr std::string_view kVersion = "HTTP/1.";
  const std::string_view version = target_end < rest.size() ? rest.substr(target_end + 1) : "";
  const size_t compared = std::min(version.size(), kVersion.size());
  if (version.substr(0, compared) != kVersion.substr(0, compared)) {
    return Detection::kNo;
  }
  return compared == kVersion.size() || bytes.size() >= kDecideBytes ? Detection::kRequest
                                                                     : Detection::kMaybe;
}

}  // namespace

Detection detect(model::Direction /*direction*/, std::string_view first_bytes) {
  const size_t begin = first_bytes.find_first_not_of("\r\n");
  if (begin == std::string_view::npos) {
    return first_bytes.size() < kDecideBytes ? Detection::kMaybe : Detection::kNo;
  }
  const std::string_view bytes = first_bytes.substr(begin);
  // No method has a slash, so the two kinds share only the prefix "HTTP".
  const Detection response = detect_response(bytes);
  return response == Detection::kNo ? detect_request(bytes) : response;
}

}  // namespace zerospan::protocols::http1
