// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/app/reload.h"

#include <fmt/ranges.h>

#include <chrono>
#include <filesystem>
#include <system_error>
#include <utility>

#include "agent/selfobs/logging.h"

namespace zerospan::app {

namespace {

namespace log = selfobs::log;

constexpr uint64_t kLookEveryNs = 500'000'000;

double unix_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

FollowedFile::FollowedFile(std::string path, std::string text)
    : path_(std::move(path)), told_(std::move(text)) {
  std::error_code ignored;
  regular_ = std::filesystem::is_regular_file(path_, ignored);
}

// To open a pipe that somebody has put in the file's place would wait for its writer.
Result<std::string> FollowedFile::load() const {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path_, ignored)) {
    return fail(ErrorCode::kNotFound,
                "flag --config: " + path_ + " cannot be read again: it is no file, or is gone");
  }
  return config::read_config_file(path_);
}

std::optional<Result<std::string>> FollowedFile::look() {
  if (!regular_) {
    return std::nullopt;
  }
  Result<std::string> text = load();
  std::optional<std::string> now = text ? std::optional(*text) : std::nullopt;
  const bool settled = changed_ && now == seen_;
  changed_ = now != told_;
  seen_ = std::move(now);
  if (!changed_ || !settled) {
    return std::nullopt;
  }
  told_ = seen_;
  changed_ = false;
  return text;
}

Result<std::string> FollowedFile::read() {
  Result<std::string> text = load();
  told_ = text ? std::optional(*text) : std::nullopt;
  changed_ = false;
  return text;
}

Reloader::Reloader(const config::Command& command, Apply apply)
    : command_(command),
      apply_(std::move(apply)),
      config_(command.config),
      file_(command.sources.file_name, command.sources.yaml) {
  counts_.last_good_unix_s = unix_seconds();
}

void Reloader::tick() {
  if (command_.sources.file_name.empty() || log::monotonic_ns() - looked_ns_ < kLookEveryNs) {
    return;
  }
  looked_ns_ = log::monotonic_ns();
  if (std::optional<Result<std::string>> text = file_.look()) {
    take(std::move(*text));
  }
}

void Reloader::read_now() {
  if (command_.sources.file_name.empty()) {
    log::warn("SIGHUP: there is no file to read again, because --config was not given");
    return;
  }
  take(file_.read());
}

void Reloader::take(Result<std::string> text) {
  const Status status = text ? change_to(*text) : tl::unexpected<Error>(text.error());
  if (!status) {
    log::error("the configuration stays as it was: {}", status.error().message);
    const std::lock_guard lock(mutex_);
    ++counts_.refused;
    counts_.last_good = false;
  }
}

Status Reloader::change_to(const std::string& text) {
  Result<config::Config> wanted = config::reload(command_, text);
  if (!wanted) {
    return tl::unexpected(wanted.error());
  }
  config::ConfigChange change = config::change(config_, std::move(*wanted));
  if (!change.applied.empty()) {
    if (Status status = apply_(change); !status) {
      return status;
    }
  }
  const std::string& file = command_.sources.file_name;
  if (change.applied.empty()) {
    log::info("configuration: {} was read again, nothing to apply", file);
  } else {
    log::info("configuration: {} was read again, changed: {}", file,
              fmt::join(change.applied, ", "));
  }
  for (const std::string& key : change.needs_restart) {
    log::warn("configuration: {} has changed in {}, which holds only after a restart", key, file);
  }
  config_ = std::move(change.config);
  const std::lock_guard lock(mutex_);
  ++(change.applied.empty() ? counts_.unchanged : counts_.applied);
  counts_.last_good = true;
  counts_.last_good_unix_s = unix_seconds();
  counts_.needs_restart = change.needs_restart.size();
  return {};
}

void Reloader::collect(selfobs::Samples& samples) const {
  const std::lock_guard lock(mutex_);
  const std::pair<const char*, uint64_t> results[] = {
      {"applied", counts_.applied}, {"unchanged", counts_.unchanged}, {"refused", counts_.refused}};
  for (const auto& [result, count] : results) {
    samples.counter("zerospan_config_reloads_total",
                    "times that the configuration was read again, by result",
                    static_cast<double>(count), {{"result", result}});
  }
  samples.gauge("zerospan_config_last_reload_success",
                "1 unless what was read last was refused: then the configuration before it holds",
                counts_.last_good ? 1 : 0);
  samples.gauge("zerospan_config_last_reload_success_timestamp_seconds",
                "when the configuration in force was read", counts_.last_good_unix_s);
  samples.gauge("zerospan_config_restart_needed", "changed options that hold only after a restart",
                static_cast<double>(counts_.needs_restart));
}

}  // namespace zerospan::app
