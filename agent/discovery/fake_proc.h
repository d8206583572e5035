// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// For tests: a /proc of made-up processes in a temporary directory, removed at the end.
#pragma once

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace zerospan::discovery {

struct FakeProcess {
  uint32_t pid = 0;
  uint32_t parent = 1;
  uint64_t start_time = 100;
  std::string command{"comm"};
  std::string executable{};  // empty: cannot be read
  std::vector<std::string> arguments{};
  std::vector<std::string> environment{};
  uint32_t uid = 0;
  std::string cgroup{"0::/\n"};
  std::vector<std::string> fds{};
  std::string network{"net:[1]"};
  std::string tcp{};  // lines of net/tcp after its header
  bool kernel_thread = false;
  char state = 'S';
};

class FakeProc {
 public:
  FakeProc() {
    std::string pattern = (std::filesystem::temp_directory_path() / "fake_proc.XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
      throw std::runtime_error("mkdtemp");
    }
    root_ = pattern;
  }
  ~FakeProc() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  FakeProc(const FakeProc&) = delete;
  FakeProc& operator=(const FakeProc&) = delete;

  [[nodiscard]] std::string root() const { return root_.string(); }

  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path, std::ios::binary) << text;
  }

  void put(const FakeProcess& p) {
    remove(p.pid);
    const std::string dir = std::to_string(p.pid) + "/";
    write(dir + "stat", fmt::format("{} ({}) {} {} 1 1 0 -1 {} 0 0 0 0 0 0 0 0 20 0 1 0 {} 0 0\n",
                                    p.pid, p.command, p.state, p.parent,
                                    p.kernel_thread ? 0x00208040 : 0x00400100, p.start_time));
    write(dir + "status",
          fmt::format("Name:\tx\nUid:\t9\t{}\t9\t9\nNSpid:\t{}\t7\nSeccomp:\t2\n", p.uid, p.pid));
    write(dir + "cmdline", joined(p.arguments));
    write(dir + "environ", joined(p.environment));
    write(dir + "cgroup", p.cgroup);
    write(dir + "maps", "");
    write(dir + "net/tcp", "  sl  local_address ...\n" + p.tcp);
    const std::filesystem::path base = root_ / std::to_string(p.pid);
    std::filesystem::create_directories(base / "fd");
    std::filesystem::create_directories(base / "ns");
    std::filesystem::create_directories(base / "cwd");
    std::filesystem::create_directories(base / "root");
    std::filesystem::create_symlink(p.network, base / "ns/net");
    if (!p.executable.empty()) {
      std::filesystem::create_symlink(p.executable, base / "exe");
    }
    int fd = 0;
    for (const std::string& target : p.fds) {
      std::filesystem::create_symlink(target, base / "fd" / std::to_string(fd++));
    }
  }

  void remove(uint32_t pid) { std::filesystem::remove_all(root_ / std::to_string(pid)); }

  static std::string tcp_line(uint16_t port, uint64_t inode, const std::string& state = "0A") {
    return fmt::format(
        "   0: 00000000:{:04X} 00000000:0000 {} 00000000:00000000 00:00000000 00000000     0     "
        "   0 {} 1 0000000000000000 100 0 0 10 0\n",
        port, state, inode);
  }

 private:
  static std::string joined(const std::vector<std::string>& list) {
    std::string out;
    for (const std::string& item : list) {
      out += item + '\0';
    }
    return out;
  }
  std::filesystem::path root_;
};

}  // namespace zerospan::discovery
