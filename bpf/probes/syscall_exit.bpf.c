/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * Attach kind (d), the last resort: the end of every system call. The descriptor is resolved to its
 * socket, and from there all is as in the other kinds. It costs every system call of the host about
 * 100 ns.
 */
#define ZS_SOCKET_BY_ADDRESS
#include "bpf/lib/descriptor.h"
#include "bpf/probes/socket_operation.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/*
 * A call for many messages has one result, their number: what it has moved in all. `call` becomes
 * the call for the first one, whose bytes are read; those of the others count as too many buffers.
 */
ZS_COLD int syscall__bytes(struct zs_syscall* call, long messages) {
  int sum = 0;
  for (__u32 i = 0; i < ZS_MESSAGES_MAX && i < messages; ++i) {
    __u32 length = 0;
    if (bpf_probe_read_user(
            &length, sizeof(length),
            (const char*)call->argument1 + i * ZS_MMSGHDR_BYTES + ZS_MMSGHDR_LENGTH_AT)) {
      break;
    }
    sum += length;
  }
  call->number = call->number == ZS_NR_SENDMMSG ? ZS_NR_SENDMSG : ZS_NR_RECVMSG;
  return sum;
}

static __always_inline int handle(const struct pt_regs* regs, long result) {
  const __u64 pid_tgid = bpf_get_current_pid_tgid();
  struct zs_process* process = processes__find(pid_tgid >> 32U);
  if (!process) {
    return 0;
  }
  const struct task_struct* task = zs_task();
  if (zs_syscall__is_compat(task)) {
    return 0;
  }
  struct zs_syscall call;
  zs_syscall__from_regs(&call, regs);
  enum zs_direction direction;
  __u64 flags = 0;
  switch (call.number) {
    case ZS_NR_RECVFROM:
      flags = zs_syscall__argument3(regs);
      direction = ZS_RECEIVE;
      break;
    case ZS_NR_RECVMSG:
      flags = call.argument2;
      direction = ZS_RECEIVE;
      break;
    case ZS_NR_RECVMMSG:
      flags = zs_syscall__argument3(regs);
      direction = ZS_RECEIVE;
      break;
    case ZS_NR_READ:
    case ZS_NR_READV:
      direction = ZS_RECEIVE;
      break;
    case ZS_NR_WRITE:
    case ZS_NR_WRITEV:
    case ZS_NR_SENDTO:
    case ZS_NR_SENDMSG:
    case ZS_NR_SENDMMSG:
    case ZS_NR_SENDFILE:
      direction = ZS_SEND;
      break;
    case ZS_NR_SPLICE: /* out of a socket: seen by the next operation */
      call.argument0 = call.argument2;
      direction = ZS_SEND;
      break;
    case ZS_NR_IO_URING_SETUP:
    case ZS_NR_IO_URING_ENTER:
      counters__add(ZS_COUNTER_LOST_IO_URING);
      return 0;
    default:
      return 0;
  }
  if (result == -ZS_EAGAIN && direction == ZS_SEND) {
    context__on_short_send(process, (__u32)pid_tgid);
  }
  if ((flags & ZS_MSG_PEEK) || result == -ZS_EAGAIN) {
    return 0;
  }
  if ((call.number == ZS_NR_SENDMMSG || call.number == ZS_NR_RECVMMSG) && result > 0) {
    result = syscall__bytes(&call, result);
  }
  const struct sock* sk = task__socket(task, call.argument0);
  return sk ? socket_operation__handle(sk, process, pid_tgid >> 32U, (__u32)pid_tgid, direction,
                                       (int)result, &call)
            : 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(syscall_exit__handle, struct pt_regs* regs, long result) {
  zs_preempt__off();
  handle(regs, result);
  zs_preempt__on();
  return 0;
}
