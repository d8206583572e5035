/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * The end of one socket operation, for the hooks that are given a socket and a result. The bytes
 * are found through the user registers of the system call that the thread is in.
 */
/* Without ZS_STREAMS_ONLY also for datagrams. */
#ifdef ZS_STREAMS_ONLY
#include "bpf/probes/socket_operation.h"
#else
#include "bpf/probes/datagram.h"
#endif

/*
 * What is known of a UDP socket is kept in the socket, which needs a pointer that the verifier
 * knows (5.11), and where a datagram goes is in the registers (bpf_task_pt_regs, 5.15).
 */
static __always_inline bool socket_end__is_datagram(const struct sock* sk) {
#ifdef ZS_STREAMS_ONLY
  return false;
#else
  return zs_has_task_regs() && sk->sk_type == ZS_SOCK_DGRAM;
#endif
}

/*
 * What is left when the current task's process is known to be selected. `has_buffers`: the bytes
 * are in buffers of the program, if the system call is one that is read at all.
 */
static __always_inline int socket_end__of_process(struct sock* sk, struct zs_process* process,
                                                  const struct task_struct* task,
                                                  enum zs_direction direction, int result,
                                                  bool has_buffers) {
  const __u32 tid = task->pid;
  const bool datagram = zs_unlikely(socket_end__is_datagram(sk));
  if (zs_unlikely(result == -ZS_EAGAIN) && direction == ZS_SEND) {
    context__on_short_send(process, tid);
    if (!datagram) {
      return 0;
    }
  }
#ifndef ZS_STREAMS_ONLY
  if (datagram && !datagram__concerns(sk)) {
    return 0;
  }
#endif
  struct zs_syscall call;
  /* Kernel threads that do I/O for a ring have no system call of their own. */
  const bool user = has_buffers && !(task->flags & (ZS_PF_IO_WORKER | ZS_PF_KTHREAD)) &&
                    !zs_syscall__is_compat(task) && zs_syscall__from_task(&call, task);
#ifndef ZS_STREAMS_ONLY
  if (datagram) {
    struct zs_connection* connection =
        datagram__capture(sk, process, direction, result, user ? &call : NULL);
    if (connection) {
      datagram__output(sk, process, connection, direction, user ? &call : NULL);
    }
    return 0;
  }
#endif
  return socket_operation__handle(sk, process, task->tgid, tid, direction, result,
                                  user ? &call : NULL);
}

/* Is there nothing to tell? Where there is no more to read a call for many datagrams ends. */
static __always_inline bool socket_end__is_nothing(const struct sock* sk,
                                                   enum zs_direction direction, int result,
                                                   int flags) {
  return (flags & ZS_MSG_PEEK) ||
         (result == -ZS_EAGAIN && direction == ZS_RECEIVE && !socket_end__is_datagram(sk));
}

/* `flags` are those that the program asked with. */
static __always_inline int socket_end__handle(struct sock* sk, enum zs_direction direction,
                                              int result, int flags, bool has_buffers) {
  if (socket_end__is_nothing(sk, direction, result, flags)) {
    return 0;
  }
  const struct task_struct* task = (const struct task_struct*)bpf_get_current_task_btf();
  struct zs_process* process = processes__find(task->tgid);
  return process ? socket_end__of_process(sk, process, task, direction, result, has_buffers) : 0;
}
