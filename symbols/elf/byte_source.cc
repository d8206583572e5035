// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/elf/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace zerospan::symbols::elf {

Result<FileSource> FileSource::open(const std::string& path) {
  // Not to wait for a writer of a named pipe, nor to become the owner of a terminal.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) {
    return tl::unexpected(error_from_errno(errno, "opening " + path));
  }
  return adopt(std::move(fd)).map_error([&](const Error& error) {
    return error.with_context(path);
  });
}

Result<FileSource> FileSource::adopt(UniqueFd fd) {
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) {
    return tl::unexpected(error_from_errno(errno, "reading a file's size"));
  }
  if (!S_ISREG(status.st_mode)) {
    return fail(ErrorCode::kUnsupported, "An executable must be a regular file.");
  }
  return FileSource(std::move(fd), static_cast<uint64_t>(status.st_size));
}

bool FileSource::read(uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    if (offset > INT64_MAX) {
      return false;
    }
    const ssize_t got = ::pread(fd_.get(), out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      return false;
    }
    offset += static_cast<uint64_t>(got);
    out = out.subspan(static_cast<size_t>(got));
  }
  return true;
}

bool MemorySource::read(uint64_t offset, std::span<std::byte> out) const {
  if (offset > bytes_.size() || out.size() > bytes_.size() - offset) {
    return false;
  }
  if (!out.empty()) {
    std::memcpy(out.data(), bytes_.data() + offset, out.size());
  }
  return true;
}

Result<std::vector<std::byte>> read_bytes(const ByteSource& source, uint64_t offset,
                                          uint64_t length, uint64_t limit) {
  if (length > limit) {
    return fail(ErrorCode::kMalformed, "A part of the file has " + std::to_string(length) +
                                           " bytes; more than " + std::to_string(limit) +
                                           " are not believed.");
  }
  if (offset > source.size() || length > source.size() - offset) {
    return fail(ErrorCode::kMalformed, "The file names a part that is outside of it.");
  }
  std::vector<std::byte> bytes(length);
  if (!source.read(offset, bytes)) {
    return fail(ErrorCode::kMalformed, "The file is shorter than it was.");
  }
  return bytes;
}

Window::Window(const ByteSource& source, uint64_t begin, uint64_t size)
    : source_(source),
      begin_(std::min(begin, source.size())),
      size_(std::min(size, source.size() - begin_)) {}

std::span<const std::byte> Window::at(uint64_t offset, size_t length) {
  if (length > kCapacity || offset > size_ || length > size_ - offset) {
    return {};
  }
  if (offset < buffer_offset_ || offset + length > buffer_offset_ + buffer_size_) {
    const size_t wanted = std::min<uint64_t>(kCapacity, size_ - offset);
    buffer_.resize(std::max(buffer_.size(), wanted));
    buffer_offset_ = offset;
    buffer_size_ = 0;
    if (!source_.read(begin_ + offset, std::span(buffer_).first(wanted))) {
      return {};
    }
    buffer_size_ = wanted;
  }
  return std::span(buffer_).subspan(offset - buffer_offset_, length);
}

}  // namespace zerospan::symbols::elf
