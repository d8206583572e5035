/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * Births, program changes and ends of processes and threads (include/trace/events/sched.h).
 */
#include "bpf/maps/cgroups.h"
#include "bpf/maps/counters.h"
#include "bpf/maps/process_ring.h"
#include "bpf/maps/processes.h"
#include "bpf/maps/settings.h"
#include "bpf/maps/threads.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Capture a new program until the agent has decided about it. Changes with the selection. */
volatile __u8 zs_tentative = false;

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process__fork, struct task_struct* parent, struct task_struct* child) {
  __u32 parent_tgid = BPF_CORE_READ(parent, tgid);
  const struct zs_process* process = bpf_map_lookup_elem(&processes, &parent_tgid);
  if (!process) {
    return 0;
  }
  __u32 parent_tid = BPF_CORE_READ(parent, pid);
  __u32 child_tgid = BPF_CORE_READ(child, tgid);
  __u32 child_tid = BPF_CORE_READ(child, pid);
  if (child_tgid != parent_tgid) {
    if (processes__put(child_tgid, process, BPF_ANY)) {
      counters__add(ZS_COUNTER_LOST_PROCESSES_FULL);
    }
    struct zs_process* copy = bpf_map_lookup_elem(&processes, &child_tgid);
    if (copy) {
      /* Goroutines are told apart by their program's generation, and these are others. */
      copy->flags &= ~(__u32)ZS_PROCESS_GO;
    }
    process_ring__emit(ZS_PROCESS_FORK, child_tgid, parent_tgid, 0);
  }
  const struct zs_thread* thread = bpf_map_lookup_elem(&threads, &parent_tid);
  if (thread && thread->request_id) {
    struct zs_thread inherited = {};
    inherited.request_id = thread->request_id;
    inherited.evidence = thread->evidence == ZS_EVIDENCE_AMBIGUOUS ? ZS_EVIDENCE_AMBIGUOUS
                                                                   : ZS_EVIDENCE_CREATING_THREAD;
    if (bpf_map_update_elem(&threads, &child_tid, &inherited, BPF_ANY)) {
      counters__add(ZS_COUNTER_LOST_THREADS_FULL);
    }
  }
  return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process__exec, struct task_struct* task) {
  __u32 tgid = BPF_CORE_READ(task, tgid);
  struct zs_process* process = bpf_map_lookup_elem(&processes, &tgid);
  if (process) {
    /* What was known of the program before says nothing about this one. */
    process->flags &= ~(__u32)(ZS_PROCESS_EVENT_LOOP | ZS_PROCESS_CALLBACKS | ZS_PROCESS_LIBUV |
                               ZS_PROCESS_GO | ZS_PROCESS_JAVA | ZS_PROCESS_PROPAGATE |
                               ZS_PROCESS_ANSWERS | ZS_PROCESS_HANDS_OVER);
  } else if (zs_tentative || cgroups__chosen()) {
    const struct zs_process tentative = {.flags = ZS_PROCESS_TENTATIVE, .ring = 0};
    if (processes__put(tgid, &tentative, BPF_ANY)) {
      counters__add(ZS_COUNTER_LOST_PROCESSES_FULL);
    }
  }
  process_ring__emit(ZS_PROCESS_EXEC, tgid, 0, 0);
  return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process__exit, struct task_struct* task) {
  __u32 tid = BPF_CORE_READ(task, pid);
  bpf_map_delete_elem(&threads, &tid);
  if (BPF_CORE_READ(task, signal, live.counter) > 0) {
    return 0;
  }
  __u32 tgid = BPF_CORE_READ(task, tgid);
  if (bpf_map_delete_elem(&processes, &tgid) == 0) {
    process_ring__emit(ZS_PROCESS_EXIT, tgid, 0, 0);
  }
  return 0;
}
