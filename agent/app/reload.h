// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The configuration while `run` runs: what the file says now, and what became of it.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "agent/config/command_line.h"
#include "agent/config/config.h"
#include "agent/core/result.h"
#include "agent/selfobs/metrics.h"

namespace zerospan::app {

// Follows one file by reading it: whatever way it was changed (in place, by a rename, by a symbolic
// link on the way to it, as a ConfigMap's), and however coarse its file system's times are. One
// thread.
class FollowedFile {
 public:
  // `text`: what it held when it was read first.
  FollowedFile(std::string path, std::string text);

  // Its text, or why it cannot be read, if that is not what was told last. An editor may be in the
  // middle of writing: a change is told when two looks in a row find the same.
  [[nodiscard]] std::optional<Result<std::string>> look();
  // The same at once, changed or not.
  [[nodiscard]] Result<std::string> read();

 private:
  [[nodiscard]] Result<std::string> load() const;

  std::string path_;
  bool regular_;  // at start; what is read from a pipe or a terminal is there only once
  std::optional<std::string> told_;  // unset: that it cannot be read
  std::optional<std::string> seen_;  // by the last look; the same
  bool changed_ = false;             // seen_ is not told_
};

// Reads the file of `command` again when it has changed, checks it as at start, and has what can
// change without a restart applied. Used by one thread, but for collect().
class Reloader {
 public:
  // Everything or nothing.
  using Apply = std::function<Status(const config::ConfigChange&)>;

  // `command` and what `apply` refers to must outlive this.
  Reloader(const config::Command& command, Apply apply);

  // Now and then.
  void tick();
  // SIGHUP.
  void read_now();

  // The one in force.
  [[nodiscard]] const config::Config& config() const { return config_; }
  // Any thread.
  void collect(selfobs::Samples& samples) const;

 private:
  void take(Result<std::string> text);
  [[nodiscard]] Status change_to(const std::string& text);

  const config::Command& command_;
  Apply apply_;
  config::Config config_;
  FollowedFile file_;
  uint64_t looked_ns_ = 0;

  struct Counts {
    uint64_t applied = 0;
    uint64_t unchanged = 0;  // nothing that matters had changed
    uint64_t refused = 0;
    bool last_good = true;
    double last_good_unix_s = 0;  // when the configuration in force was read
    size_t needs_restart = 0;     // options
  };
  mutable std::mutex mutex_;
  Counts counts_;  // under the mutex
};

}  // namespace zerospan::app
