/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * Attach kind (a): the tracepoints sock:sock_send_length and sock:sock_recv_length (net/socket.c,
 * kernel 6.3+). They fire once at the end of each socket operation, with its result; the buffers
 * are found through the user registers of the system call that the thread is in.
 */
/* Functions of the kernel can only be called where it shows its types (agent/kernel/btf.h). */
#define ZS_WITHOUT_KERNEL_FUNCTIONS
#include "bpf/probes/socket_end.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Since kernel 7.0: sock_event.bpf.c sees stream sockets, and these programs, which may be
 * preempted, datagrams alone. */
const volatile __u8 zs_streams_by_event = false;

static __always_inline int ended(struct sock* sk, enum zs_direction direction, int result,
                                 int flags) {
  if (zs_streams_by_event && sk->sk_type != ZS_SOCK_DGRAM) {
    return 0;
  }
  return socket_end__handle(sk, direction, result, flags, true);
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(sock_length__send, struct sock* sk, int result, int flags) {
  return ended(sk, ZS_SEND, result, flags);
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(sock_length__receive, struct sock* sk, int result, int flags) {
  return ended(sk, ZS_RECEIVE, result, flags);
}
