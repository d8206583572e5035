/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * The tracepoints of sock_length.bpf.c and sock_state.bpf.c since kernel 7.0, as perf sees them.
 * From then on a program that is attached to a tracepoint itself may be preempted, and while it is,
 * the kernel leaves it out for whoever else comes by on that processor (__DECLARE_TRACE in
 * include/linux/tracepoint.h, __bpf_trace_run in kernel/trace/bpf_trace.c). What perf attaches runs
 * without preemption as ever (include/trace/perf.h). Datagrams stay with sock_length.bpf.c: what is
 * known of them is kept in the socket, which takes a pointer that the kernel vouches for.
 */
#define ZS_STREAMS_ONLY
#include "bpf/probes/socket_end.h"
#include "bpf/probes/state_change.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* include/trace/events/sock.h: sock_msg_length */
struct zs_length_event {
  __u64 common;
  const void* sk;
  __u16 family;
  __u16 protocol;
  int result;
  int flags;
};

/* The front of inet_sock_set_state, there. */
struct zs_state_event {
  __u64 common;
  const void* sk;
  int old_state;
  int new_state;
};

static __always_inline int ended(const struct zs_length_event* event, enum zs_direction direction) {
  struct sock* sk = (struct sock*)zs_kernel_cast(event->sk, struct sock);
  return sk->sk_type == ZS_SOCK_STREAM
             ? socket_end__handle(sk, direction, event->result, event->flags, true)
             : 0;
}

SEC("tracepoint/sock/sock_send_length")
int sock_event__send(const struct zs_length_event* event) {
  return ended(event, ZS_SEND);
}

SEC("tracepoint/sock/sock_recv_length")
int sock_event__receive(const struct zs_length_event* event) {
  return ended(event, ZS_RECEIVE);
}

SEC("tracepoint/sock/inet_sock_set_state")
int sock_event__state(const struct zs_state_event* event) {
  return state__change(zs_kernel_cast(event->sk, struct sock), event->old_state, event->new_state);
}
