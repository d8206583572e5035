// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Whether a process is to be traced: rules against facts. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/model/workload.h"

namespace zerospan::discovery {

struct PortRange {
  uint16_t first = 0;
  uint16_t last = 0;  // inclusive
};

// A process matches when any one entry does.
//
// Globs are fnmatch(3) without flags: * and ? match a '/' too. A glob for an executable that has no
// '/' is for its base name, any other for the whole path. A command line is the arguments joined by
// single spaces, of which the first 4 KiB count.
struct SelectionRules {
  bool all = false;
  std::vector<uint32_t> pids{};    // with everything that they start
  std::vector<PortRange> ports{};  // TCP ports that the process listens on
  std::vector<std::string> executables{};
  std::vector<std::string> command_lines{};
  std::vector<std::string> users{};       // names or numbers; the effective user
  std::vector<std::string> containers{};  // beginnings of container ids
};

struct SelectorOptions {
  SelectionRules include{};
  SelectionRules exclude{};  // stronger than include
  bool pods = false;         // processes of chosen pods are included
  uint32_t self_pid = 0;     // never selected
  // False: include.pids are these processes alone, and a child is judged by its own facts.
  bool children = true;
};

// The facts of one process that rules can ask for.
struct Subject {
  uint32_t pid = 0;
  bool kernel_thread = false;
  // Started, directly or not, by a process that include.pids or exclude.pids lists.
  bool below_included = false;
  bool below_excluded = false;
  std::string_view executable{};
  std::string_view command_line{};
  uint32_t uid = 0;
  std::string_view user{};
  std::string_view container_id{};
  const model::Workload* workload = nullptr;  // null: in no pod that is known
  std::span<const uint16_t> listen_ports{};
};

struct Decision {
  bool selected = false;
  bool final = false;  // nothing that the process does later (a port, say) can change it
  std::string reason;  // for the operator, without a full stop
};

class Selector {
 public:
  explicit Selector(SelectorOptions options) : options_(std::move(options)) {}

  [[nodiscard]] Decision decide(const Subject& subject) const;
  [[nodiscard]] bool includes_pid(uint32_t pid) const;
  [[nodiscard]] bool excludes_pid(uint32_t pid) const;
  // Which facts are worth getting.
  [[nodiscard]] bool needs_ports() const;
  [[nodiscard]] bool needs_users() const;
  [[nodiscard]] bool needs_containers() const;

 private:
  SelectorOptions options_;
};

[[nodiscard]] bool matches_glob(const std::string& glob, std::string_view text);
[[nodiscard]] bool matches_executable(const std::string& glob, std::string_view path);

}  // namespace zerospan::discovery
