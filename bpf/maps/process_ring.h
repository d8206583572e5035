/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/abi/abi.h"
#include "bpf/lib/kernel.h"
#include "bpf/maps/counters.h"

/*
 * Births, program changes and ends of processes, for the agent's watcher thread. Apart from the
 * data rings, so that a flood of data cannot delay the discovery of a process. Each event wakes the
 * watcher.
 */
struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 256 * 1024);
} process_ring SEC(".maps");

static __always_inline void process_ring__emit(__u8 event, __u32 tgid, __u32 parent_tgid,
                                               __u16 port) {
  struct zs_process_record* record = bpf_ringbuf_reserve(&process_ring, sizeof(*record), 0);
  if (!record) {
    counters__add(ZS_COUNTER_LOST_PROCESS_RING_FULL);
    return;
  }
  __builtin_memset(record, 0, sizeof(*record));
  record->header.length = sizeof(*record);
  record->header.type = ZS_RECORD_PROCESS;
  record->time_ns = bpf_ktime_get_ns();
  record->tgid = tgid;
  record->parent_tgid = parent_tgid;
  record->port = port;
  record->event = event;
  bpf_ringbuf_submit(record, 0);
}
