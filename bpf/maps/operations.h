/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "bpf/lib/kernel.h"

/* A socket operation from its beginning to its end. */
struct zs_operation {
  __u64 socket; /* struct sock * */
  __u32 flags;
  __u8 under_way;
  __u8 has_buffers; /* its bytes are in buffers of the program */
  __u8 reserved[2];
};

/*
 * The operation that a thread of a selected process is in, or was in last. An entry stays, because
 * to change one in place costs a tenth of an update, and goes when the thread exits. As large as
 * `threads`, and not preallocated, for the same reasons.
 */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 65536);
  __type(key, __u32); /* thread id */
  __type(value, struct zs_operation);
} operations SEC(".maps");
