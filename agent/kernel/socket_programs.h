// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Other agents' BPF programs at sockets: with which ours stand side by side, and with which not.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "agent/core/result.h"

namespace zerospan::kernel {

struct SocketProgram {
  enum class Kind : uint8_t {
    kSockops,  // of cgroups: any number of them run, one after the other
    kVerdict,  // sk_skb, of what the sockets of a map receive: of no concern to what they send
    // sk_msg, of what the sockets of a map send. A socket has one such program, whoever put it into
    // a map first (net/core/sock_map.c, sock_map_link); the second is told EBUSY.
    kMessages,
  };
  Kind kind = Kind::kSockops;
  uint32_t id = 0;
  std::string name;  // as the kernel has it: at most 15 characters, and anything may be in them
};

// All that are loaded on this host, whoever did, but those of a zerospan (by their names: of two,
// each leaves the other's sockets alone). Needs CAP_SYS_ADMIN: without it the kernel does not tell,
// and the error says so. Any thread.
[[nodiscard]] Result<std::vector<SocketProgram>> foreign_socket_programs();

// Why nothing may be injected beside these; empty if it may.
[[nodiscard]] std::string reason_to_stand_aside(std::span<const SocketProgram> programs);

}  // namespace zerospan::kernel
