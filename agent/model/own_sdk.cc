// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/model/own_sdk.h"

namespace zerospan::model {

SpanClasses span_class(Role role, const HttpExchange* http, const DbExchange* db,
                       const MessagingExchange* messaging) {
  const bool server = role == Role::kServer;
  if (http != nullptr) {
    if (http->grpc) {
      return server ? kRpcServer : kRpcClient;
    }
    return server ? kHttpServer : kHttpClient;
  }
  if (db != nullptr && !server) {
    switch (db->system) {
      case DbSystem::kPostgresql:
        return kPostgresql;
      case DbSystem::kMysql:
      case DbSystem::kMariadb:
        return kMysql;
      case DbSystem::kRedis:
        return kRedis;
      case DbSystem::kMemcached:
        return kMemcached;
      case DbSystem::kMongodb:
        return kMongodb;
      case DbSystem::kCassandra:
        break;  // those of its drivers are not told apart
    }
  }
  if (messaging != nullptr && !server && messaging->type != MessagingOperation::kOther) {
    switch (messaging->system) {
      case MessagingSystem::kKafka:
        return kKafka;
      case MessagingSystem::kRabbitmq:
        return kRabbitmq;
      case MessagingSystem::kMqtt:
        break;  // no SDK makes spans of it
      case MessagingSystem::kNats:
        break;  // Java's agent does, in its latest versions: not told apart
    }
  }
  return 0;
}

SpanClasses span_class(const Exchange& exchange) {
  return span_class(exchange.role, std::get_if<HttpExchange>(&exchange.payload),
                    std::get_if<DbExchange>(&exchange.payload),
                    std::get_if<MessagingExchange>(&exchange.payload));
}

}  // namespace zerospan::model
