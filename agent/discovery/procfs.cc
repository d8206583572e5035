// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/procfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <memory>
#include <optional>
#include <unordered_set>

namespace zerospan::discovery {
namespace {

constexpr size_t kMaxFile = size_t{128} * 1024;
constexpr size_t kMaxMaps = size_t{4} * 1024 * 1024;
constexpr size_t kMaxMappedFiles = 1024;
constexpr size_t kMaxFds = 65'536;
constexpr size_t kMaxNames = 4096;  // of a directory
constexpr size_t kMaxPids = 1'048'576;
constexpr size_t kMaxListeners = 65'536;
constexpr uint64_t kKernelThreadFlag = 0x00200000;  // PF_KTHREAD, include/linux/sched.h

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

tl::unexpected<Error> from_errno(int number, std::string_view path) {
  return tl::unexpected<Error>(error_from_errno(number, "Cannot read " + std::string(path)));
}

tl::unexpected<Error> malformed(std::string_view path) {
  return fail(ErrorCode::kMalformed, std::string(path) + " does not have its usual form.");
}

template <typename T>
bool parse_number(std::string_view text, T& out, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return error == std::errc{} && end == text.data() + text.size();
}

// The next word of `text`, which loses it; empty at the end.
std::string_view next_word(std::string_view& text) {
  const size_t start = std::min(text.find_first_not_of(" \t\n"), text.size());
  const size_t end = std::min(text.find_first_of(" \t\n", start), text.size());
  const std::string_view word = text.substr(start, end - start);
  text.remove_prefix(end);
  return word;
}

std::string_view next_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

Result<std::string> read_fd(int fd, std::string_view path, size_t limit) {
  std::string out;
  std::array<char, 8192> buffer;
  while (out.size() < limit) {
    const ssize_t got =
        ::read(fd, buffer.data(), std::min<size_t>(buffer.size(), limit - out.size()));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return from_errno(errno, path);
    }
    if (got == 0) {
      break;
    }
    out.append(buffer.data(), static_cast<size_t>(got));
  }
  return out;
}

Result<std::string> read_link(const std::string& path) {
  std::array<char, PATH_MAX> buffer;
  const ssize_t length = ::readlink(path.c_str(), buffer.data(), buffer.size());
  if (length < 0) {
    return from_errno(errno, path);
  }
  return std::string(buffer.data(), static_cast<size_t>(length));
}

// One line of /proc/net/tcp or tcp6 (Documentation/networking/proc_net_tcp.rst).
struct TcpLine {
  bool listening = false;
  uint16_t port = 0;
  uint64_t inode = 0;
};

std::optional<TcpLine> parse_tcp_line(std::string_view line) {
  next_word(line);  // slot
  const std::string_view local = next_word(line);
  next_word(line);  // remote address
  const std::string_view state = next_word(line);
  for (int i = 0; i < 5; ++i) {
    next_word(line);  // queues, timer, retransmissions, uid, timeout
  }
  const std::string_view inode = next_word(line);
  TcpLine out;
  out.listening = state == "0A";  // TCP_LISTEN
  const size_t colon = local.rfind(':');
  if (colon == std::string_view::npos || !parse_number(local.substr(colon + 1), out.port, 16) ||
      !parse_number(inode, out.inode)) {
    return std::nullopt;
  }
  return out;
}

// The kernel lists the listening sockets first, so that reading can stop at the first other one: a
// busy server has a hundred thousand of those.
Status read_listeners(const std::string& path, ListenTable& table) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return from_errno(errno, path);
  }
  std::string pending;
  std::array<char, 8192> buffer;
  bool header = true;
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return from_errno(errno, path);
    }
    if (got == 0) {
      return {};
    }
    pending.append(buffer.data(), static_cast<size_t>(got));
    std::string_view text = pending;
    while (text.find('\n') != std::string_view::npos) {
      const std::string_view line = next_line(text);
      if (std::exchange(header, false)) {
        continue;
      }
      const std::optional<TcpLine> parsed = parse_tcp_line(line);
      if (!parsed || !parsed->listening || table.size() >= kMaxListeners) {
        return {};
      }
      table.emplace(parsed->inode, parsed->port);
    }
    pending.erase(0, pending.size() - text.size());
    if (pending.size() > buffer.size()) {
      return malformed(path);
    }
  }
}

}  // namespace

Result<std::string> read_file(const std::string& path, size_t limit) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return from_errno(errno, path);
  }
  return read_fd(fd.get(), path, limit);
}

