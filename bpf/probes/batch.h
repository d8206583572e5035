/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* System calls for many messages: sendmmsg, recvmmsg. */
#include "bpf/maps/datagrams.h"
#include "bpf/probes/capture.h"

/*
 * Which message of a system call for many this datagram is: `call` becomes the call for it alone.
 * The hook fires for each in order, and for the error that ends the call. False: it is not known.
 */
static __always_inline bool batch__find(const struct sock* sk, struct zs_syscall* call, int result,
                                        const struct pt_regs* regs) {
  const bool sends = call->number == ZS_NR_SENDMMSG;
  const bool many = sends || call->number == ZS_NR_RECVMMSG;
  struct zs_batch* batch = bpf_task_storage_get(&batches, (struct task_struct*)zs_task(), NULL,
                                                many ? BPF_LOCAL_STORAGE_GET_F_CREATE : 0);
  if (!many) {
    if (batch) {
      batch->array = 0;
    }
    return true;
  }
  if (!batch) {
    return false;
  }
  const __u32 asked = call->argument2;
  const __u32 count = asked < ZS_MESSAGES_MAX ? asked : ZS_MESSAGES_MAX;
  if (batch->array != call->argument1 || batch->socket != (__u64)sk ||
      batch->number != call->number || (!batch->lost && batch->next >= count)) {
    batch->lost = 0;
    batch->array = call->argument1;
    batch->socket = (__u64)sk;
    batch->number = call->number;
    batch->next = 0;
  }
  if (batch->lost) {
    return false;
  }
  /* A call with a timeout may end without a sign. */
  if (result < 0 || (!sends && zs_syscall__argument4(regs))) {
    batch->array = 0;
    return false;
  }
  call->argument1 += batch->next * ZS_MMSGHDR_BYTES;
  call->number = sends ? ZS_NR_SENDMSG : ZS_NR_RECVMSG;
  batch->next += 1;
  return true;
}

/*
 * After batch__find() and for a stream's sendmmsg only: a message that was not taken whole ends the
 * call (net/socket.c, __sys_sendmmsg), and the next one begins at its array's beginning again.
 */
ZS_COLD void batch__check_whole(const struct zs_syscall* call, int result) {
  struct zs_batch* batch = bpf_task_storage_get(&batches, (struct task_struct*)zs_task(), NULL, 0);
  struct zs_user_msghdr message;
  if (!batch || bpf_probe_read_user(&message, sizeof(message), (const void*)call->argument1)) {
    return;
  }
  if (message.iov_count > ZS_BUFFERS_MAX) {
    batch->lost = 1;
    return;
  }
  __u64 length = 0;
  for (__u32 i = 0; i < ZS_BUFFERS_MAX && i < message.iov_count; ++i) {
    struct zs_iovec buffer = {};
    bpf_probe_read_user(&buffer, sizeof(buffer), (const void*)(message.iov + i * sizeof(buffer)));
    length += buffer.length;
  }
  if ((__u32)result < length) {
    batch->array = 0;
  }
}
