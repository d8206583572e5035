// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The spans that an OpenTelemetry SDK inside a program may make itself, by kind and protocol: a
// set.
#pragma once

#include <cstdint>
#include <string>

namespace zerospan {

using SpanClasses = uint32_t;

enum SpanClass : SpanClasses {
  kHttpServer = 1U << 0U,
  kHttpClient = 1U << 1U,
  kRpcServer = 1U << 2U,  // gRPC
  kRpcClient = 1U << 3U,
  kPostgresql = 1U << 4U,  // calls to a database
  kMysql = 1U << 5U,
  kRedis = 1U << 6U,
  kMemcached = 1U << 7U,
  kKafka = 1U << 8U,  // calls to a message broker
  kRabbitmq = 1U << 9U,
  kMongodb = 1U << 10U,
};
inline constexpr SpanClasses kHttpSpans = kHttpServer | kHttpClient;
inline constexpr SpanClasses kRpcSpans = kRpcServer | kRpcClient;
inline constexpr SpanClasses kSqlSpans = kPostgresql | kMysql;
inline constexpr SpanClasses kDatabaseSpans = kSqlSpans | kRedis | kMemcached | kMongodb;
inline constexpr SpanClasses kMessagingSpans = kKafka | kRabbitmq;

// For the operator: "HTTP server, PostgreSQL"; "none".
[[nodiscard]] std::string to_text(SpanClasses classes);

}  // namespace zerospan
