/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/abi/abi.h"
#include "bpf/lib/kernel.h"
#include "bpf/maps/control.h"
#include "bpf/maps/counters.h"

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
 * Puts a record into a ring; false and a counter if it is full. Wakes the consumer when it sleeps
 * until it is woken; else it comes by itself within milliseconds, and the cost of a wake-up (an
 * interrupt) is saved.
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
  if (shared && ring < ZS_RINGS_MAX && shared->idle[ring]) {
    shared->idle[ring] = 0;
    flags = BPF_RB_FORCE_WAKEUP;
  }
  if (bpf_ringbuf_output(map, record, length, flags)) {
    counters__add(ZS_COUNTER_LOST_RING_FULL);
    return false;
  }
  return true;
}
