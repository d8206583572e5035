/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * Attach kind (a): the tracepoints sock:sock_send_length and sock:sock_recv_length (net/socket.c,
 * kernel 6.3+). They fire once at the end of each socket operation, with its result; the buffers
 * are found through the user registers of the system call that the thread is in.
 */
#include "bpf/probes/datagram.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline int handle(struct sock* sk, enum zs_direction direction, int result,
                                  int flags) {
  /* Where there is no more to read a call for many datagrams ends. */
  if ((flags & ZS_MSG_PEEK) ||
      (result == -ZS_EAGAIN && direction == ZS_RECEIVE && sk->sk_type != ZS_SOCK_DGRAM)) {
    return 0;
  }
  const struct task_struct* task = (const struct task_struct*)bpf_get_current_task_btf();
  const __u32 tgid = task->tgid;
  const __u32 tid = task->pid;
  struct zs_process* process = processes__find(tgid);
  if (!process) {
    return 0;
  }
  const bool datagram = zs_unlikely(sk->sk_type == ZS_SOCK_DGRAM);
  if (zs_unlikely(result == -ZS_EAGAIN) && direction == ZS_SEND) {
    context__on_short_send(process, tid);
    if (!datagram) {
      return 0;
    }
  }
  if (datagram && !datagram__concerns(sk)) {
    return 0;
  }
  struct zs_syscall call;
  /* Kernel threads that do I/O for a ring have no system call of their own. */
  const bool user =
      !(task->flags & (ZS_PF_IO_WORKER | ZS_PF_KTHREAD)) && !zs_syscall__is_compat(task);
  if (zs_likely(user)) {
    zs_syscall__from_regs(&call,
                          (const struct pt_regs*)bpf_task_pt_regs((struct task_struct*)task));
  }
  if (datagram) {
    struct zs_connection* connection =
        datagram__capture(sk, process, direction, result, user ? &call : NULL);
    return connection ? datagram__output(sk, process, connection, direction, user ? &call : NULL)
                      : 0;
  }
  return socket_operation__handle(sk, process, tgid, tid, direction, result, user ? &call : NULL);
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(sock_length__send, struct sock* sk, int result, int flags) {
  zs_preempt__off();
  handle(sk, ZS_SEND, result, flags);
  zs_preempt__on();
  return 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(sock_length__receive, struct sock* sk, int result, int flags) {
  zs_preempt__off();
  handle(sk, ZS_RECEIVE, result, flags);
  zs_preempt__on();
  return 0;
}
