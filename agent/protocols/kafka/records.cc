// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/kafka/records.h"

namespace zerospan::protocols::kafka {
namespace {

constexpr uint64_t kLogOverhead = 12;  // first offset and length: in front of each batch
constexpr int kCompression = 0x07;     // of the attributes
constexpr int kControl = 0x20;
constexpr int32_t kMostRecords = 1024;  // that are looked into for a context

// A string's or a value's length: -1 for null.
uint64_t read_size(Reader& reader) {
  const int64_t size = reader.read_varlong();
  return size < 0 ? 0 : static_cast<uint64_t>(size);
}

void read_contexts(Reader batch, int32_t count, Records& records) {
  for (int32_t i = 0; i < count && i < kMostRecords && batch.ok(); ++i) {
    const uint64_t length = read_size(batch);
    Reader record = batch.part(length);
    batch.skip(length);
    record.skip(1);                            // attributes
    static_cast<void>(record.read_varlong());  // time and offset, less the batch's first ones
    static_cast<void>(record.read_varlong());
    record.skip(read_size(record));  // key
    record.skip(read_size(record));  // value
    for (uint64_t headers = read_size(record); headers != 0 && record.ok(); --headers) {
      const std::string_view name = record.read_bytes(read_size(record));
      const uint64_t size = read_size(record);
      constexpr size_t kMostContextBytes = 64;
      if (name == "traceparent" && size <= kMostContextBytes) {
        const std::string_view value = record.read_bytes(size);
        if (!value.empty() && records.contexts.size() < kMostContexts) {
          records.contexts.emplace_back(value);
        }
      } else {
        record.skip(size);
      }
    }
  }
}

}  // namespace

void read_records(Reader& reader, uint64_t length, Records& records) {
  Reader all = reader.part(length);
  reader.skip(length);
  const bool first = records.bytes == 0;
  records.bytes += length;
  // Less than a batch at the end: a broker cuts what it answers with.
  for (bool begins = true; all.left() > kLogOverhead; begins = false) {
    const int64_t offset = all.read_int64();
    const int32_t size = all.read_int32();
    if (all.ok() && (size < 0 || static_cast<uint64_t>(size) > all.left())) {
      return;
    }
    Reader batch = all.part(static_cast<uint64_t>(size));
    all.skip(static_cast<uint64_t>(size));
    batch.skip(4);  // leader's epoch
    const int8_t magic = batch.read_int8();
    batch.skip(4);  // checksum
    const int attributes = batch.read_int16();
    // Last offset, two times, producer and its epoch, sequence.
    batch.skip(4 + 8 + 8 + 8 + 2 + 4);
    const int32_t count = batch.read_int32();
    if (!batch.ok() || magic != 2 || count < 0) {
      records.count_known = false;  // not captured, or of before Kafka 0.11
      return;
    }
    if (begins && first) {
      records.first_offset = offset;
    }
    if ((attributes & kControl) != 0) {
      continue;
    }
    records.count += static_cast<uint64_t>(count);
    if ((attributes & kCompression) == 0) {
      read_contexts(batch, count, records);
    }
  }
  records.count_known = records.count_known && all.ok();
}

}  // namespace zerospan::protocols::kafka
