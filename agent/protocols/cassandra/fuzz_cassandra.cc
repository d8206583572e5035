// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/cassandra/connection.h"
#include "agent/protocols/fuzz_connection.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace zerospan;
  protocols::ParserCounters counters;
  protocols::Shared shared;
  return protocols::fuzzing::fuzz_connection(data, size, [&](const model::Connection& connection) {
    return protocols::cassandra::Connection(connection, {}, &counters, &shared);
  });
}
