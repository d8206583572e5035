/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/abi/abi.h"
#include "bpf/lib/kernel.h"
#include "bpf/maps/control.h"
#include "bpf/maps/counters.h"
#include "bpf/maps/settings.h"

/*
 * The rings: one for each worker thread of the agent. All connections of a process tree use one
 * ring, so a worker sees whatever belongs together in the order in which it happened, and needs no
 * lock. The agent makes the inner maps.
 */
struct zs_ring {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096); /* only a template: inner ring buffers may differ in size */
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, ZS_RINGS_MAX);
  __type(key, __u32);
  __array(values, struct zs_ring);
} rings SEC(".maps");

/*
 * Puts a record into a ring; false and a counter if it is full. The consumer comes by itself,
 * within milliseconds if there is much to do: to wake it is an interrupt, up to 14 us in a virtual
 * machine, which the traced program would pay. So that is done only when the ring fills.
 */
static __always_inline bool rings__output(__u32 ring, void* record, __u64 length) {
  counters__add(ZS_COUNTER_RECORDS_RESERVED);
  void* map = bpf_map_lookup_elem(&rings, &ring);
  if (!map) {
    counters__add(ZS_COUNTER_LOST_RING_FULL);
    return false;
  }
  __u64 flags = BPF_RB_NO_WAKEUP;
  struct zs_control* shared = control__get();
  __u32* asleep = shared && ring < ZS_RINGS_MAX ? &shared->asleep[ring] : NULL;
  if (asleep && *asleep && bpf_ringbuf_query(map, BPF_RB_AVAIL_DATA) > zs_ring_wake_bytes) {
    *asleep = 0;
    flags = BPF_RB_FORCE_WAKEUP;
  }
  if (bpf_ringbuf_output(map, record, length, flags)) {
    counters__add(ZS_COUNTER_LOST_RING_FULL);
    return false;
  }
  return true;
}
