/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * The turns of event loops: a thread that waits for events has finished with the request that it
 * read last. Attached only while a selected event loop makes outgoing calls, because a hook on
 * system calls costs every process of the host.
 */
#include "bpf/lib/syscall.h"
#include "bpf/maps/counters.h"
#include "bpf/maps/threads.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tp_btf/sys_enter")
int BPF_PROG(tick__wait, struct pt_regs* regs, long number) {
  enum zs_loop loop;
  switch (number) {
    case ZS_NR_EPOLL_WAIT:
    case ZS_NR_EPOLL_PWAIT:
    case ZS_NR_EPOLL_PWAIT2:
      loop = ZS_LOOP_EPOLL;
      break;
    case ZS_NR_POLL:
    case ZS_NR_PPOLL:
    case ZS_NR_SELECT:
    case ZS_NR_PSELECT6:
      loop = ZS_LOOP_POLL;
      break;
    default:
      return 0;
  }
  __u32 tid = (__u32)bpf_get_current_pid_tgid();
  struct zs_thread* thread = bpf_map_lookup_elem(&threads, &tid);
  if (!thread || thread->loop != loop) {
    return 0;
  }
  if (loop == ZS_LOOP_POLL) {
    /* A wait for one descriptor is a blocking call with a timeout, not a loop's turn. */
    struct zs_syscall call;
    zs_syscall__from_regs(&call, regs);
    const bool is_poll = number == ZS_NR_POLL || number == ZS_NR_PPOLL;
    if (is_poll && call.argument1 <= 1) {
      return 0;
    }
  }
  thread->request_id = 0;
  thread->evidence = 0;
  counters__add(ZS_COUNTER_TICKS);
  return 0;
}
