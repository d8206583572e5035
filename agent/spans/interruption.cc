// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/interruption.h"

#include <array>

namespace zerospan::spans {

std::string_view interruption(const model::Exchange& exchange,
                              const std::optional<model::StreamReset>& reset) {
  // RFC 9113 section 7.
  constexpr std::array<std::string_view, 14> kCodes = {"NO_ERROR",
                                                       "PROTOCOL_ERROR",
                                                       "INTERNAL_ERROR",
                                                       "FLOW_CONTROL_ERROR",
                                                       "SETTINGS_TIMEOUT",
                                                       "STREAM_CLOSED",
                                                       "FRAME_SIZE_ERROR",
                                                       "REFUSED_STREAM",
                                                       "CANCEL",
                                                       "COMPRESSION_ERROR",
                                                       "CONNECT_ERROR",
                                                       "ENHANCE_YOUR_CALM",
                                                       "INADEQUATE_SECURITY",
                                                       "HTTP_1_1_REQUIRED"};
  switch (exchange.outcome) {
    case model::Outcome::kReset:
      if (!reset) {
        return "connection_reset";
      }
      return reset->code < kCodes.size() ? kCodes[reset->code] : "stream_reset";
    case model::Outcome::kClosedEarly:
      return "connection_closed";
    case model::Outcome::kNoResponse:
      return "no_response";
    case model::Outcome::kComplete:
      break;
  }
  return {};
}

}  // namespace zerospan::spans
