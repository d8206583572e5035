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
  __uint(type, ZS_THREAD_MAP_TYPE);
  __uint(map_flags, ZS_THREAD_MAP_FLAGS);
  __uint(max_entries, ZS_THREAD_MAP_ENTRIES);
  __type(key, int);
  __type(value, struct zs_connection);
} rooms SEC(".maps");

static __always_inline struct zs_connection* rooms__get(void) {
  return zs_thread_room(&rooms);
}
