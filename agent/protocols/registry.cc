// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/registry.h"

#include <algorithm>

#include "agent/protocols/amqp/connection.h"
#include "agent/protocols/amqp/detect.h"
#include "agent/protocols/cassandra/connection.h"
#include "agent/protocols/cassandra/detect.h"
#include "agent/protocols/dns/connection.h"
#include "agent/protocols/http1/connection.h"
#include "agent/protocols/http1/detect.h"
#include "agent/protocols/http2/connection.h"
#include "agent/protocols/http2/detect.h"
#include "agent/protocols/kafka/connection.h"
#include "agent/protocols/kafka/detect.h"
#include "agent/protocols/memcached/connection.h"
#include "agent/protocols/memcached/detect.h"
#include "agent/protocols/mongodb/connection.h"
#include "agent/protocols/mongodb/detect.h"
#include "agent/protocols/mqtt/connection.h"
#include "agent/protocols/mqtt/detect.h"
#include "agent/protocols/mysql/connection.h"
#include "agent/protocols/mysql/detect.h"
#include "agent/protocols/nats/connection.h"
#include "agent/protocols/nats/detect.h"
#include "agent/protocols/postgresql/connection.h"
#include "agent/protocols/postgresql/detect.h"
#include "agent/protocols/redis/connection.h"
#include "agent/protocols/redis/detect.h"

namespace zerospan::protocols {

namespace {

namespace http1_entry {
bool detect(model::Direction direction, std::string_view first_bytes) {
  return http1::detect(direction, first_bytes) != http1::Detection::kNo;
}
std::unique_ptr<ConnectionParser> make(const model::Connection& connection,
                                       ParserCounters* counters, Shared* /*shared*/) {
  http1::Options options;
  options.make_h2c = [](UpgradedRequest&& request,
                        ParserCounters* of) -> std::unique_ptr<ConnectionParser> {
    return std::make_unique<http2::Connection>(std::move(request), http2::Options{}, of);
  };
  return std::make_unique<http1::Connection>(connection, options, counters);
}
}  // namespace http1_entry

namespace http2_entry {
bool detect(model::Direction direction, std::string_view first_bytes) {
  return http2::detect(direction, first_bytes);
}
std::unique_ptr<ConnectionParser> make(const model::Connection& connection,
                                       ParserCounters* counters, Shared* /*shared*/) {
  return std::make_unique<http2::Connection>(connection, http2::Options{}, counters);
}
}  // namespace http2_entry

namespace mysql_entry {
bool detect(model::Direction /*direction*/, std::string_view first_bytes) {
  return mysql::detect(first_bytes);
}
std::unique_ptr<ConnectionParser> make(const model::Connection& connection,
                                       ParserCounters* counters, Shared* /*shared*/) {
  return std::make_unique<mysql::Connection>(connection, mysql::Options{}, counters);
}
}  // namespace mysql_entry

namespace postgresql_entry {
bool detect(model::Direction /*direction*/, std::string_view first_bytes) {
  return postgresql::detect(first_bytes);
}
std::unique_ptr<ConnectionParser> make(const model::Connection& connection,
                                       ParserCounters* counters, Shared* /*shared*/) {
  return std::make_unique<postgresql::Connection>(connection, postgresql::Options{}, counters);
}
}  // namespace postgresql_entry

namespace redis_entry {
bool detect(model::Direction /*direction*/, std::string_view first_bytes) {
  return redis::detect(first_bytes);
}
std::unique_ptr<ConnectionParser> make(const model::Connection& connection,
                                       ParserCounters* counters, Shared* /*shared*/) {
  return std::make_unique<redis::Connection>(connection, redis::Options{}, counters);
}
}  // namespace redis_entry

namespace kafka_entry {
bool detect(model::Direction /*direction*/, std::string_view first_bytes) {
  return kafka::detect(first_bytes);
}
std::unique_ptr<ConnectionParser> make(const model::Connection& connection,
                                       ParserCounters* counters, Shared* shared) {
  return std::make_unique<kafka::Connection>(connection, kafka::Options{}, counters, shared);
}
}  // namespace kafka_entry

namespace amqp_entry {
bool detect(model::Direction /*direction*/, std::string_view first_bytes) {
  return amqp::detect(first_bytes);
}
std::unique_ptr<ConnectionParser> make(const model::Connection& connection,
                                       ParserCounters* counters, Shared* /*shared*/) {
  return std::make_unique<amqp::Connection>(connection, amqp::Options{}, counters);
}
}  // namespace amqp_entry

namespace mqtt_entry {
bool detect(model::Direction /*direction*/, std::string_view first_bytes) {
  return mqtt::detect(first_bytes);
}
std::unique_ptr<ConnectionParser> make(const model::Connection& connection,
                                       ParserCounters* counters, Shared* /*shared*/) {
  return std::make_unique<mqtt::Connection>(connection, mqtt::Options{}, counters);
}
}  // namespace mqtt_entry

namespace nats_entry {
bool detect(model::Direction /*direction*/, std::string_view first_bytes) {
  return nats::detect(first_bytes);
}
std::unique_ptr<ConnectionParser> make(const model::Connection& connection,
                                       ParserCounters* counters, Shared* /*shared*/) {
  return std::make_unique<nats::Connection>(connection, nats::Options{}, counters);
}
}  // namespace nats_entry

namespace cassandra_entry {
bool detect(model::Direction /*direction*/, std::string_view first_bytes) {
  return cassandra::detect(first_bytes);
}
std::unique_ptr<ConnectionParser> make(const model::Connection& connection,
                                       ParserCounters* counters, Shared* shared) {
  return std::make_unique<cassandra::Connection>(connection, cassandra::Options{}, counters,
                                                 shared);
}
}  // namespace cassandra_entry

namespace memcached_entry {
bool detect(model::Direction /*direction*/, std::string_view first_bytes) {
  return memcached::detect(first_bytes);
}
std::unique_ptr<ConnectionParser> make(const model::Connection& connection,
                                       ParserCounters* counters, Shared* /*shared*/) {
  return std::make_unique<memcached::Connection>(connection, memcached::Options{}, counters);
}
}  // namespace memcached_entry

namespace mongodb_entry {
bool detect(model::Direction /*direction*/, std::string_view first_bytes) {
  return mongodb::detect(first_bytes);
}
std::unique_ptr<ConnectionParser> make(const model::Connection& connection,
                                       ParserCounters* counters, Shared* /*shared*/) {
  return std::make_unique<mongodb::Connection>(connection, mongodb::Options{}, counters);
}
}  // namespace mongodb_entry

namespace dns_entry {
constexpr bool (*detect)(model::Direction, std::string_view) = nullptr;
std::unique_ptr<ConnectionParser> make(const model::Connection& connection,
                                       ParserCounters* counters, Shared* /*shared*/) {
  return std::make_unique<dns::Connection>(connection, dns::Options{}, counters);
}
}  // namespace dns_entry

constexpr auto kProtocols = std::to_array<Protocol>({
#define ZS_PROTOCOL(id, name) {#name, name##_entry::detect, name##_entry::make},
#include "bpf/abi/protocols.def"
#undef ZS_PROTOCOL
});

}  // namespace

std::span<const Protocol> all_protocols() {
  return kProtocols;
}

uint32_t protocol_mask(std::span<const std::string> names) {
  uint32_t mask = 0;
  for (size_t i = 0; i < kProtocols.size(); ++i) {
    if (std::find(names.begin(), names.end(), kProtocols[i].name) != names.end()) {
      mask |= uint32_t{1} << i;
    }
  }
  return mask;
}

}  // namespace zerospan::protocols
