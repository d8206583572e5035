// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Hooks in the places of zerospan's that do nothing.
//
//   empty_hook        prints the nanoseconds that the kernel's run time statistics
//   (BPF_ENABLE_STATS)
//                     count for one of them. That is how long its two readings of the clock take,
//                     which is in the run time of every other program too, but only while the
//                     statistics are on.
//   empty_hook hold   says "ready" once they are attached, and keeps them until it is killed.

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "empty_hook.skel.h"

namespace {

constexpr int kRuns = 300'000;

int fail(const char* what) {
  std::fprintf(stderr, "empty_hook: %s: %s\n", what, std::strerror(errno));
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  empty_hook_bpf* const hook = empty_hook_bpf__open_and_load();
  if (hook == nullptr || empty_hook_bpf__attach(hook) != 0) {
    return fail("load and attach to the socket tracepoints (needs root and kernel 6.3)");
  }
  if (argc == 2 && std::strcmp(argv[1], "hold") == 0) {
    std::puts("ready");
    std::fflush(stdout);
    pause();
  }
  const int statistics = bpf_enable_stats(BPF_STATS_RUN_TIME);
  std::array<int, 2> sockets{};
  if (statistics < 0 || socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets.data()) != 0) {
    return fail("statistics or socket pair");
  }
  char byte = 0;
  for (int i = 0; i < kRuns; ++i) {
    if (send(sockets[0], &byte, 1, 0) != 1 || recv(sockets[1], &byte, 1, 0) != 1) {
      return fail("send and receive");
    }
  }
  bpf_prog_info info{};
  __u32 size = sizeof(info);
  if (bpf_obj_get_info_by_fd(bpf_program__fd(hook->progs.empty_hook__send), &info, &size) != 0 ||
      info.run_cnt < kRuns) {
    return fail("read the statistics");
  }
  std::printf("%.1f\n", static_cast<double>(info.run_time_ns) / static_cast<double>(info.run_cnt));
  close(statistics);
  empty_hook_bpf__destroy(hook);
  return 0;
}
