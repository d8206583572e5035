// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/kernel/recording.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agent/kernel/test_records.h"

namespace zerospan::kernel {
namespace {

struct Kept {
  EntryType type;
  uint8_t ring;
  testing::Record bytes;
  bool operator==(const Kept&) const = default;
};

testing::Record bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

class Recording : public ::testing::Test {
 protected:
  Recording() {
    std::string name =
        (std::filesystem::temp_directory_path() / "zerospan_recording_XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
    path_ = name + "/run";
  }
  ~Recording() override { std::filesystem::remove_all(directory_); }

  void write(uint64_t seed, const std::vector<Kept>& entries) const {
    auto writer = RecordingWriter::create(path_, seed);
    ASSERT_TRUE(writer) << writer.error().message;
    for (const Kept& entry : entries) {
      (*writer)->write(entry.type, entry.ring, entry.bytes);
    }
    EXPECT_EQ((*writer)->entries(), entries.size());
    const Status closed = (*writer)->close();
    ASSERT_TRUE(closed) << closed.error().message;
  }

  [[nodiscard]] std::string file() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void set_file(std::string_view bytes) const {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
  }

  // The entries before the end or the first error.
  struct Reading {
    std::vector<Kept> entries;
    bool truncated = false;
    std::optional<Error> error;
  };
  [[nodiscard]] Reading read() const {
    Reading reading;
    auto reader = RecordingReader::open(path_);
    if (!reader) {
      reading.error = reader.error();
      return reading;
    }
    Entry entry;
    while (true) {
      const Result<bool> more = (*reader)->next(entry);
      if (!more) {
        reading.error = more.error();
        break;
      }
      if (!*more) {
        break;
      }
      reading.entries.push_back({entry.type, entry.ring, {entry.bytes.begin(), entry.bytes.end()}});
    }
    reading.truncated = (*reader)->truncated();
    return reading;
  }

  std::string directory_;
  std::string path_;
};

std::vector<Kept> sample() {
  zs_data_record data = testing::data_record(1, ZS_RECEIVE, 5, 3);
  data.head_bytes = 3;
  return {
      {EntryType::kClock, 0, bytes_of("0123456789abcdef")},
      {EntryType::kProcess, 0, bytes_of(R"({"pid": 7})")},
      {EntryType::kRecord, 3, testing::to_bytes(data, "GET")},
      {EntryType::kRecord, 63, testing::to_bytes(testing::close_record(1, ZS_CLOSE_ALL, 6))},
      {EntryType::kRecord, 1, {}},
      {EntryType::kEnd, 0, bytes_of("01234567")},
  };
}

TEST_F(Recording, RoundTrip) {
  write(0x0123456789abcdefULL, sample());
  const auto reader = RecordingReader::open(path_);
  ASSERT_TRUE(reader) << reader.error().message;
  EXPECT_EQ((*reader)->seed(), 0x0123456789abcdefULL);
  const Reading reading = read();
  EXPECT_FALSE(reading.error);
  EXPECT_FALSE(reading.truncated);
  EXPECT_EQ(reading.entries, sample());
}

TEST_F(Recording, OnlyTheOwnerMayReadIt) {
  write(1, {});
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(Recording, ReplacesTheFile) {
  write(1, sample());
  write(2, {sample()[0]});
  EXPECT_EQ(read().entries.size(), 1U);
}

TEST_F(Recording, KernelAddressesAreNotKept) {
  const zs_connection_record connection = testing::connection_record(1, 2, ZS_ROLE_SERVER);
  ASSERT_NE(connection.socket, 0U);
  write(1, {{EntryType::kRecord, 0, testing::to_bytes(connection)}});
  zs_connection_record without = connection;
  without.socket = 0;
  const Reading reading = read();
  ASSERT_EQ(reading.entries.size(), 1U);
  EXPECT_EQ(reading.entries[0].bytes, testing::to_bytes(without));
}

TEST_F(Recording, DataOfTheSizeOfAConnectionIsNotTouched) {
  const std::string payload(sizeof(zs_connection_record) - sizeof(zs_data_record), 'x');
  zs_data_record data = testing::data_record(1, ZS_RECEIVE, 5, payload.size());
  data.head_bytes = static_cast<__u32>(payload.size());
  const testing::Record record = testing::to_bytes(data, payload);
  write(1, {{EntryType::kRecord, 0, record}});
  EXPECT_EQ(read().entries[0].bytes, record);
}

TEST_F(Recording, AFileCutAnywhereGivesItsWholeEntries) {
  write(1, sample());
  const std::string whole = file();
  std::vector<size_t> ends = {whole.find('\n') + 1 + sizeof(uint64_t)};
  for (const Kept& entry : sample()) {
    ends.push_back(ends.back() + 8 + entry.bytes.size());
  }
  ASSERT_EQ(ends.back(), whole.size());
  for (size_t size = 0; size < whole.size(); ++size) {
    set_file(whole.substr(0, size));
    const Reading reading = read();
    if (size < ends.front()) {
      ASSERT_TRUE(reading.error) << size;
      EXPECT_EQ(reading.error->code, ErrorCode::kMalformed);
      continue;
    }
    ASSERT_FALSE(reading.error) << size << ": " << reading.error->message;
    size_t expected = 0;
    while (expected + 1 < ends.size() && ends[expected + 1] <= size) {
      ++expected;
    }
    const std::vector<Kept> all = sample();
    EXPECT_EQ(reading.entries,
              std::vector<Kept>(all.begin(), all.begin() + static_cast<ptrdiff_t>(expected)))
        << size;
    EXPECT_EQ(reading.truncated, size != ends[expected]) << size;
  }
}

TEST_F(Recording, EveryDamagedByteIsReadSafely) {
  write(1, sample());
  const std::string whole = file();
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const char value : {'\0', '\x7f', '\xff'}) {
      std::string damaged = whole;
      damaged[at] = value;
      set_file(damaged);
      EXPECT_LE(read().entries.size(), whole.size() / 8);
    }
  }
}

TEST_F(Recording, DamagedEntryHeadersAreToldWithTheirPlace) {
  write(1, {sample()[1]});
  const std::string whole = file();
  const size_t header = whole.find('\n') + 1 + sizeof(uint64_t);
  const auto expect_damage = [&](size_t at, char value, std::string_view what) {
    std::string damaged = whole;
    damaged[header + at] = value;
    set_file(damaged);
    const Reading reading = read();
    ASSERT_TRUE(reading.error) << what;
    EXPECT_EQ(reading.error->code, ErrorCode::kMalformed) << what;
    EXPECT_NE(reading.error->message.find(path_), std::string::npos) << reading.error->message;
    EXPECT_TRUE(reading.entries.empty()) << what;
  };
  expect_damage(0, 0, "type 0");
  expect_damage(0, 5, "type 5");
  expect_damage(1, ZS_RINGS_MAX, "ring");
  expect_damage(7, 0x7f, "length");
}

TEST_F(Recording, OtherVersionsAreRefusedByName) {
  write(1, sample());
  std::string other = file();
  const size_t line_end = other.find('\n');
  other.replace(0, line_end, "zerospan recording " + std::to_string(ZS_ABI_VERSION + 1));
  set_file(other);
  const Reading reading = read();
  ASSERT_TRUE(reading.error);
  EXPECT_EQ(reading.error->code, ErrorCode::kUnsupported);
  EXPECT_NE(reading.error->message.find(std::to_string(ZS_ABI_VERSION + 1)), std::string::npos);
}

TEST_F(Recording, OtherFilesAreRefused) {
  using namespace std::string_view_literals;
  for (const std::string_view bytes : {""sv, "hello\n"sv, "zerospan recording x\n01234567"sv,
                                       "\0\0\0\0\n01234567"sv, "zerospan recording \n01234567"sv}) {
    set_file(bytes);
    const Reading reading = read();
    ASSERT_TRUE(reading.error) << bytes;
    EXPECT_EQ(reading.error->code, ErrorCode::kMalformed) << bytes;
  }
}

TEST_F(Recording, MissingAndForbiddenPaths) {
  const auto reader = RecordingReader::open(directory_ + "/none");
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(RecordingWriter::create(directory_ + "/none/run", 1));
  EXPECT_FALSE(RecordingWriter::create(directory_, 1));
}

TEST_F(Recording, AFullDiskIsTold) {
  auto writer = RecordingWriter::create("/dev/full", 1);
  ASSERT_TRUE(writer) << writer.error().message;
  (*writer)->write(EntryType::kRecord, 0, bytes_of(std::string(64, 'x')));
  const Status closed = (*writer)->close();
  ASSERT_FALSE(closed);
  EXPECT_NE(closed.error().message.find("/dev/full"), std::string::npos);
}

}  // namespace
}  // namespace zerospan::kernel
