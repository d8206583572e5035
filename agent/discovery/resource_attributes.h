// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// OTEL_RESOURCE_ATTRIBUTES as the OpenTelemetry specification has it ("Resource SDK", section
// "Specifying resource information via an environment variable"). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace zerospan::discovery {

using ResourceAttributes = std::vector<std::pair<std::string, std::string>>;

// key1=value1,key2=value2, keys and values percent-decoded, white space around them removed. When
// anything in it is malformed the whole value is to be ignored: nullopt. An empty value has no
// attributes. A key that comes twice has its last value.
[[nodiscard]] std::optional<ResourceAttributes> parse_resource_attributes(std::string_view value);

// The same text as valid UTF-8: what is not (RFC 3629) becomes U+FFFD. OTLP strings must be UTF-8,
// and what comes from /proc need not be.
[[nodiscard]] std::string to_utf8(std::string_view bytes);

}  // namespace zerospan::discovery
