/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/lib/kernel.h"

/*
 * Cgroups of containers in chosen pods, by the id in the unified hierarchy: what is executed there
 * is captured before the agent has heard of it. Asked for when a program is executed, and never at
 * a socket operation. The agent adds and removes. A hash without LRU, for the same reason as
 * `processes`; a node has some hundred containers (the kubelet's limit is 110 pods unless it is
 * told otherwise).
 */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 4096);
  __type(key, __u64); /* cgroup id */
  __type(value, __u8);
} cgroups SEC(".maps");

/* The current task's. */
static __always_inline bool cgroups__chosen(void) {
  __u64 id = bpf_get_current_cgroup_id();
  return bpf_map_lookup_elem(&cgroups, &id) != NULL;
}
