/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/abi/abi.h"
#include "bpf/lib/kernel.h"

/*
 * Per-CPU counters, by enum zs_counter: an increment shares no cache line. It is atomic all the
 * same: an interrupt runs programs of its own on this CPU, and uprobes are preempted by others.
 */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, ZS_COUNTER_COUNT);
  __type(key, __u32);
  __type(value, __u64);
} counters SEC(".maps");

static __always_inline void counters__add(enum zs_counter counter) {
  __u32 key = counter;
  __u64* value = bpf_map_lookup_elem(&counters, &key);
  if (value) {
    __sync_fetch_and_add(value, 1);
  }
}
