// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/kernel/propagate.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>

#include "agent/core/unique_fd.h"
#include "propagate.skel.h"

namespace zerospan::kernel {

void PropagationLinks::Destroy::operator()(bpf_link* link) const {
  bpf_link__destroy(link);
}

namespace {

Status attach_to_messages(const propagate_bpf& programs) {
  if (bpf_prog_attach(bpf_program__fd(programs.progs.propagate__message),
                      bpf_map__fd(programs.maps.clients), BPF_SK_MSG_VERDICT, 0) != 0) {
    return tl::unexpected(error_from_errno(errno, "attaching to the messages of sockets"));
  }
  return {};
}

struct LoopbackPair {
  UniqueFd client;
  UniqueFd server;
};

Result<LoopbackPair> connect_loopback() {
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  LoopbackPair pair;
  pair.client.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  if (listener.valid() && pair.client.valid() && ::bind(listener.get(), any, size) == 0 &&
      ::listen(listener.get(), 1) == 0 && ::getsockname(listener.get(), any, &size) == 0 &&
      ::connect(pair.client.get(), any, size) == 0) {
    pair.server.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  }
  // Whatever goes wrong, the agent does not wait for ever.
  const timeval limit{1, 0};
  if (!pair.server.valid() ||
      ::setsockopt(pair.client.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0) {
    return tl::unexpected(
        error_from_errno(errno, "connecting to 127.0.0.1 for a test of injection"));
  }
  return pair;
}

}  // namespace

Status test_propagation(const propagate_bpf& programs) {
  if (Status status = attach_to_messages(programs); !status) {
    return status;
  }
  Result<LoopbackPair> pair = connect_loopback();
  if (!pair) {
    return tl::unexpected(pair.error());
  }
  const int map = bpf_map__fd(programs.maps.clients);
  const uint64_t key = 0;  // of no socket in the kernel
  const auto socket = static_cast<uint64_t>(pair->client.get());
  if (bpf_map_update_elem(map, &key, &socket, BPF_ANY) != 0) {
    return tl::unexpected(error_from_errno(errno, "putting a socket into a sockmap"));
  }
  constexpr std::array<char, 100> kBytes{};
  std::array<char, 200> received{};
  int waiting = 0;
  const bool sent = ::send(pair->server.get(), kBytes.data(), kBytes.size(), MSG_NOSIGNAL) ==
                    static_cast<ssize_t>(kBytes.size());
  // Waits until they are there.
  const bool arrived = sent && ::recv(pair->client.get(), received.data(), received.size(),
                                      MSG_PEEK) == static_cast<ssize_t>(kBytes.size());
  const bool asked = arrived && ::ioctl(pair->client.get(), FIONREAD, &waiting) == 0;
  bpf_map_delete_elem(map, &key);
  if (!asked) {
    return tl::unexpected(error_from_errno(
        errno, "this kernel does not deliver what a socket in a sockmap receives"));
  }
  if (waiting != static_cast<int>(kBytes.size())) {
    return fail(ErrorCode::kUnsupported,
                "this kernel has a defect: of a socket in a sockmap, ioctl(FIONREAD) says that " +
                    std::to_string(waiting) + " bytes wait where " + std::to_string(kBytes.size()) +
                    " do, and programs that ask it (nginx) would stall; use another kernel");
  }
  return {};
}

Status PropagationLinks::attach(const propagate_bpf& programs, const std::string& cgroup_root) {
  if (cgroup_root.empty()) {
    return fail(
        ErrorCode::kNotFound,
        "no cgroup v2 is mounted, where the programs of all sockets are; mount it: mount -t "
        "cgroup2 none /sys/fs/cgroup/unified");
  }
  const UniqueFd root(::open(cgroup_root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) {
    return tl::unexpected(error_from_errno(errno, "opening " + cgroup_root));
  }
  // First: whoever is put into the map has the program from its first message on.
  if (Status status = attach_to_messages(programs); !status) {
    return status;
  }
  established_.reset(bpf_program__attach_cgroup(programs.progs.propagate__established, root.get()));
  if (!established_) {
    return tl::unexpected(error_from_errno(
        errno,
        "attaching to the socket operations of the cgroup " + cgroup_root +
            " (a program that allows no others beside it may be there: bpftool cgroup tree)"));
  }
  return {};
}

}  // namespace zerospan::kernel
