// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What the fields of a header block say (RFC 9113 section 8). Pure functions; the views point into
// the list.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "agent/model/exchange.h"
#include "agent/protocols/http2/hpack.h"

namespace zerospan::protocols::http2 {

// The pseudo-header fields and the few others that the parser itself looks at. data() == nullptr:
// absent, or not known.
struct KnownFields {
  std::string_view method;
  std::string_view scheme;
  std::string_view authority;
  std::string_view path;
  std::string_view status;
  std::string_view host;
  std::string_view content_type;
  std::string_view grpc_status;
  std::string_view grpc_message;
  std::string_view grpc_timeout;

  [[nodiscard]] bool of_request() const {
    return method.data() != nullptr || scheme.data() != nullptr || authority.data() != nullptr ||
           path.data() != nullptr;
  }
  [[nodiscard]] bool of_response() const { return status.data() != nullptr; }
};

// nullopt: malformed (sections 8.2.1 and 8.3), which no working program sends: such bytes were
// hardly a header block at all.
[[nodiscard]] std::optional<KnownFields> check_fields(const FieldList& list);

// The three digits of :status; 0 if they are none.
[[nodiscard]] uint16_t parse_status(std::string_view value);

// Puts the fields without the pseudo-header fields into the block, and `authority` in front as
// "host" if there is none. Returns how many bytes it holds then.
size_t copy_fields(const FieldList& list, const KnownFields& known, model::HeaderBlock& block);

}  // namespace zerospan::protocols::http2
