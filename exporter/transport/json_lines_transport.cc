// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "exporter/transport/json_lines_transport.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <utility>

namespace zerospan::transport {
namespace {

using batch::SendOutcome;
using batch::SendStatus;

class JsonLinesTransport final : public batch::Transport {
 public:
  JsonLinesTransport(UniqueFd output, UniqueFd cancel_event, bool regular, std::string name)
      : output_(std::move(output)),
        cancel_event_(std::move(cancel_event)),
        regular_(regular),
        name_(std::move(name)) {}

  [[nodiscard]] otlp::Encoding encoding() const override { return otlp::Encoding::kJson; }

  [[nodiscard]] SendOutcome send(std::string_view request,
                                 std::chrono::steady_clock::time_point deadline) override {
    line_.clear();
    if (cut_) {
      line_ += '\n';
    }
    line_ += request;
    line_ += '\n';
    return regular_ ? write_file() : write_stream(deadline);
  }

  void cancel() override {
    const uint64_t one = 1;
    (void)!::write(cancel_event_.get(), &one, sizeof(one));
  }

 private:
  [[nodiscard]] SendOutcome failed(SendStatus status, int error_number) const {
    return {status,
            0,
            {},
            error_from_errno(error_number, fmt::format("writing spans to {}", name_)).message};
  }

  SendOutcome write_file() {
    struct stat before {};
    if (::fstat(output_.get(), &before) != 0) {
      return failed(SendStatus::kRefused, errno);
    }
    size_t written = 0;
    while (written < line_.size()) {
      const ssize_t count = ::write(output_.get(), line_.data() + written, line_.size() - written);
      if (count < 0 && errno == EINTR) {
        continue;
      }
      if (count < 0) {
        const int error_number = errno;
        // Take the part of a line away again; should that fail too, the next line starts afresh.
        cut_ = written != 0 && ::ftruncate(output_.get(), before.st_size) != 0;
        return failed(SendStatus::kRefused, error_number);
      }
      written += static_cast<size_t>(count);
    }
    cut_ = false;
    return {};
  }

  SendOutcome write_stream(std::chrono::steady_clock::time_point deadline) {
    size_t written = 0;
    while (written < line_.size()) {
      std::array<pollfd, 2> fds{pollfd{output_.get(), POLLOUT, 0},
                                pollfd{cancel_event_.get(), POLLIN, 0}};
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      const int ready = ::poll(fds.data(), fds.size(),
                               static_cast<int>(std::clamp<int64_t>(left.count(), 0, INT_MAX)));
      if (ready < 0 && errno == EINTR) {
        continue;
      }
      if (ready <= 0 || fds[1].revents != 0) {
        cut_ = cut_ || written != 0;
        // What is there of the line cannot be taken back, so it must not be sent again whole.
        return failed(written != 0 ? SendStatus::kRefused : SendStatus::kRetry, ETIMEDOUT);
      }
      // A pipe that is ready takes PIPE_BUF bytes without blocking.
      const ssize_t count = ::write(output_.get(), line_.data() + written,
                                    std::min<size_t>(line_.size() - written, PIPE_BUF));
      if (count < 0 && (errno == EINTR || errno == EAGAIN)) {
        continue;
      }
      if (count < 0) {
        cut_ = cut_ || written != 0;
        return failed(SendStatus::kRefused, errno);
      }
      written += static_cast<size_t>(count);
    }
    cut_ = false;
    return {};
  }

  UniqueFd output_;
  UniqueFd cancel_event_;
  bool regular_;
  std::string name_;
  std::string line_;
  bool cut_ = false;  // the last byte written is in the middle of a line
};

Result<std::unique_ptr<batch::Transport>> make(UniqueFd output, std::string name) {
  struct stat info {};
  if (::fstat(output.get(), &info) != 0) {
    return tl::unexpected(error_from_errno(errno, fmt::format("looking at {}", name)));
  }
  UniqueFd cancel_event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!cancel_event.valid()) {
    return tl::unexpected(error_from_errno(errno, "creating an event descriptor"));
  }
  return std::make_unique<JsonLinesTransport>(std::move(output), std::move(cancel_event),
                                              S_ISREG(info.st_mode), std::move(name));
}

}  // namespace

Result<std::unique_ptr<batch::Transport>> make_file_transport(const std::string& path) {
  constexpr mode_t kMode = 0644;
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, kMode));
  if (!file.valid()) {
    return tl::unexpected(
        error_from_errno(errno, fmt::format("opening '{}' to append spans to it", path)));
  }
  return make(std::move(file), "'" + path + "'");
}

Result<std::unique_ptr<batch::Transport>> make_stream_transport(UniqueFd stream, std::string name) {
  return make(std::move(stream), std::move(name));
}

}  // namespace zerospan::transport
