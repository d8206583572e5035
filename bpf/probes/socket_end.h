/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * The end of one socket operation, for the hooks that are given a socket and a result. The bytes
 * are found through the user registers of the system call that the thread is in.
 */
/* Without ZS_STREAMS_ONLY also for datagrams. */
#include "bpf/lib/descriptor.h"
#include "bpf/probes/batch.h"
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

/*
 * What is left when the current task's process is known to be selected. `has_buffers`: the bytes
 * are in buffers of the program, if the system call is one that is read at all.
 */
static __always_inline int socket_end__of_process(struct sock* sk, struct zs_process* process,
                                                  const struct task_struct* task,
                                                  enum zs_direction direction, int result,
                                                  bool has_buffers) {
  const __u32 tid = zs_task_read(task, pid);
  const __u32 flags = zs_task_read(task, flags);
  const bool datagram = zs_unlikely(socket_end__is_datagram(sk));
  struct zs_syscall call;
  /* Kernel threads that do I/O for a ring have no system call of their own. */
  bool user = has_buffers && !(flags & (ZS_PF_IO_WORKER | ZS_PF_KTHREAD)) &&
              !zs_syscall__is_compat(task) && zs_syscall__from_task(&call, task);
  const bool many = user && (call.number == ZS_NR_SENDMMSG || call.number == ZS_NR_RECVMMSG);
  if (zs_unlikely(result == -ZS_EAGAIN)) {
    if (direction == ZS_SEND) {
      context__on_short_send(process, tid);
    }
    /* Where there is no more to move, a call for many messages ends. */
    if (!datagram && !many) {
      return 0;
    }
  }
#ifndef ZS_STREAMS_ONLY
  if (datagram && !datagram__concerns(sk)) {
    return 0;
  }
#endif
  const bool has_ring = (flags & ZS_PF_IO_WORKER) ||
                        (bpf_core_field_exists(task->io_uring) && zs_task_read(task, io_uring));
  const bool by_ring = zs_unlikely(has_ring) && !(user && syscall__is_for(task, &call, sk));
#ifndef ZS_STREAMS_ONLY
  if (datagram) {
    const struct zs_syscall* known = user && !by_ring ? &call : NULL;
    struct zs_connection* connection = datagram__capture(sk, process, direction, result, known);
    if (connection && direction == ZS_SEND) {
      datagram__sent(process, connection);
    } else if (connection) {
      datagram__received(sk, process, connection, known);
    }
    return 0;
  }
#endif
  if (zs_unlikely(by_ring)) {
    return result == -ZS_EAGAIN ? 0 : socket_operation__park(sk, process, direction, result);
  }
  if (zs_unlikely(many)) {
    const struct pt_regs* regs =
        zs_has_task_regs() ? (const struct pt_regs*)bpf_task_pt_regs((struct task_struct*)task)
                           : NULL;
    user = regs && batch__find(sk, &call, result, regs);
    if (user && direction == ZS_SEND) {
      batch__check_whole(&call, result);
    }
    if (result == -ZS_EAGAIN) {
      return 0;
    }
  }
  return socket_operation__handle(sk, process, zs_task_read(task, tgid), tid, direction, result,
                                  user ? &call : NULL);
}

/* `flags` are those that the program asked with. */
static __always_inline int socket_end__handle(struct sock* sk, enum zs_direction direction,
                                              int result, int flags, bool has_buffers) {
  if (flags & ZS_MSG_PEEK) {
    return 0;
  }
  const struct task_struct* task = zs_task();
  struct zs_process* process = processes__find(zs_task_read(task, tgid));
  return process ? socket_end__of_process(sk, process, task, direction, result, has_buffers) : 0;
}
