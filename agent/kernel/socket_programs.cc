// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/kernel/socket_programs.h"

#include <bpf/bpf.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>

#include "agent/core/unique_fd.h"

namespace zerospan::kernel {

namespace {

std::optional<SocketProgram::Kind> kind_of(uint32_t type) {
  switch (type) {
    case BPF_PROG_TYPE_SOCK_OPS:
      return SocketProgram::Kind::kSockops;
    case BPF_PROG_TYPE_SK_SKB:
      return SocketProgram::Kind::kVerdict;
    case BPF_PROG_TYPE_SK_MSG:
      return SocketProgram::Kind::kMessages;
    default:
      return std::nullopt;
  }
}

}  // namespace

Result<std::vector<SocketProgram>> foreign_socket_programs() {
  std::vector<SocketProgram> programs;
  uint32_t id = 0;
  while (::bpf_prog_get_next_id(id, &id) == 0) {
    const UniqueFd program(::bpf_prog_get_fd_by_id(id));
    if (!program.valid()) {
      if (errno == ENOENT) {
        continue;  // gone meanwhile
      }
      return tl::unexpected(error_from_errno(errno, "looking at other BPF programs"));
    }
    bpf_prog_info info{};
    uint32_t length = sizeof(info);
    if (::bpf_obj_get_info_by_fd(program.get(), &info, &length) != 0) {
      return tl::unexpected(error_from_errno(errno, "looking at other BPF programs"));
    }
    const std::optional<SocketProgram::Kind> kind = kind_of(info.type);
    const std::string_view name(info.name, ::strnlen(info.name, sizeof(info.name)));
    // bpf/probes/propagate.bpf.c
    if (kind && name.substr(0, 11) != "propagate__") {
      programs.push_back({*kind, id, std::string(name)});
    }
  }
  if (errno != ENOENT) {
    return tl::unexpected(error_from_errno(
        errno, "listing BPF programs (other agents' are not seen without CAP_SYS_ADMIN)"));
  }
  return programs;
}

std::string reason_to_stand_aside(std::span<const SocketProgram> programs) {
  for (const SocketProgram& program : programs) {
    if (program.kind == SocketProgram::Kind::kMessages) {
      return "another agent's sk_msg program is loaded (" + program.name + ", id " +
             std::to_string(program.id) +
             "), and a socket has only one: what zerospan took, it could not have any more";
    }
  }
  return "";
}

}  // namespace zerospan::kernel
