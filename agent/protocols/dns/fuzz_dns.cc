// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/dns/connection.h"
#include "agent/protocols/fuzz_connection.h"

// The first byte's upper bit: over UDP.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace zerospan;
  protocols::ParserCounters counters;
  return protocols::fuzzing::fuzz_connection(data, size, [&](model::Connection connection) {
    connection.is_dns = true;
    if ((data[0] & 0x80U) != 0) {
      connection.transport = model::Transport::kUdp;
    }
    return protocols::dns::Connection(connection, {}, &counters);
  });
}
