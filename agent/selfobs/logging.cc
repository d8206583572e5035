// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/selfobs/logging.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <iterator>
#include <memory>
#include <string>

#include "agent/core/utf8.h"

namespace zerospan::selfobs::log {
namespace {

constexpr std::array<std::string_view, 4> kLevelNames = {"debug", "info", "warn", "error"};

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarn:
      return spdlog::level::warn;
    case Level::kError:
      break;
  }
  return spdlog::level::err;
}

std::string_view level_name(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::trace:
    case spdlog::level::debug:
      return kLevelNames[0];
    case spdlog::level::info:
      return kLevelNames[1];
    case spdlog::level::warn:
      return kLevelNames[2];
    default:
      return kLevelNames[3];
  }
}

using Out = std::back_insert_iterator<spdlog::memory_buf_t>;

void append_time(spdlog::log_clock::time_point time, Out out) {
  const auto since_epoch = time.time_since_epoch();
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count();
  const std::time_t seconds = static_cast<std::time_t>(millis / 1000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  fmt::format_to(out, "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900,
                 utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, millis % 1000);
}

// For both formats: a control character or a byte that is not UTF-8 must not reach the terminal or
// break the line. JSON also needs its own escapes (RFC 8259 section 7).
void append_escaped(std::string_view text, bool json, Out out) {
  while (!text.empty()) {
    const size_t length = utf8_sequence_length(text);
    const auto c = static_cast<unsigned char>(text.front());
    if (length == 0) {
      json ? fmt::format_to(out, "\\ufffd") : fmt::format_to(out, "\\x{:02x}", c);
    } else if (c < 0x20 || c == 0x7f) {
      json ? fmt::format_to(out, "\\u{:04x}", c) : fmt::format_to(out, "\\x{:02x}", c);
    } else {
      if (json && (c == '"' || c == '\\')) {
        *out++ = '\\';
      }
      for (const char byte : text.substr(0, length)) {
        *out++ = byte;
      }
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
}

class LineFormatter final : public spdlog::formatter {
 public:
  explicit LineFormatter(Format format) : format_(format) {}
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& line) override {
    const Out out(line);
    const std::string_view text(message.payload.data(), message.payload.size());
    const std::string_view level = level_name(message.level);
    if (format_ == Format::kJson) {
      fmt::format_to(out, R"({{"time":")");
      append_time(message.time, out);
      fmt::format_to(out, R"(","level":"{}","message":")", level);
      append_escaped(text, true, out);
      fmt::format_to(out, "\"}}\n");
    } else {
      append_time(message.time, out);
      fmt::format_to(out, " {:<5} ", level);
      append_escaped(text, false, out);
      fmt::format_to(out, "\n");
    }
  }
  [[nodiscard]] std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<LineFormatter>(format_);
  }

 private:
  Format format_;
};

// One write(2) per line, so that lines of several processes on one stderr do not mix.
class FdSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit FdSink(int fd) : fd_(fd) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    size_t done = 0;
    while (done < line.size()) {
      const ssize_t written = ::write(fd_, line.data() + done, line.size() - done);
      if (written < 0 && errno == EINTR) {
        continue;
      }
      if (written <= 0) {
        return;  // nobody reads the log: there is no one to tell
      }
      done += static_cast<size_t>(written);
    }
  }
  void flush_() override {}

 private:
  int fd_;
};

std::shared_ptr<spdlog::logger> make_logger(const Options& options) {
  auto sink = std::make_shared<FdSink>(options.fd);
  sink->set_formatter(std::make_unique<LineFormatter>(options.format));
  auto made = std::make_shared<spdlog::logger>("zerospan", std::move(sink));
  made->set_level(to_spdlog(options.level));
  return made;
}

// configure() may race with writers at start-up, so the pointer is replaced under a lock.
struct State {
  std::mutex mutex;
  std::shared_ptr<spdlog::logger> logger = make_logger({});
};

State& state() {
  // Never destroyed: threads may log while statics are torn down.
  static State* const made = new State;
  return *made;
}

std::shared_ptr<spdlog::logger> current() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  return s.logger;
}

}  // namespace

void configure(const Options& options) {
  auto made = make_logger(options);
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.logger = std::move(made);
}

Result<Level> parse_level(std::string_view name) {
  for (size_t i = 0; i < kLevelNames.size(); ++i) {
    if (name == kLevelNames[i]) {
      return static_cast<Level>(i);
    }
  }
  return fail(
      ErrorCode::kInvalidArgument,
      fmt::format("\"{}\" is not a log level; use one of debug, info, warn or error.", name));
}

Result<Format> parse_format(std::string_view name) {
  if (name == "text") {
    return Format::kText;
  }
  if (name == "json") {
    return Format::kJson;
  }
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("\"{}\" is not a log format; use text or json.", name));
}

bool enabled(Level level) {
  return current()->should_log(to_spdlog(level));
}

void write(Level level, std::string_view message) {
  current()->log(to_spdlog(level), spdlog::string_view_t(message.data(), message.size()));
}

uint64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

std::optional<uint64_t> TokenBucket::admit(uint64_t now_ns) {
  const std::lock_guard lock(mutex_);
  if (refilled_ns_ == 0) {
    refilled_ns_ = now_ns;
  }
  if (now_ns > refilled_ns_ && rate_.interval_ns > 0) {
    const uint64_t earned = (now_ns - refilled_ns_) / rate_.interval_ns;
    tokens_ = earned >= rate_.burst - tokens_ ? rate_.burst : tokens_ + earned;
    refilled_ns_ += earned * rate_.interval_ns;
  }
  if (tokens_ == 0) {
    ++suppressed_;
    return std::nullopt;
  }
  --tokens_;
  return std::exchange(suppressed_, 0);
}

}  // namespace zerospan::selfobs::log