std::string_view find_variable(std::string_view environment, std::string_view name) {
  while (!environment.empty()) {
    const size_t end = std::min(environment.find('\0'), environment.size());
    const std::string_view entry = environment.substr(0, end);
    if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=') {
      return entry.substr(name.size() + 1);
    }
    environment.remove_prefix(std::min(end + 1, environment.size()));
  }
  return {};
}

std::string ProcFs::path_of(uint32_t pid, std::string_view name) const {
  std::string path = root_;
  path += '/';
  path += std::to_string(pid);
  path += '/';
  path += name;
  return path;
}

Result<std::vector<uint32_t>> ProcFs::pids() const {
  const Directory directory(::opendir(root_.c_str()));
  if (directory == nullptr) {
    return from_errno(errno, root_);
  }
  std::vector<uint32_t> out;
  while (const dirent* entry = ::readdir(directory.get())) {
    uint32_t pid = 0;
    if (parse_number(std::string_view(entry->d_name), pid) && out.size() < kMaxPids) {
      out.push_back(pid);
    }
  }
  return out;
}

Result<ProcStat> ProcFs::stat(uint32_t pid) const {
  const std::string path = path_of(pid, "stat");
  const Result<std::string> text = read_file(path, kMaxFile);
  if (!text) {
    return tl::unexpected<Error>(text.error());
  }
  // pid (comm) state ppid ... (proc(5)); comm may hold anything, parentheses too.
  const size_t open = text->find('(');
  const size_t close = text->rfind(')');
  if (open == std::string::npos || close == std::string::npos || close < open) {
    return malformed(path);
  }
  ProcStat out;
  out.command = text->substr(open + 1, close - open - 1);
  std::string_view rest = std::string_view(*text).substr(close + 1);
  uint64_t flags = 0;
  for (int field = 3; field <= 22; ++field) {
    const std::string_view word = next_word(rest);
    const bool ok = field == 3    ? !word.empty()
                    : field == 4  ? parse_number(word, out.parent_pid)
                    : field == 9  ? parse_number(word, flags)
                    : field == 22 ? parse_number(word, out.start_time)
                                  : true;
    if (!ok) {
      return malformed(path);
    }
    if (field == 3) {
      out.state = word.front();
    }
  }
  out.kernel_thread = (flags & kKernelThreadFlag) != 0;
  return out;
}

Result<ProcStatus> ProcFs::status(uint32_t pid) const {
  const std::string path = path_of(pid, "status");
  const Result<std::string> text = read_file(path, kMaxFile);
  if (!text) {
    return tl::unexpected<Error>(text.error());
  }
  ProcStatus out;
  out.namespace_pid = pid;
  bool have_uid = false;
  std::string_view rest = *text;
  while (!rest.empty()) {
    std::string_view line = next_line(rest);
    const std::string_view key = next_word(line);
    if (key == "Uid:") {
      next_word(line);  // real
      have_uid = parse_number(next_word(line), out.uid);
    } else if (key == "NSpid:") {
      for (std::string_view word = next_word(line); !word.empty(); word = next_word(line)) {
        if (!parse_number(word, out.namespace_pid)) {
          return malformed(path);
        }
      }
    } else if (key == "Seccomp:") {
      out.seccomp_filter = next_word(line) == "2";  // SECCOMP_MODE_FILTER
    }
  }
  if (!have_uid) {
    return malformed(path);
  }
  return out;
}

Result<std::vector<std::string>> ProcFs::arguments(uint32_t pid) const {
  const Result<std::string> text = read_file(path_of(pid, "cmdline"), kMaxFile);
  if (!text) {
    return tl::unexpected<Error>(text.error());
  }
  std::vector<std::string> out;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\0'), rest.size());
    out.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  while (!out.empty() && out.back().empty()) {
    out.pop_back();
  }
  return out;
}

Result<std::string> ProcFs::environment(uint32_t pid) const {
  return read_file(path_of(pid, "environ"), kMaxFile);
}

Result<std::string> ProcFs::executable(uint32_t pid) const {
  Result<std::string> path = read_link(path_of(pid, "exe"));
  constexpr std::string_view kDeleted = " (deleted)";
  if (path && path->ends_with(kDeleted)) {
    path->resize(path->size() - kDeleted.size());
  }
  return path;
}

Result<UniqueFd> ProcFs::open_executable(uint32_t pid) const {
  const std::string path = path_of(pid, "exe");
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) {
    return from_errno(errno, path);
  }
  return fd;
}

Result<std::string> ProcFs::working_directory(uint32_t pid) const {
  return read_link(path_of(pid, "cwd"));
}

Result<std::string> ProcFs::cgroup(uint32_t pid) const {
  return read_file(path_of(pid, "cgroup"), kMaxFile);
}

