/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/abi/abi.h"
#include "bpf/lib/kernel.h"

/*
 * The selected processes. Looked up at every socket operation of the host, so a process that is not
 * here costs just that. The agent adds and removes; fork copies the parent's entry. A hash without
 * LRU: eviction would silently end the tracing of a process. Not preallocated (needs 6.1 in tracing
 * programs; the agent clears the flag before that): most hosts use a small part. The agent sets
 * max_entries.
 */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 8192);
  __type(key, __u32); /* tgid */
  __type(value, struct zs_process);
} processes SEC(".maps");
