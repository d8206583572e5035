// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The protocols that zerospan follows, as an explicit table made from bpf/abi/protocols.def.
// Immutable.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "agent/protocols/parser.h"
#include "agent/protocols/shared.h"

namespace zerospan::protocols {

struct Protocol {
  std::string_view name;
  // Could these first bytes of a direction be this protocol's? False is final. Null: its
  // connections are known by their port, and nobody else's.
  bool (*detect)(model::Direction direction, std::string_view first_bytes);
  // `counters` and `shared` outlive the parser and are used by the calling thread only.
  std::unique_ptr<ConnectionParser> (*make)(const model::Connection& connection,
                                            ParserCounters* counters, Shared* shared);
};

// In the order in which they are asked.
[[nodiscard]] std::span<const Protocol> all_protocols();

// Bit n: all_protocols()[n] has one of these names.
[[nodiscard]] uint32_t protocol_mask(std::span<const std::string> names);

}  // namespace zerospan::protocols