Result<ProcFds> ProcFs::fds(uint32_t pid) const {
  const std::string path = path_of(pid, "fd");
  const Directory directory(::opendir(path.c_str()));
  if (directory == nullptr) {
    return from_errno(errno, path);
  }
  ProcFds out;
  std::array<char, 64> target;
  size_t count = 0;
  for (const dirent* entry = ::readdir(directory.get()); entry != nullptr && count < kMaxFds;
       entry = ::readdir(directory.get()), ++count) {
    const ssize_t length =
        ::readlinkat(::dirfd(directory.get()), entry->d_name, target.data(), target.size());
    if (length <= 0) {
      continue;
    }
    const std::string_view link(target.data(), static_cast<size_t>(length));
    constexpr std::string_view kSocket = "socket:[";
    uint64_t inode = 0;
    if (link.starts_with(kSocket) && link.ends_with(']') &&
        parse_number(link.substr(kSocket.size(), link.size() - kSocket.size() - 1), inode)) {
      out.socket_inodes.push_back(inode);
    } else if (link == "anon_inode:[eventpoll]") {
      out.epoll = true;
    }
  }
  return out;
}

Result<std::vector<std::string>> ProcFs::mapped_files(uint32_t pid) const {
  const Result<std::string> text = read_file(path_of(pid, "maps"), kMaxMaps);
  if (!text) {
    return tl::unexpected<Error>(text.error());
  }
  std::vector<std::string> out;
  std::unordered_set<std::string_view> seen;
  std::string_view rest = *text;
  while (!rest.empty() && out.size() < kMaxMappedFiles) {
    const std::string_view line = next_line(rest);
    const size_t slash = line.find('/');
    if (slash != std::string_view::npos && seen.insert(line.substr(slash)).second) {
      out.emplace_back(line.substr(slash));
    }
  }
  return out;
}

Result<std::string> ProcFs::network_namespace(uint32_t pid) const {
  return read_link(path_of(pid, "ns/net"));
}

Result<ListenTable> ProcFs::listening(uint32_t pid) const {
  ListenTable table;
  if (Status read = read_listeners(path_of(pid, "net/tcp"), table); !read) {
    return tl::unexpected<Error>(std::move(read.error()));
  }
  // A kernel without IPv6 has no such file.
  if (Status read = read_listeners(path_of(pid, "net/tcp6"), table);
      !read && read.error().code != ErrorCode::kNotFound) {
    return tl::unexpected<Error>(std::move(read.error()));
  }
  return table;
}

Result<std::string> ProcFs::file_of(uint32_t pid, std::string_view path, size_t limit) const {
  const bool absolute = path.starts_with('/');
  const std::string base = path_of(pid, absolute ? "root" : "cwd");
  const UniqueFd directory(::open(base.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) {
    return from_errno(errno, base);
  }
  // Links are resolved inside the process's root; from its working directory, where that root is
  // not known to the kernel, none is followed upwards.
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  how.resolve = (absolute ? RESOLVE_IN_ROOT : RESOLVE_BENEATH) | RESOLVE_NO_MAGICLINKS;
  const std::string name(path);
  const UniqueFd fd(
      static_cast<int>(::syscall(SYS_openat2, directory.get(), name.c_str(), &how, sizeof how)));
  if (!fd.valid()) {
    return from_errno(errno, name);
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) {
    return from_errno(errno, name);
  }
  if (!S_ISREG(info.st_mode) || static_cast<uint64_t>(info.st_size) > limit) {
    return fail(ErrorCode::kUnsupported, name + " is not a small regular file.");
  }
  return read_fd(fd.get(), name, limit);
}

std::vector<std::string> ProcFs::directory_of(uint32_t pid, std::string_view path) const {
  std::vector<std::string> names;
  const UniqueFd root(::open(path_of(pid, "root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const std::string name(path);
  const UniqueFd fd(root.valid() ? static_cast<int>(::syscall(SYS_openat2, root.get(), name.c_str(),
                                                              &how, sizeof how))
                                 : -1);
  const Directory directory(
      fd.valid() ? ::opendir(("/proc/self/fd/" + std::to_string(fd.get())).c_str()) : nullptr);
  if (directory == nullptr) {
    return names;
  }
  while (const dirent* entry = ::readdir(directory.get())) {
    if (names.size() >= kMaxNames) {
      break;
    }
    names.emplace_back(entry->d_name);
  }
  return names;
}

Result<std::string> ProcFs::file(std::string_view path) const {
  return read_file(root_ + "/" + std::string(path), kMaxFile);
}

}  // namespace zerospan::discovery
