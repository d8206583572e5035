// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/fuzz_connection.h"
#include "agent/protocols/nats/connection.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace zerospan;
  protocols::ParserCounters counters;
  return protocols::fuzzing::fuzz_connection(data, size, [&](const model::Connection& connection) {
    return protocols::nats::Connection(connection, {}, &counters);
  });
}
