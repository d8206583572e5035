/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * Attach kind (a): the tracepoints sock:sock_send_length and sock:sock_recv_length (net/socket.c,
 * kernel 6.3+). They fire once at the end of each socket operation, with its result; the buffers
 * are found through the user registers of the system call that the thread is in.
 */
#include "bpf/lib/descriptor.h"
#include "bpf/probes/datagram.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/*
 * Whether the socket operation is the running system call's own. Work of an io_uring is done in any
 * system call of the threads that have one, and in threads of the ring itself.
 */
static __always_inline bool syscall__is_for(const struct task_struct* task,
                                            const struct zs_syscall* call, const struct sock* sk) {
  const bool splices = call->number == ZS_NR_SPLICE;
  return call->number != ZS_NR_IO_URING_ENTER &&
         task__socket(task, splices ? call->argument2 : call->argument0) == sk;
}

/*
 * An operation of an io_uring: where its bytes lie is told when it is complete
 * (io_uring.bpf.c). What is not told until the direction's next one is lost.
 */
ZS_COLD int socket_operation__park(const struct sock* sk, const struct zs_process* process,
                                   enum zs_direction direction, int result) {
  struct zs_connection* connection = socket_operation__find(sk, process, direction, result, NULL);
  if (!connection) {
    return 0;
  }
  const __u8 dir = direction == ZS_SEND;
  connection__unpark(connection, direction);
  connection->uring = 1;
  connection->parked[dir] = result;
  if (!connection->parked[!dir]) {
    connection->parked_first = direction;
  }
  return 0;
}

static __always_inline int handle(struct sock* sk, enum zs_direction direction, int result,
                                  int flags) {
  if (flags & ZS_MSG_PEEK) {
    return 0;
  }
  const struct task_struct* task = (const struct task_struct*)bpf_get_current_task_btf();
  const struct pt_regs* regs = (const struct pt_regs*)bpf_task_pt_regs((struct task_struct*)task);
  /* Where there is no more to read a call for many messages ends. */
  if (result == -ZS_EAGAIN && direction == ZS_RECEIVE && sk->sk_type != ZS_SOCK_DGRAM &&
      regs->orig_ax != ZS_NR_RECVMMSG) {
    return 0;
  }
  const __u32 tgid = task->tgid;
  const __u32 tid = task->pid;
  struct zs_process* process = processes__find(tgid);
  if (!process) {
    return 0;
  }
  const bool datagram = zs_unlikely(sk->sk_type == ZS_SOCK_DGRAM);
  if (zs_unlikely(result == -ZS_EAGAIN) && direction == ZS_SEND) {
    context__on_short_send(process, tid);
    if (!datagram && regs->orig_ax != ZS_NR_SENDMMSG) {
      return 0;
    }
  }
  if (datagram && !datagram__concerns(sk)) {
    return 0;
  }
  struct zs_syscall call;
  /* Kernel threads that do I/O for a ring have no system call of their own. */
  bool user = !(task->flags & (ZS_PF_IO_WORKER | ZS_PF_KTHREAD)) && !zs_syscall__is_compat(task);
  if (zs_likely(user)) {
    zs_syscall__from_regs(&call, regs);
  }
  const bool has_ring =
      (task->flags & ZS_PF_IO_WORKER) || (bpf_core_field_exists(task->io_uring) && task->io_uring);
  const bool by_ring = zs_unlikely(has_ring) && !(user && syscall__is_for(task, &call, sk));
  if (datagram) {
    return datagram__handle(sk, process, direction, result, user && !by_ring ? &call : NULL);
  }
  if (zs_unlikely(by_ring)) {
    return result == -ZS_EAGAIN ? 0 : socket_operation__park(sk, process, direction, result);
  }
  if (user && zs_unlikely(call.number == ZS_NR_SENDMMSG || call.number == ZS_NR_RECVMMSG)) {
    user = batch__find(sk, &call, result, regs);
    if (user && direction == ZS_SEND) {
      batch__check_whole(&call, result);
    }
    if (result == -ZS_EAGAIN) {
      return 0;
    }
  }
  return socket_operation__handle(sk, process, tgid, tid, direction, result, user ? &call : NULL);
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(sock_length__send, struct sock* sk, int result, int flags) {
  return handle(sk, ZS_SEND, result, flags);
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(sock_length__receive, struct sock* sk, int result, int flags) {
  return handle(sk, ZS_RECEIVE, result, flags);
}
