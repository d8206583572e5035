/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/abi/abi.h"
#include "bpf/lib/kernel.h"

/*
 * One value, mapped into the agent's memory, so that neither side makes a system call to signal the
 * other.
 */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct zs_control);
} control SEC(".maps");

static __always_inline struct zs_control* control__get(void) {
  __u32 key = 0;
  return bpf_map_lookup_elem(&control, &key);
}
