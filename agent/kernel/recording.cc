// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/kernel/recording.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>

#include "bpf/abi/abi.h"

namespace zerospan::kernel {

namespace {

static_assert(std::endian::native == std::endian::little, "recordings are little-endian");

constexpr size_t kMaxEntryBytes = 64 * 1024;
constexpr std::string_view kMagic = "zerospan recording ";

struct EntryHeader {
  uint8_t type;
  uint8_t ring;
  uint16_t reserved;
  uint32_t length;
};
static_assert(sizeof(EntryHeader) == 8);

}  // namespace

Result<std::unique_ptr<RecordingWriter>> RecordingWriter::create(const std::string& path,
                                                                 uint64_t seed) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  std::FILE* file = fd < 0 ? nullptr : ::fdopen(fd, "wb");
  if (file == nullptr) {
    return tl::unexpected(error_from_errno(errno, "creating the recording " + path));
  }
  std::unique_ptr<RecordingWriter> writer(new RecordingWriter(path, file));
  std::fprintf(file, "%s%d\n", std::string(kMagic).c_str(), ZS_ABI_VERSION);
  std::fwrite(&seed, sizeof(seed), 1, file);
  return writer;
}

RecordingWriter::~RecordingWriter() {
  if (file_ != nullptr) {
    std::fclose(file_);
  }
}

void RecordingWriter::write(EntryType type, uint8_t ring, std::span<const std::byte> bytes) {
  const EntryHeader header{static_cast<uint8_t>(type), ring, 0,
                           static_cast<uint32_t>(bytes.size())};
  zs_connection_record connection;
  if (type == EntryType::kRecord && bytes.size() == sizeof(connection)) {
    std::memcpy(&connection, bytes.data(), sizeof(connection));
    if (connection.header.type == ZS_RECORD_CONNECTION) {
      connection.socket = 0;
      bytes = std::as_bytes(std::span(&connection, 1));
    }
  }
  const std::lock_guard lock(mutex_);
  ++entries_;
  if (error_ == 0 && (std::fwrite(&header, sizeof(header), 1, file_) != 1 ||
                      (!bytes.empty() && std::fwrite(bytes.data(), bytes.size(), 1, file_) != 1))) {
    error_ = errno;
  }
}

Status RecordingWriter::close() {
  const std::lock_guard lock(mutex_);
  if (std::fclose(file_) != 0 && error_ == 0) {
    error_ = errno;
  }
  file_ = nullptr;
  if (error_ != 0) {
    return tl::unexpected(
        error_from_errno(error_, "writing the recording " + path_ + ", which is incomplete"));
  }
  return {};
}

Result<std::unique_ptr<RecordingReader>> RecordingReader::open(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) {
    return tl::unexpected(error_from_errno(errno, "opening the recording " + path));
  }
  std::unique_ptr<RecordingReader> reader(new RecordingReader(path, file));
  std::array<char, 64> line{};
  int version = 0;
  if (std::fgets(line.data(), line.size(), file) == nullptr ||
      !std::string_view(line.data()).starts_with(kMagic) ||
      std::sscanf(line.data() + kMagic.size(), "%d", &version) != 1 ||
      std::fread(&reader->seed_, sizeof(reader->seed_), 1, file) != 1) {
    return fail(ErrorCode::kMalformed, path + " is not a zerospan recording");
  }
  if (version != ZS_ABI_VERSION) {
    return fail(ErrorCode::kUnsupported,
                path + " has records of version " + std::to_string(version) +
                    ", this zerospan replays version " + std::to_string(ZS_ABI_VERSION) +
                    ": replay it with the release that made it");
  }
  reader->buffer_ = std::make_unique<std::byte[]>(kMaxEntryBytes);
  return reader;
}

RecordingReader::~RecordingReader() {
  std::fclose(file_);
}

Result<bool> RecordingReader::next(Entry& entry) {
  EntryHeader header{};
  const size_t got = std::fread(&header, 1, sizeof(header), file_);
  if (got != sizeof(header)) {
    truncated_ = got != 0;
    return false;
  }
  if (header.type < static_cast<uint8_t>(EntryType::kRecord) ||
      header.type > static_cast<uint8_t>(EntryType::kEnd) || header.ring >= ZS_RINGS_MAX ||
      header.length > kMaxEntryBytes) {
    return fail(ErrorCode::kMalformed,
                path_ + " is damaged near byte " + std::to_string(std::ftell(file_)));
  }
  if (std::fread(buffer_.get(), 1, header.length, file_) != header.length) {
    truncated_ = true;
    return false;
  }
  entry = {static_cast<EntryType>(header.type), header.ring, {buffer_.get(), header.length}};
  return true;
}

}  // namespace zerospan::kernel
