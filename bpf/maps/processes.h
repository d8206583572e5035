/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/abi/abi.h"
#include "bpf/lib/kernel.h"
#include "bpf/maps/control.h"
#include "bpf/maps/settings.h"

/*
 * The selected processes. Asked for at every socket operation of the host, so most that are not
 * here are sorted out by a hint: one byte, a quarter of a look-up's time. The agent adds and
 * removes; fork copies the parent's entry. A hash without LRU: eviction would silently end the
 * tracing of a process. Not preallocated (needs 6.1 in tracing programs; the agent clears the flag
 * before that): most hosts use a small part. The agent sets max_entries.
 */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 8192);
  __type(key, __u32); /* tgid */
  __type(value, struct zs_process);
} processes SEC(".maps");

static __always_inline struct zs_process* processes__find(__u32 tgid) {
  const struct zs_control* shared = control__get();
  if (!shared || !shared->process_hints[tgid % ZS_PROCESS_HINTS] || tgid == zs_agent_tgid) {
    return NULL;
  }
  return bpf_map_lookup_elem(&processes, &tgid);
}

static __always_inline long processes__put(__u32 tgid, const struct zs_process* process,
                                           __u64 flags) {
  struct zs_control* shared = control__get();
  if (shared) {
    shared->process_hints[tgid % ZS_PROCESS_HINTS] = 1;
  }
  return bpf_map_update_elem(&processes, &tgid, process, flags);
}
