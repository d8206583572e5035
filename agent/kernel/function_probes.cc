// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/kernel/function_probes.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/core/unique_fd.h"

namespace zerospan::kernel {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kGroup = "zerospan_";

bool threads_have_room() {
  return kernel_is_at_least(6, 14);
}

struct LinkDeleter {
  void operator()(bpf_link* link) const { bpf_link__destroy(link); }
};
using Link = std::unique_ptr<bpf_link, LinkDeleter>;

std::optional<fs::path> tracefs() {
  for (const char* folder : {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}) {
    if (::access((fs::path(folder) / "kprobe_events").c_str(), W_OK) == 0) {
      return folder;
    }
  }
  return std::nullopt;
}

// 0 or an errno.
int define(const fs::path& folder, const std::string& line) {
  const UniqueFd file(::open((folder / "kprobe_events").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!file.valid()) {
    return errno;
  }
  const std::string text = line + "\n";
  return ::write(file.get(), text.data(), text.size()) < 0 ? errno : 0;
}

// What an agent that was killed has left.
void remove_left(const fs::path& folder) {
  std::error_code ignored;
  for (const fs::directory_entry& group : fs::directory_iterator(folder / "events", ignored)) {
    const std::string name = group.path().filename();
    if (!name.starts_with(kGroup) || fs::exists("/proc/" + name.substr(kGroup.size()), ignored)) {
      continue;
    }
    for (const fs::directory_entry& event : fs::directory_iterator(group, ignored)) {
      if (event.is_directory(ignored)) {
        define(folder, "-:" + name + "/" + event.path().filename().string());
      }
    }
  }
}

}  // namespace

bool kernel_is_at_least(unsigned major, unsigned minor) {
  utsname name{};
  unsigned running_major = 0;
  unsigned running_minor = 0;
  return ::uname(&name) == 0 &&
         std::sscanf(name.release, "%u.%u", &running_major, &running_minor) == 2 &&
         std::pair(running_major, running_minor) >= std::pair(major, minor);
}

struct FunctionProbes::Impl {
  std::vector<Link> links;
  std::optional<fs::path> folder;
  std::vector<std::string> events;  // "group/name"

  ~Impl() {
    links.clear();
    for (const std::string& event : events) {
      define(*folder, "-:" + event);
    }
  }

  Status keep(bpf_link* link, const std::string& function) {
    if (link == nullptr) {
      return tl::unexpected(error_from_errno(errno, "probing the kernel's function " + function));
    }
    links.emplace_back(link);
    return {};
  }

  Status attach_end(bpf_program* program, const std::string& function) {
    if (!folder) {
      folder = tracefs();
      if (!folder) {
        return fail(ErrorCode::kUnsupported,
                    "probes at the ends of functions need tracefs before Linux 6.14: mount -t "
                    "tracefs tracefs /sys/kernel/tracing");
      }
      remove_left(*folder);
    }
    const std::string group = std::string(kGroup) + std::to_string(::getpid());
    const std::string event = group + "/" + function;
    if (const int error = define(*folder, "r4096:" + event + " " + function); error != 0) {
      return tl::unexpected(
          error_from_errno(error, "making a probe at the end of the kernel's function " + function +
                                      " in " + (*folder / "kprobe_events").string()));
    }
    events.push_back(event);
    return keep(bpf_program__attach_tracepoint(program, group.c_str(), function.c_str()), function);
  }
};

FunctionProbes::FunctionProbes() : impl_(std::make_unique<Impl>()) {}
FunctionProbes::~FunctionProbes() = default;
FunctionProbes::FunctionProbes(FunctionProbes&&) noexcept = default;
FunctionProbes& FunctionProbes::operator=(FunctionProbes&&) noexcept = default;

void FunctionProbes::prepare(bpf_program* program) {
  if (threads_have_room()) {
    bpf_program__set_expected_attach_type(program, BPF_TRACE_KPROBE_MULTI);
  }
}

Status FunctionProbes::attach(bpf_program* program, Where where,
                              std::span<const char* const> functions) {
  if (threads_have_room()) {
    std::vector<const char*> names(functions.begin(), functions.end());
    bpf_kprobe_multi_opts options{};
    options.sz = sizeof(options);
    options.syms = names.data();
    options.cnt = names.size();
    options.retprobe = where == Where::kEnd;
    std::string all;
    for (const char* name : names) {
      all += (all.empty() ? "" : ", ") + std::string(name);
    }
    return impl_->keep(bpf_program__attach_kprobe_multi_opts(program, nullptr, &options), all);
  }
  for (const char* function : functions) {
    Status status =
        where == Where::kEnd
            ? impl_->attach_end(program, function)
            : impl_->keep(bpf_program__attach_kprobe(program, false, function), function);
    if (!status) {
      return status;
    }
  }
  return {};
}

}  // namespace zerospan::kernel
