// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/kernel/propagate.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>

#include <cerrno>

#include "agent/core/unique_fd.h"
#include "propagate.skel.h"

namespace zerospan::kernel {

void PropagationLinks::Destroy::operator()(bpf_link* link) const {
  bpf_link__destroy(link);
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
  if (bpf_prog_attach(bpf_program__fd(programs.progs.propagate__message),
                      bpf_map__fd(programs.maps.clients), BPF_SK_MSG_VERDICT, 0) != 0) {
    return tl::unexpected(error_from_errno(errno, "attaching to the messages of sockets"));
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
