// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What is left to the OpenTelemetry SDK that a program carries. A plain value.
#pragma once

#include "agent/core/span_class.h"
#include "agent/model/connection.h"
#include "agent/model/exchange.h"

namespace zerospan::model {

struct OwnSdk {
  SpanClasses makes = 0;
  // Calls over HTTP and gRPC of which the SDK makes a span carry that span's context. One that does
  // not was made with a client that the SDK does not know.
  bool sends_context = true;
  bool operator==(const OwnSdk&) const = default;
};

// The class of an exchange's span; 0 for one that no SDK makes.
[[nodiscard]] SpanClasses span_class(Role role, const HttpExchange* http, const DbExchange* db,
                                     const MessagingExchange* messaging);
[[nodiscard]] SpanClasses span_class(const Exchange& exchange);

}  // namespace zerospan::model
