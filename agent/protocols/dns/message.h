// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What a DNS message tells (RFC 1035 section 4.1). Pure, any thread. Names of records are skipped
// and never followed: no pointer of a compressed name (section 4.1.4) is believed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace zerospan::protocols::dns {

inline constexpr size_t kHeaderBytes = 12;
inline constexpr size_t kMostAnswers = 64;  // addresses that are told of one message

struct Message {
  uint16_t id = 0;
  bool response = false;
  bool truncated = false;
  uint16_t response_code = 0;  // with the upper bits of EDNS (RFC 6891 section 6.1.3)
  // The question. Empty in an answer that has none.
  std::string key;   // to compare it with another's: small letters, type and class
  std::string name;  // as model::DnsExchange has it
  uint16_t type = 0;
  std::vector<std::string> answers;  // IPv4 and IPv6 addresses
  bool cut = false;                  // there are records behind the last byte that is known
};

// `bytes`: the message's beginning, of which `size` is the length. Nothing: this is no message of
// the kind QUERY with one question. An answer to one may have none.
[[nodiscard]] std::optional<Message> read_message(std::string_view bytes, uint64_t size);

}  // namespace zerospan::protocols::dns
