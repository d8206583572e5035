// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/selector.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <charconv>

#include "agent/discovery/runtime.h"

namespace zerospan::discovery {
namespace {

// fnmatch(3) with several stars takes time by a power of the text's length, and the text is the
// traced program's.
constexpr size_t kMaxMatchedText = 4096;

bool contains(const std::vector<uint32_t>& list, uint32_t value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

bool matches_user(const std::string& rule, const Subject& subject) {
  uint32_t uid = 0;
  const auto [end, error] = std::from_chars(rule.data(), rule.data() + rule.size(), uid);
  if (error == std::errc{} && end == rule.data() + rule.size()) {
    return uid == subject.uid;
  }
  return !subject.user.empty() && rule == subject.user;
}

// What of the rules fits, in words; empty if nothing does. `below` is for the pids' descendants.
std::string match(const SelectionRules& rules, const Subject& subject, bool below) {
  if (contains(rules.pids, subject.pid)) {
    return fmt::format("pid {} is listed", subject.pid);
  }
  if (below) {
    return "it was started by a listed pid";
  }
  for (const std::string& glob : rules.executables) {
    if (matches_executable(glob, subject.executable)) {
      return fmt::format("executable {} matches '{}'", subject.executable, glob);
    }
  }
  for (const std::string& glob : rules.command_lines) {
    if (matches_glob(glob, subject.command_line)) {
      return fmt::format("command line matches '{}'", glob);
    }
  }
  for (const std::string& user : rules.users) {
    if (matches_user(user, subject)) {
      return fmt::format("it runs as user {}", user);
    }
  }
  for (const std::string& container : rules.containers) {
    if (!container.empty() && subject.container_id.starts_with(container)) {
      return fmt::format("it is in container {}", container);
    }
  }
  for (const uint16_t port : subject.listen_ports) {
    for (const PortRange& range : rules.ports) {
      if (port >= range.first && port <= range.last) {
        return fmt::format("it listens on port {}", port);
      }
    }
  }
  return rules.all ? "all processes are chosen" : std::string{};
}

bool empty(const SelectionRules& rules) {
  return !rules.all && rules.pids.empty() && rules.ports.empty() && rules.executables.empty() &&
         rules.command_lines.empty() && rules.users.empty() && rules.containers.empty();
}

}  // namespace

bool matches_glob(const std::string& glob, std::string_view text) {
  const std::string bounded(text.substr(0, kMaxMatchedText));
  return ::fnmatch(glob.c_str(), bounded.c_str(), 0) == 0;
}

bool matches_executable(const std::string& glob, std::string_view path) {
  if (path.empty()) {
    return false;
  }
  return matches_glob(glob, glob.find('/') == std::string::npos ? base_name(path) : path);
}

Decision Selector::decide(const Subject& subject) const {
  if (subject.kernel_thread) {
    return {false, true, "not selected: it is a kernel thread"};
  }
  if (subject.pid == options_.self_pid) {
    return {false, true, "not selected: it is zerospan itself"};
  }
  if (const std::string why = match(options_.exclude, subject, subject.below_excluded);
      !why.empty()) {
    return {false, true, "excluded: " + why};
  }
  if (const std::string why = match(options_.include, subject, subject.below_included);
      !why.empty()) {
    return {true, false, "selected: " + why};
  }
  if (options_.pods) {
    if (subject.workload != nullptr) {
      return {
          subject.workload->chosen, false,
          (subject.workload->chosen ? "selected: " : "not selected: ") + subject.workload->reason};
    }
    return {false, false, "not selected: no rule matches, and it is in no pod that is known"};
  }
  if (empty(options_.include)) {
    return {false, true, "not selected: nothing is chosen to be traced"};
  }
  if (!options_.include.ports.empty()) {
    return {false, false, "not selected: no rule matches, and it listens on no chosen port yet"};
  }
  return {false, false, "not selected: no rule matches"};
}

bool Selector::includes_pid(uint32_t pid) const {
  return contains(options_.include.pids, pid);
}

bool Selector::excludes_pid(uint32_t pid) const {
  return contains(options_.exclude.pids, pid);
}

bool Selector::needs_ports() const {
  return !options_.include.ports.empty() || !options_.exclude.ports.empty();
}

bool Selector::needs_users() const {
  return !options_.include.users.empty() || !options_.exclude.users.empty();
}

bool Selector::needs_containers() const {
  return options_.pods || !options_.include.containers.empty() ||
         !options_.exclude.containers.empty();
}

}  // namespace zerospan::discovery
