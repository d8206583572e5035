/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/abi/abi.h"
#include "bpf/lib/kernel.h"

/*
 * Go processes of which goroutines can be told. Looked up only for processes with ZS_PROCESS_GO.
 * The agent adds and removes; sched_process_exit removes. A hash without LRU, not preallocated, as
 * the map of processes. The agent sets max_entries.
 */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 8192);
  __type(key, __u32); /* tgid */
  __type(value, struct zs_go_process);
} go_processes SEC(".maps");
