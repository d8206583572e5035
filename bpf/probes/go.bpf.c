/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * Uprobes in Go programs, for what their socket calls do not show: the request is written by
 * another goroutine than the one that asked for it. They are placed where the registers still have
 * the arguments (symbols/probe), and each is hit once for an outgoing request.
 */
#define ZS_SOCKET_BY_ADDRESS
#include "bpf/lib/descriptor.h"
#include "bpf/probes/socket_operation.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define ZS_DESCRIPTOR_MAX (1U << 24)

/*
 * The socket behind a net.Conn, given the interface's data pointer; NULL if it is no *net.TCPConn
 * or *net.UnixConn. Nothing here knows Go's types: a net.netFD says of itself which family and kind
 * of socket it is, and that has to be what the kernel says of its descriptor.
 */
static __always_inline const struct sock* go__socket(const struct zs_go_process* go,
                                                     __u64 connection) {
  __u64 net_fd = 0;
  __u64 family = 0;
  __u64 kind = 0;
  __u64 descriptor = 0;
  if (!go__read(&net_fd, connection + go->conn_fd) ||
      !go__read(&family, net_fd + go->net_fd_family) ||
      !go__read(&kind, net_fd + go->net_fd_sotype) ||
      !go__read(&descriptor, net_fd + go->net_fd_sysfd) || kind != ZS_SOCK_STREAM ||
      descriptor >= ZS_DESCRIPTOR_MAX) {
    return NULL;
  }
  const struct task_struct* task = (const struct task_struct*)bpf_get_current_task_btf();
  const struct socket* socket = task__socket(task, descriptor);
  const struct sock* sk = socket ? BPF_CORE_READ(socket, sk) : NULL;
  return sk && zs_read(sk, __sk_common.skc_family) == family && socket__is_stream(sk, (__u16)family)
             ? sk
             : NULL;
}

/*
 * net/http.(*persistConn).roundTrip: the receiver is in ax, and the goroutine that asks runs. Its
 * request is the next one on that connection.
 */
SEC("uprobe")
int go__round_trip(struct pt_regs* regs) {
  const __u32 tgid = bpf_get_current_pid_tgid() >> 32U;
  const struct zs_process* process = processes__find(tgid);
  if (!process || !(process->flags & ZS_PROCESS_GO)) {
    return 0;
  }
  struct zs_go_process* go = go_processes__find(tgid);
  struct zs_goroutine_now now;
  if (!go || !goroutine__check(go, regs->r14, &now)) {
    return 0;
  }
  counters__add(ZS_COUNTER_GO_CALLS);
  __u64 data = 0;
  if (!go__read(&data, regs->ax + go->persist_conn_conn + sizeof(data))) {
    counters__add(ZS_COUNTER_GO_CALLS_UNREADABLE);
    return 0;
  }
  const struct sock* sk = go__socket(go, data);
  if (!sk) {
    counters__add(ZS_COUNTER_GO_CALLS_UNREADABLE);
    return 0;
  }
  struct zs_connection* connection = connection__find(sk);
  if (!connection) {
    /* It was open before us. */
    connection = connection__create(sk, process, zs_read(sk, __sk_common.skc_family), false);
    if (!connection) {
      return 0;
    }
    connection->role = ZS_ROLE_CLIENT;
  }
  __u64 request_id = 0;
  connection->caller_evidence = goroutine__origin(go, tgid, &now, &request_id);
  connection->caller_request_id = request_id;
  connection->caller_told = 1;
  return 0;
}
