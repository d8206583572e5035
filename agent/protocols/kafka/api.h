// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The kinds of requests that Kafka has (https://kafka.apache.org/protocol.html#protocol_api_keys),
// and its errors. Immutable.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace zerospan::protocols::kafka {

inline constexpr int16_t kProduce = 0;
inline constexpr int16_t kFetch = 1;
inline constexpr int16_t kMetadata = 3;
inline constexpr int16_t kControlledShutdown = 7;
inline constexpr int16_t kOffsetCommit = 8;
inline constexpr int16_t kOffsetFetch = 9;
inline constexpr int16_t kFindCoordinator = 10;
inline constexpr int16_t kHeartbeat = 12;
inline constexpr int16_t kSaslHandshake = 17;
inline constexpr int16_t kApiVersions = 18;
inline constexpr int16_t kTxnOffsetCommit = 28;
inline constexpr int16_t kBrokerHeartbeat = 63;
inline constexpr int16_t kConsumerGroupHeartbeat = 68;
inline constexpr int16_t kShareGroupHeartbeat = 76;

// No version was ever as high as this.
inline constexpr int16_t kVersionsEnd = 32;
inline constexpr int16_t kNever = 127;

// Where a request names the consumer group.
enum class Group : uint8_t { kNone, kFirst };
// Where a response has the error that stands for the whole.
enum class ErrorAt : uint8_t { kNone, kFirst, kAfterThrottle };

struct Api {
  std::string_view name;
  int16_t flexible_from = kNever;  // the version from which on its header has tags (KIP-482)
  Group group = Group::kNone;
  ErrorAt error = ErrorAt::kNone;
  int16_t throttle_from = 0;  // with kAfterThrottle: of older versions the error is first
};

// Null: there is no such request.
[[nodiscard]] const Api* find_api(int16_t key);
// One past the highest key.
[[nodiscard]] int16_t api_keys_end();

// "NOT_LEADER_OR_FOLLOWER"; of one that is not known its number.
[[nodiscard]] std::string error_name(int16_t code);

}  // namespace zerospan::protocols::kafka
