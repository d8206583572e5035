/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/lib/kernel.h"
#include "bpf/maps/connections.h"

/*
 * Room for connection__create() in programs that may be preempted: the thread's own. Threads that
 * never need it have none.
 */
struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct zs_connection);
} rooms SEC(".maps");

static __always_inline struct zs_connection* rooms__get(void) {
  return bpf_task_storage_get(&rooms, (struct task_struct*)bpf_get_current_task_btf(), NULL,
                              BPF_LOCAL_STORAGE_GET_F_CREATE);
}
