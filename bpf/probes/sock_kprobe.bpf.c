/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * Attach kind (c): kprobes where the functions of sock_fexit.bpf.c begin, which remember the socket
 * and the flags, and return probes where they end. The agent attaches each program to all functions
 * of its sort (agent/kernel/capture.cc).
 *
 * A return probe may be missed, when more threads are in one of these functions than the kernel has
 * room for: the next operation of that thread finds the last one still under way, and counts it.
 * The kernel runs these programs without preemption, and these functions are not called in
 * interrupts: a beginning is not missed where the end is seen.
 */
#define ZS_SOCKET_BY_ADDRESS
#define ZS_STREAMS_ONLY
#include "bpf/maps/operations.h"
#include "bpf/probes/socket_end.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline int begin(const struct pt_regs* regs, __u32 flags, bool has_buffers) {
  const __u64 pid_tgid = bpf_get_current_pid_tgid();
  const __u32 tid = (__u32)pid_tgid;
  if (!processes__find(pid_tgid >> 32U)) {
    return 0;
  }
  const struct socket* socket = (const struct socket*)zs_function__argument0(regs);
  const struct zs_operation now = {
      .socket = (__u64)BPF_CORE_READ(socket, sk),
      .flags = flags,
      .under_way = 1,
      .has_buffers = has_buffers,
  };
  struct zs_operation* known = bpf_map_lookup_elem(&operations, &tid);
  if (known) {
    if (known->under_way) {
      counters__add(ZS_COUNTER_LOST_PROBES);
    }
    *known = now;
  } else if (bpf_map_update_elem(&operations, &tid, &now, BPF_ANY)) {
    counters__add(ZS_COUNTER_LOST_THREADS_FULL);
  }
  return 0;
}

static __always_inline int end(const struct pt_regs* regs, enum zs_direction direction) {
  const struct task_struct* task = zs_task();
  const __u32 tid = zs_task_read(task, pid);
  struct zs_process* process = processes__find(zs_task_read(task, tgid));
  struct zs_operation* operation = process ? bpf_map_lookup_elem(&operations, &tid) : NULL;
  if (!operation || !operation->under_way) {
    return 0;
  }
  operation->under_way = 0;
  struct sock* sk = (struct sock*)operation->socket;
  const int result = (int)zs_function__result(regs);
  if (operation->flags & ZS_MSG_PEEK) {
    return 0;
  }
  return socket_end__of_process(sk, process, task, direction, result, operation->has_buffers);
}

/* inet_sendmsg(), inet6_sendmsg(), unix_stream_sendmsg() */
SEC("kprobe")
int sock_kprobe__send(struct pt_regs* regs) {
  return begin(regs, 0, true);
}

/* inet_recvmsg(), inet6_recvmsg(), unix_stream_recvmsg() */
SEC("kprobe")
int sock_kprobe__receive(struct pt_regs* regs) {
  return begin(regs, (__u32)zs_function__argument3(regs), true);
}

/* tcp_splice_read(), unix_stream_splice_read(), unix_stream_sendpage() */
SEC("kprobe")
int sock_kprobe__pages(struct pt_regs* regs) {
  return begin(regs, 0, false);
}

/* inet_sendpage(): a protocol that takes no pages is sent a message, by inet_sendmsg(). */
SEC("kprobe")
int sock_kprobe__send_page(struct pt_regs* regs) {
  const struct socket* socket = (const struct socket*)zs_function__argument0(regs);
  const struct proto* protocol = BPF_CORE_READ(socket, sk, __sk_common.skc_prot);
  return bpf_core_field_exists(protocol->sendpage) && BPF_CORE_READ(protocol, sendpage)
             ? begin(regs, 0, false)
             : 0;
}

SEC("kretprobe")
int sock_kprobe__sent(struct pt_regs* regs) {
  return end(regs, ZS_SEND);
}

SEC("kretprobe")
int sock_kprobe__received(struct pt_regs* regs) {
  return end(regs, ZS_RECEIVE);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(sock_kprobe__exit, struct task_struct* task) {
  const __u32 tid = BPF_CORE_READ(task, pid);
  bpf_map_delete_elem(&operations, &tid);
  return 0;
}
