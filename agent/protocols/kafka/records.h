// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What record batches tell without their values
// (https://kafka.apache.org/documentation/#recordbatch). Pure, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/protocols/kafka/reader.h"

namespace zerospan::protocols::kafka {

inline constexpr size_t kMostContexts = 16;

struct Records {
  uint64_t bytes = 0;
  uint64_t count = 0;  // without those of control batches
  bool count_known = true;
  int64_t first_offset = 0;  // of the first batch
  // `traceparent` of the records that were captured and are not compressed.
  std::vector<std::string> contexts;
};

// Adds the batches in the next `length` bytes, and leaves the reader behind them.
void read_records(Reader& reader, uint64_t length, Records& records);

}  // namespace zerospan::protocols::kafka
